//! Keys of programs (F29).

use std::time::Duration;

use sha2::{Digest, Sha256};
use tidegate_core::Method;
use tidegate_testkit::{Answer, ManualClock, TestGateway, Upstream, manual_clock, upstream, wait_until_async};

use super::support::*;

const KEY: &str = "app.0123456789abcdefghijklmn";
const OTHER: &str = "job_live_zyxwvutsrqponmlkjihgfedc";

fn hash(key: &str) -> String {
    Sha256::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An entry of a list, with more terms.
fn entry(key: &str, owner: &str, terms: &str) -> String {
    let (prefix, _) = key.rsplit_once(['.', '_']).expect("a key");
    format!("{{ prefix: {prefix}, sha256: \"{}\", owner: {owner}, {terms} }}", hash(key))
}

fn section(terms: &str) -> String {
    format!(
        "{{ providers: [{{ api_key: {{ {terms} }} }}], \
         identity: {{ headers: {{ X-User-ID: sub, X-Roles: roles, X-Scopes: scopes, X-Key: api_key }} }} }}"
    )
}

async fn start(terms: &str, clock: &ManualClock) -> (Upstream, TestGateway) {
    let upstream = upstream().reply("/*", "let through").start().await;
    let gateway = with_auth().clock(clock).start(&guarded_yaml(&upstream, &section(terms), "require")).await;
    (upstream, gateway)
}

async fn ask(gateway: &TestGateway, key: &str) -> Answer {
    gateway.request(Method::GET, "/x").header("X-API-Key", key).send().await
}

#[tokio::test]
async fn a_key_says_whose_it_is_and_is_not_passed_on() {
    let keys =
        format!("keys: [{}, {}]", entry(KEY, "app", "roles: [svc], scopes: [read, write]"), entry(OTHER, "job", ""));
    let (upstream, gateway) = start(&keys, &manual_clock()).await;
    ask(&gateway, KEY).await.expect(200);
    let seen = upstream.request();
    let told = ["x-user-id", "x-roles", "x-scopes", "x-key"].map(|name| seen.header(name));
    assert_eq!(told, [Some("app"), Some("svc"), Some("read,write"), Some("app")]);
    assert!(!seen.headers.has("x-api-key"));
    upstream.forget();
    ask(&gateway, OTHER).await.expect(200);
    assert_eq!(upstream.request().header("x-user-id"), Some("job"));
}

#[tokio::test]
async fn no_other_key_is_taken() {
    let (upstream, gateway) = start(&format!("keys: [{}]", entry(KEY, "app", "")), &manual_clock()).await;
    for (key, code) in [
        ("app.0123456789abcdefghijklmo", "invalid_token"),
        ("app_0123456789abcdefghijklmn", "invalid_token"),
        ("App.0123456789abcdefghijklmn", "invalid_token"),
        ("app.", "invalid_token"),
        ("0123456789abcdefghijklmn", "invalid_token"),
        ("a b", "invalid_token"),
        ("", "invalid_token"),
    ] {
        let refused = ask(&gateway, key).await.expect(401);
        assert_eq!(refused.json()["code"], code, "{key}");
    }
    let twice = gateway.request(Method::GET, "/x").header("X-API-Key", KEY).header("X-API-Key", KEY);
    assert_eq!(twice.send().await.expect(401).json()["code"], "ambiguous_credentials");
    let missing = gateway.get("/x").await.expect(401);
    assert_eq!(missing.json()["code"], "missing_token");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_key_ends_at_its_time() {
    let clock = manual_clock();
    let key = entry(KEY, "app", "expires: \"2026-01-01T00:01:00Z\"");
    let (_upstream, gateway) = start(&format!("keys: [{key}]"), &clock).await;
    clock.advance(Duration::from_secs(59));
    ask(&gateway, KEY).await.expect(200);
    clock.advance(Duration::from_secs(1));
    assert_eq!(ask(&gateway, KEY).await.expect(401).json()["code"], "token_expired");
}

#[tokio::test]
async fn a_key_can_share_authorization_with_tokens() {
    let keys = format!("{{ api_key: {{ keys: [{}], sources: [{{ bearer: true }}] }} }}", entry(KEY, "app", ""));
    let section = format!("{{ providers: [{keys}, {}] }}", hs256());
    let (upstream, gateway) = guarded(&section, "require").await;
    let ask =
        async |token: &str| gateway.request(Method::GET, "/x").header("Authorization", bearer(token)).send().await;
    ask(KEY).await.expect(200);
    ask(&token(&claims("u1"))).await.expect(200);
    let seen: Vec<_> = upstream.requests().iter().map(|seen| seen.header("x-user-id").map(str::to_owned)).collect();
    assert_eq!(seen, [Some("app".to_owned()), Some("u1".to_owned())]);
    let refused = ask("app.0123456789abcdefghijklmo").await.expect(401);
    assert!(refused.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer ")));
    ask("neither.of-the-two").await.expect(401);
}

/// Lets the watcher of the list look once more, until this key gets this status.
async fn until(gateway: &TestGateway, clock: &ManualClock, key: &str, status: u16) {
    wait_until_async(&format!("{status} for {key}"), async || {
        if clock.sleepers() > 0 {
            clock.advance(Duration::from_secs(2));
        }
        ask(gateway, key).await.status == status
    })
    .await;
}

#[tokio::test]
async fn a_list_in_a_file_is_read_again_when_it_changes_and_the_last_good_one_stays() {
    let clock = manual_clock();
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("keys.yaml");
    let write = |text: &str| {
        let new = dir.path().join("new");
        std::fs::write(&new, text).expect("written");
        std::fs::rename(new, &file).expect("renamed");
    };
    write(&format!("- {}\n", entry(KEY, "app", "")));
    let inline = entry("always.0123456789abcdefghijklmn", "always", "");
    let (_upstream, gateway) = start(&format!("file: {file:?}, keys: [{inline}]"), &clock).await;
    ask(&gateway, KEY).await.expect(200);
    ask(&gateway, OTHER).await.expect(401);

    write(&format!("[{}, {}]", entry(KEY, "app", ""), entry(OTHER, "job", "")));
    until(&gateway, &clock, OTHER, 200).await;
    ask(&gateway, KEY).await.expect(200);

    // A list that is none, or is gone, changes nothing.
    write("keys: [");
    for _ in 0..3 {
        clock.advance(Duration::from_secs(2));
        ask(&gateway, KEY).await.expect(200);
    }
    std::fs::remove_file(&file).expect("removed");
    for _ in 0..3 {
        clock.advance(Duration::from_secs(2));
        ask(&gateway, KEY).await.expect(200);
    }

    // A key that is taken out is refused within seconds.
    write(&format!("- {}\n", entry(OTHER, "job", "")));
    until(&gateway, &clock, KEY, 401).await;
    ask(&gateway, OTHER).await.expect(200);
    ask(&gateway, "always.0123456789abcdefghijklmn").await.expect(200);
}

#[tokio::test]
async fn operators_see_when_a_key_was_used_last() {
    let clock = manual_clock();
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("keys.yaml");
    std::fs::write(&file, format!("- {}\n- {}\n", entry(KEY, "app", ""), entry(OTHER, "job", ""))).expect("written");
    let (upstream, gateway) = start(&format!("file: {file:?}"), &clock).await;
    let used = async |key| {
        gateway.metric("tidegate_auth_api_key_last_used_seconds", &[("provider", "api_key"), ("key", key)]).await
    };
    assert_eq!((used("app").await, used("job_live").await), (0.0, 0.0));
    clock.advance(Duration::from_secs(100));
    ask(&gateway, KEY).await.expect(200);
    ask(&gateway, "job_live_zyxwvutsrqponmlkjihgfedd").await.expect(401);
    assert_eq!((used("app").await, used("job_live").await), (1_767_225_700.0, 0.0));

    let yaml = guarded_yaml(&upstream, &section(&format!("file: {file:?}")), "optional");
    gateway.reload(&yaml).await.expect("reloaded");
    assert_eq!(used("app").await, 1_767_225_700.0, "known over a reload");

    std::fs::write(&file, format!("- {}\n", entry(OTHER, "job", ""))).expect("written");
    until(&gateway, &clock, KEY, 401).await;
    let text = gateway.metrics_text().await;
    assert!(!text.contains("key=\"app\"") && text.contains("key=\"job_live\""), "{text}");
}

#[tokio::test]
async fn what_can_not_work_is_refused_at_load() {
    let upstream = upstream().reply("/*", "x").start().await;
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("keys.yaml");
    std::fs::write(&file, "- { prefix: a, sha256: hunter2, owner: a }").expect("written");
    let (good, same) = (entry(KEY, "app", ""), entry(KEY, "app", ""));
    for (terms, path) in [
        ("keys: []".to_owned(), "keys"),
        (format!("keys: [{good}, {same}]"), "keys[1].prefix"),
        (format!("keys: [{}]", good.replace("owner: app,", "")), "keys[0].owner"),
        ("keys: [{ prefix: a, sha256: abc, owner: a }]".to_owned(), "keys[0].sha256"),
        ("keys: [{ prefix: 'a b', owner: a }]".to_owned(), "keys[0].prefix"),
        (format!("keys: [{}]", entry(KEY, "app", "expires: tomorrow")), "keys[0].expires"),
        ("file: /nowhere/keys.yaml".to_owned(), "file"),
        (format!("file: {file:?}"), "file"),
        (format!("keys: [{good}], sources: [{{ header: Cookie }}]"), "sources[0].header"),
    ] {
        let errors = with_auth().check(&guarded_yaml(&upstream, &section(&terms), "require")).expect_err(&terms);
        assert!(errors.contains(&format!("auth.providers[0].api_key.{path}")), "{terms}: {errors}");
        assert!(!errors.contains("hunter2"), "{errors}");
    }
}
