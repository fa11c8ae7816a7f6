//! What only Redis does: keys with a time to live, two servers of which one may be gone, a server that loses its memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_core::redis::cmd;
use tidegate_testkit::Redis as Server;

use super::script::{CLAIM, UPDATE};
use super::*;
use crate::store::record;
use crate::store::tests::sample::{a_session, a_user};
use crate::store::tests::{at_once, millis, now, secs};

const TIMEOUT: Duration = Duration::from_secs(10);

fn store(server: &Server) -> RedisStore {
    RedisStore::new(server.store(TIMEOUT), "auth", TIMEOUT, Clock::system())
}

fn token(until: Millis) -> Revocation {
    Revocation { what: Revoked::Token(Id::random()), before: u64::MAX, until }
}

/// Every key, and how many milliseconds it has left; -1: it stays.
async fn lives(server: &Server) -> BTreeMap<String, i64> {
    let mut lives = BTreeMap::new();
    for key in server.ask::<Vec<String>>(cmd("KEYS").arg("*")).await {
        let left = server.ask(cmd("PTTL").arg(&key)).await;
        lives.insert(key, left);
    }
    lives
}

/// A little less by now: whoever asks may have waited.
fn about(left: i64, expected: Duration) -> bool {
    let left = Duration::from_millis(left.try_into().unwrap_or_default());
    (expected.saturating_sub(secs(20))..=expected + secs(1)).contains(&left)
}

#[tokio::test]
async fn every_key_lives_as_long_as_what_it_says() {
    let server = tidegate_testkit::redis().await;
    let (store, t) = (store(&server), now());
    let (ada, session) = (a_user("ada"), a_session(Id::random(), t));
    let gone = a_session(session.user, t);
    let (counter, value) = (Counter { key: Id::random(), window: secs(900) }, Id::random());
    let revocation = token(t.plus(secs(300)));
    store.create_user(&ada).await.expect("an answer");
    store.open_session(&session, 10).await.expect("an answer");
    store.open_session(&gone, 10).await.expect("an answer");
    store.end_session(gone.user, gone.id, &[revocation]).await.expect("an answer");
    store.count(&[counter], 1, t).await.expect("an answer");
    store.count(&[counter], 1, t.plus(secs(100))).await.expect("an answer");
    store.put(value, b"v", t.plus(secs(60)), true, t).await.expect("an answer");
    store.swap_keys(0, b"sealed").await.expect("an answer");
    let mut lives = lives(&server).await;
    let mut life = |key: String| lives.remove(&key).unwrap_or_else(|| panic!("{key} is not there"));
    let names = Names::new("auth");
    assert!(about(life(names.session(session.id)), secs(86_400)));
    assert!(about(life(names.sessions_of(session.user)), secs(86_400 * 30)));
    // What is left until the token would have expired (row F11).
    assert!(about(life(names.revoked(&revocation.what)), secs(300)));
    assert!(about(life(names.log()), secs(300)) && about(life(names.due()), secs(300)));
    assert!(about(life(names.counter(counter.key)), secs(800)));
    assert!(about(life(names.value(value)), secs(60)));
    for stays in [names.user(ada.id), names.name("ada"), names.keys()] {
        assert_eq!(life(stays), -1);
    }
    assert_eq!(lives, BTreeMap::new(), "nothing else is there");
}

#[tokio::test]
async fn a_session_lives_longer_when_it_is_refreshed_and_its_list_as_long_as_the_longest() {
    let server = tidegate_testkit::redis().await;
    let (store, t) = (store(&server), now());
    let user = Id::random();
    let long = Session { until: t.plus(secs(100)), ..a_session(user, t) };
    let short = Session { ends: t.plus(secs(50)), ..a_session(user, t) };
    store.open_session(&long, 10).await.expect("an answer");
    store.open_session(&short, 10).await.expect("an answer");
    let list = server.ask(cmd("PTTL").arg(store.names.sessions_of(user))).await;
    assert!(about(list, secs(86_400 * 30)));
    assert!(about(server.ask(cmd("PTTL").arg(store.names.session(short.id))).await, secs(50)));
    let rotate = Rotate { session: long.id, presented: 1, now: t, grace: secs(10), ttl: secs(500) };
    store.rotate(&rotate).await.expect("an answer");
    assert!(about(server.ask(cmd("PTTL").arg(store.names.session(long.id))).await, secs(500)));
    store.touch(long.id, t, t.plus(secs(700))).await.expect("an answer");
    assert!(about(server.ask(cmd("PTTL").arg(store.names.session(long.id))).await, secs(700)));
}

