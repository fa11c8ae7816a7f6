//! Commands, pipelines, scripts and transactions.

use std::time::Duration;

use tidegate_core::redis::{RedisError, cmd, pipe};
use tidegate_core::{Script, StoreError};
use tidegate_testkit::{redis, slow_proxy};

use crate::{LONG, open, pong, shared, until_it_answers};

const COUNT: &str = "return {redis.call('INCR', KEYS[1]), ARGV[1]}";

#[tokio::test]
async fn commands_and_pipelines_are_answered() {
    let redis = redis().await;
    let store = redis.store(LONG);
    assert_eq!(pong(&store).await.expect("an answer"), "PONG");
    let mut pipeline = pipe();
    pipeline.cmd("SET").arg("a").arg(1).ignore().cmd("INCR").arg("a").cmd("GET").arg("a");
    assert_eq!(store.pipeline::<(u8, String)>(&pipeline).await.expect("two answers"), (2, "2".to_owned()));
    pipeline.atomic();
    assert_eq!(store.pipeline::<(u8, u8)>(&pipeline).await.expect("a transaction"), (2, 2));
}

#[tokio::test]
async fn what_the_server_refuses_is_its_answer_and_the_store_is_up() {
    let redis = redis().await;
    let store = redis.store(LONG);
    let _: () = redis.ask(cmd("SET").arg("text").arg("abc")).await;
    for _ in 0..10 {
        let refused = store.command::<u64>(cmd("INCR").arg("text")).await.expect_err("not a number");
        assert!(matches!(refused, StoreError::Refused { .. }), "{refused:?}");
    }
    let unexpected = store.command::<u64>(cmd("GET").arg("text")).await.expect_err("not a number");
    assert!(matches!(unexpected, StoreError::Refused { .. }), "{unexpected:?}");
    assert!(store.is_up());
    assert_eq!(pong(&store).await.expect("an answer"), "PONG");
}

#[tokio::test]
async fn a_script_is_one_round_trip_and_its_text_is_sent_once() {
    let redis = redis().await;
    let network = slow_proxy(redis.addr(), Duration::from_millis(2)).await;
    let url = format!("redis://{}", network.addr());
    let entry = serde_json::json!({ "redis": url, "timeout": "10s", "connections": 1 });
    let store = shared(&open(entry, &Default::default(), None).expect("a store"));
    let script = Script::new(COUNT);
    let (count, argument): (u64, String) = store.script(&script, &["n"], &["x"]).await.expect("an answer");
    assert_eq!((count, argument.as_str()), (1, "x"));
    let before = network.turns();
    for expected in 2..=11 {
        let (count, _): (u64, String) = store.script(&script, &["n"], &["x"]).await.expect("an answer");
        assert_eq!(count, expected);
    }
    assert_eq!(network.turns() - before, 10);
    assert_eq!((redis.calls("evalsha").await, redis.calls("eval").await), (11, 1));
}

#[tokio::test]
async fn a_script_that_the_server_forgot_is_run_by_the_same_call() {
    let mut redis = redis().await;
    let store = redis.store(LONG);
    let script = Script::new(COUNT);
    let _: (u64, String) = store.script(&script, &["n"], &["x"]).await.expect("an answer");
    let _: () = redis.ask(cmd("SCRIPT").arg("FLUSH")).await;
    let (count, _): (u64, String) = store.script(&script, &["n"], &["x"]).await.expect("an answer");
    assert_eq!(count, 2);
    redis.kill().await;
    redis.restart().await;
    until_it_answers(&store).await;
    let (count, _): (u64, String) = store.script(&script, &["n"], &["x"]).await.expect("an answer");
    assert_eq!(count, 1);
}

#[tokio::test]
async fn a_script_has_the_hash_that_the_server_gives_it() {
    let redis = redis().await;
    let hash: String = redis.ask(cmd("SCRIPT").arg("LOAD").arg(COUNT)).await;
    let script = Script::new(COUNT);
    assert_eq!((script.hash(), script.text()), (hash.as_str(), COUNT));
}

#[tokio::test]
async fn calls_do_not_wait_for_each_other() {
    let redis = redis().await;
    let network = slow_proxy(redis.addr(), Duration::from_millis(200)).await;
    let entry = serde_json::json!({ "redis": format!("redis://{}", network.addr()), "timeout": "10s" });
    let store = shared(&open(entry, &Default::default(), None).expect("a store"));
    assert!(pong(&store).await.is_ok());
    let begun = std::time::Instant::now();
    let calls = (0..200).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { pong(&store).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert!(call.await.expect("no panic").is_ok());
    }
    // One after the other on two connections they would take 20 seconds.
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!(network.accepted(), 2);
}

#[tokio::test]
async fn a_transaction_has_a_connection_of_its_own() {
    let redis = redis().await;
    let store = redis.store(LONG);
    for expected in [1, 2] {
        let changed = store.exclusive(b"n", async |connection| {
            cmd("WATCH").arg("n").exec_async(connection).await?;
            let old: Option<u64> = cmd("GET").arg("n").query_async(connection).await?;
            let mut pipeline = pipe();
            pipeline.atomic().cmd("SET").arg("n").arg(old.unwrap_or(0) + 1).ignore().cmd("GET").arg("n");
            pipeline.query_async::<(u64,)>(connection).await
        });
        assert_eq!(changed.await.expect("an answer"), (expected,));
    }
    let stuck = store.exclusive(b"n", async |connection| {
        cmd("MULTI").exec_async(connection).await?;
        Err::<(), _>(RedisError::from(std::io::Error::other("in the middle of it")))
    });
    assert!(stuck.await.is_err());
    until_it_answers(&store).await;
    let clean = store.exclusive(b"n", async |connection| cmd("GET").arg("n").query_async::<u64>(connection).await);
    assert_eq!(clean.await.expect("not QUEUED"), 2);
}
