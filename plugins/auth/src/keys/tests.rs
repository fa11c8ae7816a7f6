//! The ring, on a clock turned by hand.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::decode_header;
use serde_json::Value;
use tidegate_core::Clock;
use tidegate_core::config::Secret;
use tidegate_testkit::{ManualClock, manual_clock};

use super::set::Schedule;
use super::shared::Shared;
use super::*;
use crate::store::fake::FakeStore;

const SECRET: &str = "a secret that all gateways have, long enough";

/// A service with these keys.
fn schedule(keys: &str) -> Schedule {
    let yaml = format!("{{ issuer: \"https://api.test\", store: {{ file: unused }}, keys: {keys} }}");
    Schedule::new(&serde_yaml::from_str(&yaml).expect("a service")).expect("a schedule")
}

fn ring(clock: &ManualClock) -> KeyRing {
    KeyRing { state: Arc::default(), clock: Clock::new(clock.clone()) }
}

fn opened(folder: &Path, clock: &ManualClock, schedule: &Schedule) -> Result<KeyRing, ConfigError> {
    let ring = ring(clock);
    ring.read(&Folder::new(folder.to_owned()), schedule).map(|()| ring)
}

fn sharing(store: &Arc<FakeStore>) -> Place {
    Place::Shared(Shared::new(store.clone(), &Secret::new(SECRET)).expect("a good secret"))
}

/// As the task does when its time has come.
async fn look(ring: &KeyRing, place: &Place, schedule: &Schedule) -> Result<(), String> {
    renewal::look(ring, place, schedule, Millis::of(ring.clock.wall())).await
}

fn kid(ring: &KeyRing) -> String {
    let token = ring.sign("at+jwt", &Map::new()).expect("signed");
    decode_header(&token).expect("a header").kid.expect("a key id")
}

fn published(ring: &KeyRing) -> Vec<String> {
    let jwks: Value = serde_json::from_slice(&ring.jwks().expect("keys")).expect("JSON");
    let keys = jwks["keys"].as_array().expect("a list").iter();
    keys.map(|key| key["kid"].as_str().expect("an id").to_owned()).collect()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[test]
fn keys_are_made_once_and_for_the_owner_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let (folder, clock, schedule) = (dir.path().join("a.keys"), manual_clock(), schedule("{}"));
    let first = opened(&folder, &clock, &schedule).expect("made");
    assert_eq!((mode(&folder), mode(&folder.join("keys.json"))), (0o700, 0o600));
    assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 1, "nothing is left beside it");
    let again = opened(&folder, &clock, &schedule).expect("read");
    assert_eq!(kid(&first), kid(&again));
    assert_eq!(first.mac("refresh", b"x"), again.mac("refresh", b"x"));
    assert_ne!(first.mac("refresh", b"x"), first.mac("refres", b"hx"));
}

#[test]
fn keys_that_others_may_read_or_replace_are_refused_with_the_remedy() {
    let dir = tempfile::tempdir().expect("a directory");
    let (clock, schedule) = (manual_clock(), schedule("{}"));
    opened(dir.path(), &clock, &schedule).expect("made");
    let file = dir.path().join("keys.json");
    let permit = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("ours");
    for mode in [0o640, 0o604, 0o660, 0o602] {
        permit(&file, mode);
        let error = opened(dir.path(), &clock, &schedule).expect_err("readable").to_string();
        assert!(error.contains("chmod 600") && error.contains("keys.json"), "{error}");
    }
    permit(&file, 0o400);
    opened(dir.path(), &clock, &schedule).expect("less is good");
    permit(dir.path(), 0o770);
    let error = opened(dir.path(), &clock, &schedule).expect_err("writable").to_string();
    assert!(error.contains("chmod 700"), "{error}");
}

