//! For how long what is stored is fresh (RFC 9111 sections 4.2 and 5.2).

use http::Method;
use tidegate_testkit::Script;

use crate::{is_hit, minute, stage, told};

/// Rows I2 and X19.
#[tokio::test]
async fn a_silent_upstream_means_an_hour_and_no_second_more() {
    let stage = stage("{}", Script::reply("x").header("ETag", "\"a\"")).await;
    stage.get("/a").await.expect(200);
    stage.pass(59 * 60 + 59);
    assert_eq!(told(&stage.get("/a").await), "tidegate; hit; ttl=1");
    stage.pass(2);
    stage.now(Script::status(304).header("ETag", "\"a\""));
    let revalidated = stage.get("/a").await.expect(200);
    assert_eq!(told(&revalidated), "tidegate; fwd=stale; fwd-status=304; stored; ttl=3600");
    assert_eq!((stage.asked(), revalidated.text()), (2, "x".into()));
}

#[tokio::test]
async fn what_the_upstream_says_wins_over_the_default() {
    for (value, stored, fresh) in [
        ("max-age=5", true, 5),
        ("s-maxage=7, max-age=5", true, 7),
        ("max-age=7200", true, 7200),
        ("no-store", false, 0),
        ("private", false, 0),
    ] {
        let stage = stage("{}", Script::reply("x").header("Cache-Control", value)).await;
        stage.get("/a").await.expect(200);
        stage.pass(fresh.max(1) - 1);
        assert_eq!(is_hit(&stage.get("/a").await), stored, "{value}");
        stage.pass(2);
        assert!(!is_hit(&stage.get("/a").await), "{value}");
    }
}

#[tokio::test]
async fn a_field_for_gateways_wins_and_is_passed_on() {
    let script = Script::reply("x").header("Cache-Control", "no-store").header("CDN-Cache-Control", "max-age=60");
    let stage = stage("{}", script).await;
    stage.get("/a").await.expect(200);
    let hit = stage.get("/a").await.expect(200);
    assert!(is_hit(&hit));
    assert_eq!((hit.header("cdn-cache-control"), hit.header("cache-control")), (Some("max-age=60"), Some("no-store")));
}

#[tokio::test]
async fn time_spent_in_caches_before_this_one_counts() {
    let stage = stage("{}", minute("x").header("Age", "50")).await;
    let first = stage.get("/a").await.expect(200);
    assert_eq!(
        (first.header("age"), told(&first)),
        (Some("50"), "tidegate; fwd=uri-miss; fwd-status=200; stored; ttl=10".into())
    );
    stage.pass(9);
    let hit = stage.get("/a").await.expect(200);
    assert_eq!((hit.header("age"), told(&hit)), (Some("59"), "tidegate; hit; ttl=1".into()));
    stage.pass(1);
    assert!(!is_hit(&stage.get("/a").await));
}

#[tokio::test]
async fn clients_may_ask_for_newer_answers() {
    for (field, value, hit) in [
        ("cache-control", "no-cache", false),
        ("pragma", "no-cache", false),
        ("cache-control", "max-age=0", false),
        ("cache-control", "max-age=9", false),
        ("cache-control", "max-age=10", true),
        ("cache-control", "min-fresh=50", true),
        ("cache-control", "min-fresh=51", false),
        ("cache-control", "max-stale", true),
    ] {
        let stage = stage("{}", minute("x")).await;
        stage.get("/a").await.expect(200);
        stage.pass(10);
        let answer = stage.ask("/a", &[(field, value)]).await.expect(200);
        assert_eq!(is_hit(&answer), hit, "{value}");
        assert_eq!(told(&answer).contains("fwd=request"), !hit, "{value}: {}", told(&answer));
    }
}

#[tokio::test]
async fn clients_may_not_where_the_route_says_so() {
    let stage = stage("respect_client: false", minute("x")).await;
    stage.get("/a").await.expect(200);
    for value in ["no-cache", "max-age=0", "no-store", "only-if-cached"] {
        assert!(is_hit(&stage.ask("/a", &[("cache-control", value), ("pragma", "no-cache")]).await), "{value}");
    }
    stage.ask("/b", &[("cache-control", "only-if-cached")]).await.expect(200);
}

