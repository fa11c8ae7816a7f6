//! From the configuration to a store.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;
use tidegate_core::{BuildCx, Clock, ConfigErrors, Metrics, Retained, Stores};

use super::sample::a_user;
use super::{Any, folder};
use crate::config::service::StoreChoice;
use crate::store::{StoreError, open, open_shared};

fn choice(value: Value) -> StoreChoice {
    serde_json::from_value(value).expect("a choice")
}

/// A gateway's `stores:`; nobody is there.
fn stores() -> Stores {
    let config = serde_json::from_value(json!({ "redis": "redis://127.0.0.1:1" })).expect("a store");
    Stores::open(&[("shared".to_owned(), config)].into(), &Metrics::new(), None).expect("stores")
}

/// One configuration after another.
struct Gateway {
    kept: Retained,
    dry: bool,
}

impl Gateway {
    fn new() -> Self {
        Self { kept: Retained::new(), dry: false }
    }

    fn build<T>(&mut self, work: impl FnOnce(&mut BuildCx<'_>) -> T) -> T {
        let (clock, metrics, stores, mut tasks) = (Clock::system(), Metrics::new(), stores(), Vec::new());
        let next = Retained::new();
        let before = Some(&self.kept);
        let mut cx = BuildCx::new("auth", &clock, &metrics, &stores, (&next, before), &mut tasks).dry(self.dry);
        let built = work(&mut cx);
        self.kept = next;
        built
    }

    fn open(&mut self, value: Value) -> Result<Any, ConfigErrors> {
        let choice = choice(value);
        self.build(|cx| open(&choice, cx))
    }

    fn refused(&mut self, value: Value) -> String {
        match self.open(value) {
            Ok(_) => panic!("there is nothing wrong"),
            Err(errors) => errors.to_string(),
        }
    }
}

fn file(folder: &TempDir) -> Value {
    json!({ "file": folder.path().join("auth.redb") })
}

#[tokio::test]
async fn a_reload_keeps_the_file_and_takes_the_new_settings() {
    let (folder, mut gateway) = (folder(), Gateway::new());
    let first = gateway.open(file(&folder)).expect("a store");
    assert!(first.create_user(&a_user("ada")).await.expect("an answer"));
    let few = json!({ "file": folder.path().join("./auth.redb"), "max_users": 1, "timeout": "1s" });
    let second = gateway.open(few).expect("the same file by another path");
    assert!(second.user_named("ada").await.expect("an answer").is_some());
    assert!(matches!(second.create_user(&a_user("bob")).await, Err(StoreError::Full(_))));
    assert!(first.create_user(&a_user("bob")).await.expect("requests of the old configuration go on"));
}

#[tokio::test]
async fn a_file_that_nobody_uses_any_more_can_be_opened_elsewhere() {
    let (folder, mut gateway) = (folder(), Gateway::new());
    let store = gateway.open(file(&folder)).expect("a store");
    assert!(Gateway::new().refused(file(&folder)).contains("has it open"));
    drop((store, gateway));
    Gateway::new().open(file(&folder)).expect("it is closed");
}

#[tokio::test]
async fn a_file_that_was_replaced_while_it_is_open_is_refused() {
    let (folder, mut gateway) = (folder(), Gateway::new());
    let _store = gateway.open(file(&folder)).expect("a store");
    std::fs::remove_file(folder.path().join("auth.redb")).expect("removed");
    assert!(gateway.refused(file(&folder)).contains("removed or replaced"));
}

#[test]
fn exactly_one_store_is_chosen() {
    let mut gateway = Gateway::new();
    for value in [json!({}), json!({ "file": "/tmp/a.redb", "redis": "shared", "secret": "x".repeat(32) })] {
        assert!(gateway.refused(value).contains("one store"));
    }
}

#[test]
fn what_cannot_work_or_says_nothing_is_refused() {
    let (folder, mut gateway) = (folder(), Gateway::new());
    let secret = "x".repeat(32);
    let path = folder.path().join("auth.redb");
    let (path, missing) = (path.as_path(), folder.path().join("none/auth.redb"));
    std::fs::write(folder.path().join("plain"), "x").expect("a file");
    let below_a_file = folder.path().join("plain/auth.redb");
    for (value, at, what) in [
        (json!({ "redis": "shared" }), "secret", "need a secret"),
        (json!({ "redis": "shared", "secret": "ä".repeat(31) }), "secret", "fewer than 32"),
        (json!({ "redis": "other", "secret": secret }), "redis", "no store is called `other`"),
        (json!({ "redis": "shared", "secret": secret, "prefix": "a{b}" }), "prefix", "nothing that keys can begin"),
        (json!({ "redis": "shared", "secret": secret, "prefix": "" }), "prefix", "nothing that keys can begin"),
        (json!({ "redis": "shared", "secret": secret, "max_users": 5 }), "max_users", "says nothing about Redis"),
        (json!({ "file": path, "prefix": "x" }), "prefix", "says nothing about a file"),
        (json!({ "file": path, "secret": secret }), "secret", "says nothing about a file"),
        (json!({ "file": path, "max_users": 0 }), "max_users", "no user"),
        (json!({ "file": path, "max_sessions": 0 }), "max_sessions", "nobody could log in"),
        (json!({ "file": path, "timeout": "0s" }), "timeout", "no time"),
        (json!({ "file": missing }), "file", "is not there"),
        (json!({ "file": below_a_file }), "file", "is no folder"),
        (json!({ "file": folder.path() }), "file", "is no file"),
        (json!({ "file": "/" }), "file", "is no file"),
    ] {
        for dry in [true, false] {
            gateway.dry = dry;
            let said = gateway.refused(value.clone());
            assert!(said.starts_with(at) && said.contains(what) && said.contains("help: "), "{value}: {said}");
            assert!(!said.contains(&secret));
        }
    }
    assert!(!path.exists());
}

#[tokio::test]
async fn a_dry_run_opens_nothing_and_answers_nothing() {
    let (folder, mut gateway) = (folder(), Gateway::new());
    gateway.dry = true;
    let redis = json!({ "redis": "shared", "secret": "x".repeat(32), "prefix": "gate:1" });
    for value in [file(&folder), redis] {
        let store = gateway.open(value).expect("a store");
        assert!(matches!(store.user_named("ada").await, Err(StoreError::Unavailable(_))));
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0);
    let shared = gateway.build(|cx| open_shared(&shared_choice("shared"), cx)).expect("a store");
    assert!(matches!(shared.keys().await, Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn a_store_for_revocations_alone_needs_no_secret() {
    let mut gateway = Gateway::new();
    assert!(gateway.build(|cx| open_shared(&shared_choice("shared"), cx)).is_ok());
    let refused = |choice: StoreChoice, gateway: &mut Gateway| {
        gateway.build(|cx| open_shared(&choice, cx).err()).map(|error| error.path.to_string())
    };
    assert_eq!(refused(shared_choice("other"), &mut gateway).as_deref(), Some("store"));
    let prefixed = |prefix: &str| StoreChoice { prefix: Some(prefix.to_owned()), ..shared_choice("shared") };
    assert_eq!(refused(prefixed("a b"), &mut gateway).as_deref(), Some("prefix"));
    assert_eq!(refused(prefixed("gate:1"), &mut gateway), None);
}

fn shared_choice(name: &str) -> StoreChoice {
    StoreChoice { redis: Some(name.to_owned()), ..StoreChoice::default() }
}

#[test]
fn a_file_may_be_in_the_current_folder() {
    // Nothing is opened, so that nothing is made there.
    let mut gateway = Gateway { dry: true, ..Gateway::new() };
    assert!(gateway.open(json!({ "file": Path::new("auth.redb") })).is_ok());
    let _: Arc<_> = gateway.open(json!({ "file": "./auth.redb" })).expect("a store");
}
