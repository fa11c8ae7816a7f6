//! What `stores:` refuses, and that it tells no secrets.

use serde_json::{Value, json};
use tidegate_core::{Metrics, StoreConfig};
use tidegate_testkit::redis;

use crate::{configs, open, pong, shared};

fn refused(entry: Value) -> String {
    let errors = open(entry, &Metrics::new(), None).expect_err("it is wrong");
    assert!(!format!("{errors}{errors:?}").contains("hunter2"), "{errors:?}");
    errors.to_string()
}

#[test]
fn what_can_not_work_is_refused_with_its_place() {
    for (entry, place, message) in [
        (json!({}), "shared", "a store needs an address"),
        (json!({ "redis": "redis://a", "cluster": ["redis://a"] }), "shared", "a store has one kind of address"),
        (json!({ "redis": "hunter2" }), "shared.redis", "not a Redis address"),
        (json!({ "redis": "http://u:hunter2@a" }), "shared.redis", "not a Redis address"),
        (json!({ "redis": "redis://u:hunter2@" }), "shared.redis", "not a Redis address"),
        (json!({ "redis": "redis://u:hunter2@a/x" }), "shared.redis", "not a Redis address"),
        (json!({ "redis": "rediss://u:hunter2@a" }), "shared.redis", "TLS"),
        (json!({ "redis": "redis://a", "timeout": "0s" }), "shared.timeout", "no store answers in no time"),
        (json!({ "redis": "redis://a", "timeout": "11s" }), "shared.timeout", "11s is longer than any request"),
        (json!({ "redis": "redis://a", "connections": 0 }), "shared.connections", "0 connections"),
        (json!({ "redis": "redis://a", "connections": 65 }), "shared.connections", "65 connections"),
        (json!({ "cluster": [] }), "shared.cluster", "empty"),
        (json!({ "cluster": ["redis://a", "hunter2"] }), "shared.cluster[1]", "not a Redis address"),
        (json!({ "cluster": ["redis://a/1"] }), "shared.cluster[0]", "only database 0"),
        (json!({ "cluster": ["unix:///a"] }), "shared.cluster[0]", "a host and a port"),
        (json!({ "sentinel": { "nodes": [], "master": "m" } }), "shared.sentinel.nodes", "empty"),
        (json!({ "sentinel": { "nodes": ["redis://a"], "master": "m" } }), "shared.sentinel.nodes[0]", "has a port"),
        (json!({ "sentinel": { "nodes": ["redis://a:1"], "master": "" } }), "shared.sentinel.master", "needs a name"),
    ] {
        let error = refused(entry.clone());
        assert!(error.contains(message) && error.contains(place), "{entry}: {error}");
    }
    let unknown = serde_json::from_value::<StoreConfig>(json!({ "redis": "redis://a", "pool": 3 }));
    assert!(unknown.is_err());
}

#[test]
fn a_store_is_where_its_data_is_whoever_asks_for_it() {
    let place = |entry: Value| shared(&open(entry, &Metrics::new(), None).expect("a store")).place();
    let usual = place(json!({ "redis": "redis://a" }));
    for same in ["redis://a:6379", "redis://a/0", "redis://u:hunter2@a"] {
        assert_eq!(place(json!({ "redis": same, "timeout": "1s" })), usual, "{same}");
    }
    for other in ["redis://b", "redis://a:6380", "redis://a/1", "unix:///a"] {
        assert_ne!(place(json!({ "redis": other })), usual, "{other}");
    }
    let nodes = |nodes: [&str; 2]| place(json!({ "cluster": nodes }));
    assert_eq!(nodes(["redis://:hunter2@a", "redis://b"]), nodes(["redis://b", "redis://a"]));
    assert_ne!(place(json!({ "cluster": ["redis://a"] })), usual);
    let watched = |master: &str| place(json!({ "sentinel": { "nodes": ["redis://a:1"], "master": master } }));
    assert_ne!(watched("m"), watched("n"));
    assert!(!nodes(["redis://:hunter2@a", "redis://b"]).contains("hunter2"));
}

#[tokio::test]
async fn passwords_are_printed_nowhere() {
    let mut redis = redis().await;
    let entry = json!({ "redis": format!("redis://user:hunter2@{}", redis.addr()), "timeout": "10s" });
    let configs = configs(entry.clone());
    let stores = open(entry, &Metrics::new(), None).expect("a store");
    let store = shared(&stores);
    let refused = pong(&store).await.expect_err("there is no such user");
    redis.kill().await;
    let down = pong(&store).await.expect_err("it is dead");
    let sentinel = json!({ "sentinel": { "nodes": ["redis://:hunter2@a:1"], "master": "m", "password": "hunter2" } });
    let sentinel: StoreConfig = serde_json::from_value(sentinel).expect("a sentinel");
    let cause = std::error::Error::source(&refused).map(ToString::to_string);
    let printed = format!("{configs:?}{stores:?}{store:?}{refused:?}{refused}{cause:?}{down:?}{down}{sentinel:?}");
    assert!(!printed.contains("hunter2"), "{printed}");
}

#[tokio::test]
async fn a_server_behind_a_unix_socket_is_a_store() {
    let mut redis = redis().await;
    let path = redis.program().dir().join("socket");
    let path = path.to_str().expect("a path");
    // Version 7 takes it from the command line only.
    let port = redis.addr().port().to_string();
    redis.kill().await;
    let args = ["--port", &port, "--save", "", "--unixsocket", path];
    let _server =
        tidegate_testkit::program("redis-server", "redis-server").on(redis.addr().port()).args(args).start().await;
    let stores = open(json!({ "redis": format!("unix://{path}"), "timeout": "10s" }), &Metrics::new(), None);
    assert_eq!(pong(&shared(&stores.expect("a store"))).await.expect("an answer"), "PONG");
}