/// Only root can give a file away: where tests are run by somebody else, who owns what is asked of the rule alone.
#[test]
fn keys_that_belong_to_another_user_are_refused_with_the_remedy() {
    use super::folder::is_owner;
    assert!(is_owner(1000, 1000) && is_owner(0, 1000) && !is_owner(1001, 1000) && !is_owner(1001, 0));
    let dir = tempfile::tempdir().expect("a directory");
    let (clock, schedule) = (manual_clock(), schedule("{}"));
    opened(dir.path(), &clock, &schedule).expect("made");
    let give = |path: &Path, user| std::os::unix::fs::chown(path, Some(user), None).is_ok();
    for path in [dir.path(), &dir.path().join("keys.json")] {
        if !give(path, 12345) {
            return;
        }
        let error = opened(dir.path(), &clock, &schedule).expect_err("somebody else's").to_string();
        assert!(
            error.contains("user 12345 could put") && error.contains(&format!("chown 0 {}", path.display())),
            "{error}"
        );
        assert!(give(path, 0));
    }
    opened(dir.path(), &clock, &schedule).expect("ours again");
}

#[test]
fn a_damaged_file_is_refused_and_not_replaced_and_its_text_is_not_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let (clock, schedule) = (manual_clock(), schedule("{}"));
    opened(dir.path(), &clock, &schedule).expect("made");
    let file = dir.path().join("keys.json");
    let text = std::fs::read_to_string(&file).expect("written");
    std::fs::write(&file, &text[..text.len() / 2]).expect("cut");
    let error = opened(dir.path(), &clock, &schedule).expect_err("damaged").to_string();
    assert!(error.contains("as it was written"), "{error}");
    assert!(!text.split('"').any(|part| part.len() > 20 && error.contains(part)), "{error}");
    assert_eq!(std::fs::read_to_string(&file).expect("there").len(), text.len() / 2);
}

#[tokio::test]
async fn keys_of_every_algorithm_turn_with_an_overlap() {
    for algorithm in ["ES256", "RS256", "EdDSA"] {
        let dir = tempfile::tempdir().expect("a directory");
        let clock = manual_clock();
        let schedule = schedule(&format!("{{ algorithm: {algorithm}, rotate: 24h, publish_before: 1h }}"));
        let ring = opened(dir.path(), &clock, &schedule).expect("made");
        let place = Place::Folder(Folder::new(dir.path().to_owned()));
        let first = kid(&ring);
        assert_eq!(published(&ring), std::slice::from_ref(&first));

        clock.advance(Duration::from_secs(23 * 3600));
        look(&ring, &place, &schedule).await.expect("the next one");
        let both = published(&ring);
        assert_eq!((both.len(), kid(&ring)), (2, first.clone()), "published, not yet signing");
        assert_eq!(published(&opened(dir.path(), &clock, &schedule).expect("read")), both, "written before it is used");

        clock.advance(Duration::from_secs(3600));
        let second = kid(&ring);
        assert_ne!(second, first);
        assert_eq!(published(&ring), both, "the old one stays while its tokens live");
        look(&ring, &place, &schedule).await.expect("nothing to do");
        assert_eq!(published(&ring), both);

        clock.advance(Duration::from_secs(15 * 60) + LEEWAY);
        look(&ring, &place, &schedule).await.expect("the old one goes");
        assert_eq!(published(&ring), [second]);
    }
}

#[tokio::test]
async fn gateways_that_start_at_once_agree() {
    let (store, clock, schedule) = (FakeStore::new(), manual_clock(), schedule("{}"));
    let rings: Vec<_> = (0..8).map(|_| (ring(&clock), sharing(&store))).collect();
    assert_eq!(rings[0].0.sign("at+jwt", &Map::new()), Err(NoKeys));
    futures_util::future::join_all(rings.iter().map(|(ring, place)| async {
        look(ring, place, &schedule).await.expect("keys");
    }))
    .await;
    let first = kid(&rings[0].0);
    for (ring, _) in &rings {
        assert_eq!(kid(ring), first);
        assert_eq!(ring.mac("x", b"y"), rings[0].0.mac("x", b"y"));
    }
}