#[tokio::test]
async fn what_is_over_goes_from_the_log_with_the_next_revocation_and_all_of_it_with_the_last() {
    let server = tidegate_testkit::redis().await;
    let (store, t) = (store(&server), now());
    let brief = t.plus(millis(200));
    let all: Vec<_> = (0..50).map(|_| token(brief)).collect();
    store.revoke(&all, t).await.expect("an answer");
    tidegate_testkit::wait_until_async("they are over", async || server_time(&server).await >= brief).await;
    let later = t.plus(secs(100));
    store.revoke(&[token(later.plus(millis(300)))], later).await.expect("an answer");
    for key in [store.names.log(), store.names.due()] {
        assert_eq!(server.ask::<u32>(cmd("ZCARD").arg(key)).await, 1);
    }
    store.revoke(&[token(Millis(t.0 - 1))], t).await.expect("an answer");
    assert_eq!(server.ask::<u32>(cmd("ZCARD").arg(store.names.log())).await, 1, "one that is over is none");
}

async fn server_time(server: &tidegate_testkit::Redis) -> Millis {
    let (seconds, micros): (u64, u64) = server.ask(&cmd("TIME")).await;
    Millis(seconds * 1000 + micros / 1000)
}

/// One gateway's clock is ahead: what others still go by stays, in the log and by itself.
#[tokio::test]
async fn a_gateway_whose_clock_is_far_ahead_takes_nothing_from_others() {
    let server = tidegate_testkit::redis().await;
    let (store, t) = (store(&server), now());
    let live = token(t.plus(secs(900)));
    store.revoke(&[live], t).await.expect("an answer");
    let ahead = t.plus(secs(86_400));
    let theirs = token(ahead.plus(secs(900)));
    store.revoke(&[theirs], ahead).await.expect("an answer");
    store.sweep(ahead).await.expect("an answer");
    assert!(store.is_revoked(&[live.what], 0, t).await.expect("an answer"));
    assert_eq!(store.revoked(Cursor(0), t).await.expect("an answer").0, [live, theirs]);
}

