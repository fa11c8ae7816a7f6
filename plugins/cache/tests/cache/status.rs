//! What is told of what the cache did (RFC 9211).

use tidegate_testkit::Script;

use crate::{minute, stage, told};

#[tokio::test]
async fn the_cache_speaks_after_those_before_it() {
    let stage = stage("status_header: edge-1", minute("x").header("Cache-Status", "origin; hit; ttl=1100")).await;
    let first = stage.get("/a").await.expect(200);
    assert_eq!(told(&first), "origin; hit; ttl=1100, edge-1; fwd=uri-miss; fwd-status=200; stored; ttl=60");
    assert_eq!(told(&stage.get("/a").await), "origin; hit; ttl=1100, edge-1; hit; ttl=60");
}

#[tokio::test]
async fn it_says_nothing_where_it_is_told_to() {
    let stage = stage("status_header: off", minute("x")).await;
    for _ in 0..2 {
        let answer = stage.get("/a").await.expect(200);
        assert_eq!(answer.header("cache-status"), None);
    }
    assert_eq!(stage.get("/a").await.header("age"), Some("0"));
}

#[tokio::test]
async fn an_answer_that_is_not_stored_says_why_and_keeps_its_age() {
    let stage = stage("{}", Script::reply("x").header("Cache-Control", "no-store").header("Age", "33")).await;
    let answer = stage.get("/a").await.expect(200);
    assert_eq!(
        (told(&answer).as_str(), answer.header("age")),
        ("tidegate; fwd=uri-miss; fwd-status=200; detail=no_store", Some("33"))
    );
}

#[tokio::test]
async fn every_outcome_is_counted() {
    let stage = stage("stale_if_error: 100s\nbypass: { query: [raw] }", minute("x").header("ETag", "\"a\"")).await;
    stage.get("/a").await.expect(200);
    stage.get("/a").await.expect(200);
    stage.get("/a?raw").await.expect(200);
    stage.pass(61);
    stage.now(Script::status(304).header("Cache-Control", "max-age=60"));
    stage.get("/a").await.expect(200);
    stage.pass(61);
    stage.now(Script::status(503));
    stage.get("/a").await.expect(200);
    stage.now(Script::reply("x").header("Cache-Control", "private"));
    stage.get("/b").await.expect(200);
    stage.gateway.access_log(6).await;
    let metrics = stage.gateway.metrics().await;
    let sum = |name: &str, label: (&str, &str)| {
        metrics.sum(&format!("tidegate_cache_{name}_total"), &[("zone", "main"), label])
    };
    for (result, count) in [("hit", 1.0), ("stale", 1.0), ("revalidated", 1.0), ("miss", 2.0), ("bypass", 1.0)] {
        assert_eq!(sum("requests", ("result", result)), count, "{result}");
    }
    assert_eq!(sum("bypassed", ("why", "rule")), 1.0);
    assert_eq!(sum("refused", ("why", "private")), 1.0);
    assert_eq!(metrics.sum("tidegate_cache_stored_total", &[]), 2.0);
}

/// What is stored is no hit where a plugin could not make anything of it: the client got an error.
#[tokio::test]
async fn an_answer_that_a_plugin_refuses_is_counted_as_what_the_client_got() {
    let stage = stage("{}", minute("0123456789")).await;
    stage.get("/a").await.expect(200);
    stage.get("/a").await.expect(200);
    for more in [("x-a", "1"), ("range", "bytes=0-1")] {
        let answer = stage.ask("/a", &[("x-unreadable", "1"), more]).await.expect(503);
        assert!(!answer.headers.has("cache-status"), "{more:?}: {answer:?}");
    }
    let counted = async |result| {
        stage.gateway.metric("tidegate_cache_requests_total", &[("zone", "main"), ("result", result)]).await
    };
    assert_eq!((counted("hit").await, counted("miss").await, stage.asked()), (1.0, 1.0, 1));
}