#[tokio::test]
async fn a_client_that_takes_stale_answers_gets_one_unless_that_is_forbidden() {
    for (says, hit) in [
        ("max-age=60", true),
        ("max-age=60, must-revalidate", false),
        ("s-maxage=60", false),
        ("max-age=60, proxy-revalidate", false),
    ] {
        let stage = stage("{}", Script::reply("x").header("Cache-Control", says)).await;
        stage.get("/a").await.expect(200);
        stage.pass(70);
        assert!(!is_hit(&stage.ask("/a", &[("cache-control", "max-stale=5, x")]).await), "{says}");
        stage.pass(70);
        let answer = stage.ask("/a", &[("cache-control", "max-stale=10")]).await.expect(200);
        assert_eq!(told(&answer) == "tidegate; hit; ttl=-10", hit, "{says}: {}", told(&answer));
    }
}

#[tokio::test]
async fn who_wants_only_what_is_stored_gets_it_or_504() {
    let stage = stage("{}", minute("x")).await;
    let only = [("cache-control", "only-if-cached")];
    let none = stage.ask("/a", &only).await.expect(504);
    assert_eq!(told(&none), "tidegate; detail=only_if_cached");
    assert_eq!(stage.asked(), 0);
    stage.get("/a").await.expect(200);
    assert!(is_hit(&stage.ask("/a", &only).await.expect(200)));
    stage.pass(61);
    stage.ask("/a", &only).await.expect(504);
    assert_eq!(stage.asked(), 1);
}

/// RFC 9111 section 5.2.1.7, where the cache has no say in it otherwise.
#[tokio::test]
async fn who_wants_only_what_is_stored_gets_504_where_nothing_ever_is() {
    let only = ("cache-control", "only-if-cached");
    let stage = stage("bypass: { paths: [\"/never/**\"] }", minute("x")).await;
    for (path, more) in [("/never/a", ("x-a", "1")), ("/a", ("if-match", "\"a\""))] {
        let none = stage.ask(path, &[only, more]).await.expect(504);
        assert_eq!(told(&none), "tidegate; detail=only_if_cached", "{path}");
    }
    let body = stage.gateway.request(Method::GET, "/a").header(only.0, only.1).body("x").send().await;
    assert_eq!((body.status, stage.asked()), (504, 0));
    // What is unsafe is written through.
    stage.send(Method::POST, "/a", &[only]).await.expect(200);
    assert_eq!(stage.asked(), 1);
    let lenient = crate::stage("{ bypass: { paths: [\"/**\"] }, respect_client: false }", minute("x")).await;
    lenient.ask("/a", &[only]).await.expect(200);
}

#[tokio::test]
async fn the_operators_times_win_over_the_upstreams() {
    for (policy, says, fresh) in [
        ("override_ttl: 100s", "max-age=5", 100),
        ("max_ttl: 3s", "max-age=60", 3),
        ("min_ttl: 30s", "max-age=5", 30),
        ("default_ttl: 20s", "public", 20),
    ] {
        let stage = stage(policy, Script::reply("x").header("Cache-Control", says)).await;
        stage.get("/a").await.expect(200);
        stage.pass(fresh - 1);
        assert!(is_hit(&stage.get("/a").await), "{policy}");
        stage.pass(2);
        assert!(!is_hit(&stage.get("/a").await), "{policy}");
    }
}

#[tokio::test]
async fn a_guess_by_last_modified_wins_over_the_default_where_it_is_wanted() {
    // The clock is at 2026-01-01 00:00:00 UTC: unchanged for 1,000 s.
    let changed = "Wed, 31 Dec 2025 23:43:20 GMT";
    let stage = stage("heuristic: 10%", Script::reply("x").header("Last-Modified", changed)).await;
    stage.get("/a").await.expect(200);
    stage.pass(99);
    assert!(is_hit(&stage.get("/a").await));
    stage.pass(2);
    assert!(!is_hit(&stage.get("/a").await));
}