#[tokio::test]
async fn a_server_that_lost_its_memory_tells_what_is_new() {
    let mut server = tidegate_testkit::redis().await;
    let (store, t) = (store(&server), now());
    store.revoke(&[token(t.plus(secs(900))), token(t.plus(secs(900)))], t).await.expect("an answer");
    let (_, cursor) = store.revoked(Cursor(0), t).await.expect("an answer");
    server.kill().await;
    server.restart().await;
    tidegate_testkit::wait_until_async("it is found", async || store.revoked(cursor, t).await.is_ok()).await;
    let new = token(t.plus(secs(900)));
    store.revoke(&[new], t).await.expect("an answer");
    assert_eq!(store.revoked(cursor, t).await.expect("an answer").0, [new]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_answer_is_unavailable_in_time() {
    let server = tidegate_testkit::redis().await;
    let (patient, t, ada) = (store(&server), now(), a_user("ada"));
    assert!(patient.create_user(&ada).await.expect("an answer"));
    let store = RedisStore::new(server.store(millis(100)), "auth", secs(1), Clock::system());
    let is_there = async || matches!(store.user(ada.id).await, Ok(Some(_)));
    tidegate_testkit::wait_until_async("it is connected", is_there).await;
    server.stop_answering();
    let begun = std::time::Instant::now();
    let rotate = Rotate { session: ada.id, presented: 1, now: t, grace: secs(1), ttl: secs(1) };
    assert!(matches!(store.rotate(&rotate).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.create_user(&a_user("bob")).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(
        store.end_sessions(ada.id, None, &[token(t.plus(secs(9)))]).await,
        Err(StoreError::Unavailable(_))
    ));
    assert!(matches!(store.revoked(Cursor(0), t).await, Err(StoreError::Unavailable(_))));
    assert!(begun.elapsed() < secs(20), "{:?}", begun.elapsed());
    server.go_on();
    tidegate_testkit::wait_until_async("it is found", is_there).await;
}

#[tokio::test]
async fn what_somebody_else_wrote_is_corrupt_and_not_shown() {
    let server = tidegate_testkit::redis().await;
    let (store, t, id) = (store(&server), now(), Id::random());
    let what = Revoked::Token(id);
    let names = &store.names;
    let mut keys = vec![names.user(id), names.name("ada"), names.session(id), names.revoked(&what)];
    keys.extend([names.value(id), names.keys(), names.log(), names.sessions_of(id)]);
    for value in ["secret", "secret $2b$12$", "1 secret", "claim x y z"] {
        for key in &keys {
            let () = server.ask(cmd("SET").arg(key).arg(value)).await;
        }
        let rotate = Rotate { session: id, presented: 1, now: t, grace: secs(1), ttl: secs(1) };
        let ada = a_user("ada");
        let mut errors = vec![
            store.user(id).await.err(),
            store.user_named("ada").await.err(),
            store.create_user(&ada).await.err(),
            store.session(id, t).await.err(),
            store.rotate(&rotate).await.err(),
            store.touch(id, t, t).await.err(),
            store.sessions(id, t).await.err(),
            store.open_session(&a_session(id, t), 10).await.err(),
            store.end_session(id, id, &[]).await.err(),
            store.revoked(Cursor(0), t).await.err(),
            store.revoke(&[token(t.plus(secs(9)))], t).await.err(),
        ];
        if value != "1 secret" {
            errors.extend([store.get(id, t).await.err(), store.keys().await.err()]);
            errors.push(store.is_revoked(&[what], 0, t).await.err());
            errors.push(store.swap_keys(7, b"x").await.err().or(Some(StoreError::Corrupt(String::new()))));
        }
        for (place, error) in errors.into_iter().enumerate() {
            let Some(error) = error else { panic!("{place} says nothing about {value}") };
            assert!(matches!(error, StoreError::Corrupt(_)), "{place}: {error}");
            assert!(!error.to_string().contains("secret"), "{place}: {error}");
        }
    }
    // A session with a field that is none.
    let session = a_session(id, t);
    let () = server.ask(&cmd("FLUSHALL")).await;
    store.open_session(&session, 10).await.expect("an answer");
    let _: u32 = server.ask(cmd("HSET").arg(store.names.session(session.id)).arg("generation").arg("x")).await;
    let rotate = Rotate { session: session.id, presented: 1, now: t, grace: secs(1), ttl: secs(1) };
    assert!(matches!(store.rotate(&rotate).await, Err(StoreError::Corrupt(_))));
    assert!(matches!(store.session(session.id, t).await, Err(StoreError::Corrupt(_))));
}

/// As far as whoever signs up gets before everything stops: the name is claimed, and perhaps the record written. For so
/// many milliseconds others wait.
async fn stopped_signup(store: &RedisStore, user: &User, written: bool, others_wait: u64) {
    let claim = format!("claim {} {}", user.id.text(), user.version);
    let (key, wait) = ([store.names.name(&user.name)], others_wait.to_string());
    let (kept, _): (String, u64) = store.script(&CLAIM, &key, &[claim.as_str(), "", &wait]).await.expect("an answer");
    assert_eq!(kept, "");
    if written {
        let record = [b"1 ".as_slice(), &record::user(user).expect("a record")].concat();
        let () = store.redis.command(&Cmd::set(store.names.user(user.id), record)).await.expect("written");
    }
}

#[tokio::test]
async fn a_signup_that_stopped_before_its_record_gives_the_name_back() {
    let server = tidegate_testkit::redis().await;
    let (store, ada) = (store(&server), a_user("ada"));
    stopped_signup(&store, &a_user("ada"), false, 30_000).await;
    assert_eq!(store.user_named("ada").await.expect("an answer"), None);
    assert!(!store.create_user(&ada).await.expect("an answer"), "it may be about to go on");
    let () = server.ask(&cmd("FLUSHALL")).await;
    stopped_signup(&store, &a_user("ada"), false, 0).await;
    assert!(store.create_user(&ada).await.expect("an answer"));
    assert_eq!(store.user_named("ada").await.expect("an answer"), Some(ada.clone()));
    assert!(!store.create_user(&ada).await.expect("the same once more"));
    assert_eq!(store.user_named("ada").await.expect("an answer"), Some(ada));
}

#[tokio::test]
async fn a_signup_that_stopped_after_its_record_is_one() {
    let server = tidegate_testkit::redis().await;
    let (store, ada, bob) = (store(&server), a_user("ada"), a_user("bob"));
    stopped_signup(&store, &ada, true, 0).await;
    assert_eq!(store.user_named("ada").await.expect("an answer"), Some(ada));
    stopped_signup(&store, &bob, true, 0).await;
    assert!(!store.create_user(&a_user("bob")).await.expect("an answer"), "however long it was ago");
    // Whoever asked has confirmed it.
    for name in ["ada", "bob"] {
        assert!(server.ask::<String>(cmd("GET").arg(store.names.name(name))).await.starts_with("owner "));
    }
}

#[tokio::test]
async fn a_rename_that_stopped_leaves_the_old_name_to_others() {
    let server = tidegate_testkit::redis().await;
    let (store, ada) = (store(&server), a_user("ada"));
    assert!(store.create_user(&ada).await.expect("an answer"));
    let renamed = User { name: "lovelace".to_owned(), version: 2, ..ada.clone() };
    stopped_signup(&store, &renamed, false, 30_000).await;
    assert_eq!(store.user_named("ada").await.expect("an answer"), Some(ada.clone()), "nothing has happened yet");
    let record = record::user(&renamed).expect("a record");
    let args = [b"1".to_vec(), b"2".to_vec(), record];
    assert!(store.script::<bool>(&UPDATE, &[store.names.user(ada.id)], &args).await.expect("an answer"));
    assert_eq!(store.user_named("ada").await.expect("an answer"), None);
    assert_eq!(store.user_named("lovelace").await.expect("an answer"), Some(renamed));
    let other = a_user("ada");
    assert!(store.create_user(&other).await.expect("an answer"));
    assert_eq!(store.user_named("ada").await.expect("an answer"), Some(other));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_goes_on_when_nobody_waits_for_it() {
    let server = tidegate_testkit::redis().await;
    let (store, t) = (store(&server), now());
    let session = a_session(Id::random(), t);
    store.open_session(&session, 10).await.expect("an answer");
    let revocation = token(t.plus(secs(900)));
    // The server hangs when it begins, and whoever asked hangs up.
    server.stop_answering();
    let revoke = [revocation];
    let logout = store.end_session(session.user, session.id, &revoke);
    assert!(tokio::time::timeout(millis(50), logout).await.is_err());
    server.go_on();
    let ended = async || {
        store.session(session.id, t).await.expect("an answer").is_none()
            && store.is_revoked(&[revocation.what], 0, t).await.expect("an answer")
    };
    tidegate_testkit::wait_until_async("it is ended", ended).await;
}

/// On a cluster, keys of one script are on one server, and those of users, sessions and counters on all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn load_is_spread_over_a_cluster() {
    let mut cluster = tidegate_testkit::redis_cluster().await;
    let store = Arc::new(RedisStore::new(cluster.store(TIMEOUT), "auth", TIMEOUT, Clock::system()));
    let t = now();
    let done = at_once(60, |turn| {
        let store = store.clone();
        async move {
            let user = a_user(&turn.to_string());
            assert!(store.create_user(&user).await?);
            store.open_session(&a_session(user.id, t), 10).await?;
            store.count(&[Counter { key: user.id, window: secs(60) }], 1, t).await
        }
    });
    done.await;
    for master in 0..3 {
        let keys: u32 = cluster.server(master).ask(&cmd("DBSIZE")).await;
        assert!(keys > 30, "server {master} has {keys} of 300 keys");
    }
    assert_eq!(store.revoked(Cursor(0), t).await.expect("an answer").0, []);
}