#[tokio::test]
async fn what_lies_in_the_store_says_nothing_and_another_secret_does_not_replace_it() {
    let (store, clock, schedule) = (FakeStore::new(), manual_clock(), schedule("{}"));
    let ring = ring(&clock);
    look(&ring, &sharing(&store), &schedule).await.expect("keys");
    let (version, sealed) = store.keys().await.expect("an answer").expect("keys");
    for secret in [&b"ES256"[..], b"private", b"secret"] {
        assert!(!sealed.windows(secret.len()).any(|part| part == secret));
    }
    let other = Shared::new(store.clone(), &Secret::new("another secret that is as long as it must be"));
    let other = Place::Shared(other.expect("a good secret"));
    let stranger = self::ring(&clock);
    let error = look(&stranger, &other, &schedule).await.expect_err("another secret");
    assert!(error.contains("store.secret"), "{error}");
    assert_eq!(store.keys().await.expect("an answer"), Some((version, sealed)));
}

#[tokio::test]
async fn while_the_store_is_lost_the_last_keys_stay_and_there_are_none_before_the_first() {
    let (store, clock, schedule) = (FakeStore::new(), manual_clock(), schedule("{}"));
    let (place, ring) = (sharing(&store), ring(&clock));
    store.set_down(true);
    look(&ring, &place, &schedule).await.expect_err("lost");
    assert_eq!((ring.jwks(), ring.mac("x", b"")), (Err(NoKeys), Err(NoKeys)));
    assert!(ring.keys().is_none());
    store.set_down(false);
    look(&ring, &place, &schedule).await.expect("back");
    let first = kid(&ring);
    store.set_down(true);
    look(&ring, &place, &schedule).await.expect_err("lost");
    assert_eq!(kid(&ring), first);
}

#[tokio::test]
async fn a_key_that_another_gateway_made_is_found_by_looking_again() {
    let (store, clock, schedule) = (FakeStore::new(), manual_clock(), schedule("{}"));
    let (place, one, two) = (sharing(&store), ring(&clock), ring(&clock));
    for ring in [&one, &two] {
        look(ring, &place, &schedule).await.expect("keys");
    }
    clock.advance(Duration::from_secs(30 * 24 * 3600 - 3600));
    look(&one, &place, &schedule).await.expect("the next one");
    assert_eq!((published(&one).len(), published(&two).len()), (2, 1));
    look(&two, &place, &schedule).await.expect("found");
    assert_eq!(published(&one), published(&two));
}

#[tokio::test]
async fn a_store_that_lost_its_keys_gets_those_that_are_known() {
    let (clock, schedule) = (manual_clock(), schedule("{}"));
    let (one, two, empty) = (ring(&clock), ring(&clock), FakeStore::new());
    let before = sharing(&FakeStore::new());
    for ring in [&one, &two] {
        look(ring, &before, &schedule).await.expect("keys");
    }
    let after = sharing(&empty);
    for ring in [&one, &two] {
        look(ring, &after, &schedule).await.expect("still there");
    }
    let fresh = ring(&clock);
    look(&fresh, &after, &schedule).await.expect("found");
    assert_eq!((kid(&fresh), fresh.mac("x", b"")), (kid(&one), one.mac("x", b"")));
    assert_eq!(kid(&two), kid(&one));
}

#[test]
fn a_schedule_that_cannot_work_is_refused() {
    for (keys, path) in [
        ("{ publish_before: 9s }", "keys.publish_before"),
        ("{ rotate: 1h }", "keys.publish_before"),
        ("{ rotate: 10m, publish_before: 1m }", "keys.rotate"),
    ] {
        let yaml = format!("{{ issuer: \"https://api.test\", store: {{ file: unused }}, keys: {keys} }}");
        let errors = Schedule::new(&serde_yaml::from_str(&yaml).expect("a service")).expect_err("refused");
        assert!(errors.to_string().contains(path), "{errors}");
    }
}
