//! What lives on over a reload, and what ends with the last handle.

use std::time::Duration;

use serde_json::json;
use tidegate_core::redis::cmd;
use tidegate_core::{Metrics, StoreError, Stores};
use tidegate_testkit::{redis, redis_cluster, slow_proxy, wait_until, wait_until_async};

use crate::{LONG, open, pong, shared, until_it_answers, until_it_is_down};

#[tokio::test]
async fn a_reload_keeps_the_connections_of_a_store_that_did_not_change() {
    let redis = redis().await;
    let metrics = Metrics::new();
    let entry = json!({ "redis": redis.url(), "timeout": "10s" });
    let mut stores = open(entry.clone(), &metrics, None).expect("a store");
    until_it_answers(&shared(&stores)).await;
    let before = redis.info("total_connections_received").await;
    for _ in 0..5 {
        let next = open(entry.clone(), &metrics, Some(&stores)).expect("a store");
        stores = next;
        assert!(pong(&shared(&stores)).await.is_ok());
    }
    assert_eq!(redis.info("total_connections_received").await, before + 1, "only the one that asks");
    let changed = json!({ "redis": redis.url(), "timeout": "10s", "connections": 3 });
    let stores = open(changed, &metrics, Some(&stores)).expect("a store");
    assert!(pong(&shared(&stores)).await.is_ok());
    assert_eq!(redis.info("total_connections_received").await, before + 5);
}

#[tokio::test]
async fn a_store_that_is_down_is_down_after_a_reload() {
    let mut redis = redis().await;
    redis.kill().await;
    let entry = json!({ "redis": redis.url(), "timeout": "10s" });
    let stores = open(entry.clone(), &Metrics::new(), None).expect("a store");
    until_it_is_down(&shared(&stores)).await;
    let next = open(entry, &Metrics::new(), Some(&stores)).expect("a store");
    assert!(!shared(&next).is_up());
}

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Because they are ended, and not because they see some time later that nobody wants them any more.
async fn all_tasks_end() {
    let end = wait_until("all tasks have ended", || tasks() == 0);
    tokio::time::timeout(Duration::from_millis(800), end).await.expect("they end at once");
}

#[tokio::test]
async fn nothing_outlives_the_last_handle_of_a_server_that_is_up() {
    let redis = redis().await;
    let store = redis.store(LONG);
    until_it_answers(&store).await;
    let _ = store.exclusive(b"", async |connection| cmd("PING").query_async::<()>(connection).await).await;
    assert!(tasks() > 0);
    let another = store.clone();
    drop(store);
    assert!(pong(&another).await.is_ok());
    drop(another);
    all_tasks_end().await;
    assert_eq!(redis.info("connected_clients").await, 1, "the one that asks");
}

#[tokio::test]
async fn nothing_outlives_the_last_handle_of_a_server_that_is_down() {
    let mut redis = redis().await;
    redis.kill().await;
    let store = redis.store(LONG);
    until_it_is_down(&store).await;
    assert!(tasks() > 0, "it is looked for");
    drop(store);
    all_tasks_end().await;
}

#[tokio::test]
async fn nothing_outlives_the_last_handle_of_a_server_that_hangs() {
    let redis = redis().await;
    let store = redis.store(Duration::from_millis(50));
    until_it_answers(&store).await;
    redis.stop_answering();
    until_it_is_down(&store).await;
    drop(store);
    all_tasks_end().await;
}

#[tokio::test]
async fn nothing_outlives_the_last_handle_of_a_cluster() {
    let mut cluster = redis_cluster().await;
    let store = cluster.store(LONG);
    for index in 0..3 {
        let key = cluster.key_of(index).await;
        let _: Option<String> = store.command(cmd("GET").arg(key)).await.expect("an answer");
    }
    drop(store);
    all_tasks_end().await;

    let (store, key) = (cluster.store(LONG), cluster.key_of(1).await);
    cluster.server(1).kill().await;
    assert!(store.command::<Option<String>>(cmd("GET").arg(key)).await.is_err());
    assert!(tasks() > 0);
    drop(store);
    all_tasks_end().await;
}

#[tokio::test]
async fn operators_see_calls_failures_and_whether_it_is_up() {
    let mut redis = redis().await;
    let metrics = Metrics::new();
    let network = slow_proxy(redis.addr(), Duration::ZERO).await;
    let entry = json!({ "redis": format!("redis://{}", network.addr()), "timeout": "100ms" });
    let stores = open(entry, &metrics, None).expect("a store");
    let store = shared(&stores);
    let up = || value(&metrics, "tidegate_store_up", &["shared"]);
    let requests = || value(&metrics, "tidegate_store_requests_total", &["shared"]);
    let errors = |kind: &str| value(&metrics, "tidegate_store_errors_total", &[kind, "shared"]);
    assert_eq!((up(), requests()), (Some(1), Some(0)));
    until_it_answers(&store).await;
    assert_eq!(errors("refused"), Some(0));
    // A call that a busy machine made too slow is another error.
    wait_until_async("it refuses nonsense", async || {
        let nonsense = store.command::<()>(&cmd("NONSENSE")).await;
        matches!(nonsense.expect_err("no such command"), StoreError::Refused { .. })
    })
    .await;
    assert_eq!(errors("refused"), Some(1));
    network.delay(Duration::from_secs(60));
    until_it_is_down(&store).await;
    assert!(up() == Some(0) && errors("timeout") >= Some(3));
    redis.kill().await;
    network.delay(Duration::ZERO);
    until_it_is_down(&store).await;
    redis.restart().await;
    until_it_answers(&store).await;
    assert_eq!(up(), Some(1));
    wait_until_async("a call breaks with its connection", async || {
        network.cut();
        let _ = pong(&store).await;
        errors("unreachable") > Some(0)
    })
    .await;
    let down = errors("down").expect("it was down");
    assert!(requests().expect("it was asked") >= down + 5);
    drop((stores, store));
    assert_eq!(up(), None, "a store that is gone is neither up nor down");
}

/// The value of a metric whose labels, sorted by name, have these values.
fn value(metrics: &Metrics, name: &str, labels: &[&str]) -> Option<i64> {
    let family = metrics.registry().gather().into_iter().find(|family| family.name() == name)?;
    let metric = family
        .get_metric()
        .iter()
        .find(|metric| metric.get_label().iter().map(|l| l.value()).eq(labels.iter().copied()))?;
    let (counter, gauge) = (metric.get_counter().get_value(), metric.get_gauge().get_value());
    Some((counter + gauge) as i64)
}

#[tokio::test]
async fn a_store_that_changes_stays_in_the_metrics() {
    let redis = redis().await;
    let metrics = Metrics::new();
    let old: Stores = open(json!({ "redis": redis.url(), "timeout": "10s" }), &metrics, None).expect("a store");
    let new = open(json!({ "redis": redis.url(), "timeout": "9s" }), &metrics, Some(&old)).expect("a store");
    drop(old);
    assert_eq!(value(&metrics, "tidegate_store_up", &["shared"]), Some(1));
    drop(new);
    assert_eq!(value(&metrics, "tidegate_store_up", &["shared"]), None);
}
