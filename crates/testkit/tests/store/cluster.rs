//! Real clusters of three masters and a replica.

use std::time::Duration;

use serde_json::json;
use tidegate_core::redis::{cmd, pipe};
use tidegate_core::{Redis, Script, StoreError};
use tidegate_testkit::{redis, redis_cluster, wait_until_async};

use crate::{LONG, open, pong, shared};

async fn increment(store: &Redis, key: &str) -> Result<u64, StoreError> {
    store.command(cmd("INCR").arg(key)).await
}

#[tokio::test]
async fn every_key_is_found_by_commands_pipelines_scripts_and_transactions() {
    let cluster = redis_cluster().await;
    let store = cluster.store(LONG);
    let script = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    let mut pipeline = pipe();
    for index in 0..3 {
        let key = cluster.key_of(index).await;
        assert_eq!(increment(&store, &key).await.expect("an answer"), 1);
        assert_eq!(store.script::<u64>(&script, &[&key], &[2]).await.expect("an answer"), 3);
        let mut transaction = pipe();
        transaction.atomic().cmd("INCR").arg(&key).cmd("INCR").arg(&key);
        assert_eq!(store.pipeline::<(u64, u64)>(&transaction).await.expect("an answer"), (4, 5));
        let watched = store.exclusive(key.as_bytes(), async |c| cmd("GET").arg(&key).query_async::<u64>(c).await);
        assert_eq!(watched.await.expect("an answer"), 5);
        pipeline.cmd("INCR").arg(&key).cmd("INCR").arg(&key);
    }
    let all: Vec<u64> = store.pipeline(&pipeline).await.expect("six answers");
    assert_eq!(all, [6, 7, 6, 7, 6, 7]);
    assert_eq!(pong(&store).await.expect("any of them"), "PONG");
    assert!(store.is_up());
}

#[tokio::test]
async fn one_error_in_a_pipeline_over_several_servers_is_told() {
    let cluster = redis_cluster().await;
    let store = cluster.store(LONG);
    let (a, b) = (cluster.key_of(0).await, cluster.key_of(1).await);
    let mut pipeline = pipe();
    pipeline.cmd("SET").arg(&a).arg("text").ignore().cmd("INCR").arg(&b).cmd("INCR").arg(&a);
    let refused = store.pipeline::<(u64, u64)>(&pipeline).await.expect_err("text is no number");
    assert!(matches!(refused, StoreError::Refused { .. }), "{refused:?}");
    assert_eq!(increment(&store, &b).await.expect("it was run"), 2);
}

#[tokio::test]
async fn a_slot_that_moves_is_followed() {
    let cluster = redis_cluster().await;
    let store = cluster.store(LONG);
    let key = cluster.key_of(0).await;
    let (there, new) = (format!("{{{key}}}there"), format!("{{{key}}}new"));
    assert_eq!(increment(&store, &there).await.expect("an answer"), 1);
    cluster.begin_move(&key, 1).await;
    // The one is still where it was, the other is made where it will be.
    assert_eq!(increment(&store, &there).await.expect("an answer"), 2);
    assert_eq!(increment(&store, &new).await.expect("an answer"), 1);
    let mut pipeline = pipe();
    pipeline.cmd("INCR").arg(&there).cmd("INCR").arg(&new);
    assert_eq!(store.pipeline::<(u64, u64)>(&pipeline).await.expect("two answers"), (3, 2));
    cluster.end_move(&key, 1).await;
    assert_eq!(increment(&store, &there).await.expect("an answer"), 4);
    assert_eq!(increment(&store, &new).await.expect("an answer"), 3);
}

#[tokio::test]
async fn a_slot_that_moved_costs_its_first_call_one_more_round_trip_and_no_other() {
    let mut cluster = redis_cluster().await;
    let store = cluster.store(LONG);
    let key = cluster.key_of(0).await;
    assert_eq!(increment(&store, &key).await.expect("an answer"), 1);
    cluster.move_slot(&key, 1).await;
    wait_until_async("it asks the right one", async || {
        let before = cluster.server(0).calls("incr").await;
        increment(&store, &key).await.expect("an answer");
        cluster.server(0).calls("incr").await == before
    })
    .await;
}

#[tokio::test]
async fn a_master_that_is_killed_takes_only_its_keys_until_its_replica_has_them() {
    let mut cluster = redis_cluster().await;
    let store = cluster.store(LONG);
    let (lost, kept) = (cluster.key_of(0).await, cluster.key_of(1).await);
    assert_eq!(increment(&store, &lost).await.expect("an answer"), 1);
    assert_eq!(increment(&store, &kept).await.expect("an answer"), 1);
    // It takes over when we have looked, and not before.
    cluster.server(3).stop_answering();
    cluster.server(0).kill().await;
    assert!(increment(&store, &lost).await.is_err());
    for expected in 2..30 {
        // Asked once: whoever waits for anything is late.
        let answer = tokio::time::timeout(Duration::ZERO, increment(&store, &lost)).await;
        assert!(matches!(answer, Ok(Err(StoreError::Down { .. }))), "{answer:?}");
        assert_eq!(increment(&store, &kept).await.expect("an answer"), expected);
    }
    assert!(!store.is_up());
    cluster.server(3).go_on();
    wait_until_async("the replica has taken over", async || increment(&store, &lost).await.is_ok()).await;
    wait_until_async("all of it is up", async || store.is_up()).await;
    assert_eq!(cluster.master_of(&lost, 1).await, Some(3));
}

#[tokio::test]
async fn a_cluster_is_found_by_any_of_its_addresses() {
    let cluster = redis_cluster().await;
    let mut dead = redis().await;
    dead.kill().await;
    let entry = json!({ "cluster": [dead.url(), cluster.urls()[2]], "timeout": "10s" });
    let store = shared(&open(entry, &Default::default(), None).expect("a store"));
    assert_eq!(increment(&store, &cluster.key_of(0).await).await.expect("an answer"), 1);
}

#[tokio::test]
async fn a_server_that_is_no_cluster_is_down_and_says_why() {
    let redis = redis().await;
    let entry = json!({ "cluster": [redis.url()], "timeout": "10s" });
    let store = shared(&open(entry, &Default::default(), None).expect("a store"));
    let first = increment(&store, "a").await.expect_err("no cluster");
    let cause = std::error::Error::source(&first).map(ToString::to_string).unwrap_or_default();
    assert!(matches!(first, StoreError::Unreachable { .. }) && cause.contains("cluster support"), "{first:?}");
    assert!(matches!(increment(&store, "a").await, Err(StoreError::Down { .. })));
    assert!(!store.is_up());
}
