//! When no token can be had (F39).

use serde_json::json;
use tidegate_testkit::{Script, gateway, manual_clock, refusing, upstream, wait_until_async};
use tidegate_upstream_oauth::UpstreamOauth;

use crate::world::{SECOND, World, says, token, yaml};

#[tokio::test]
async fn the_last_token_is_used_while_it_is_good_and_then_requests_are_503() {
    let world = World::new(token("t-1", 600), "").await;
    world.passes().await;
    world.rests().await;
    world.server.set("/token", Script::status(500));
    world.clock.advance(540 * SECOND);
    world.fetched("failed", 1).await;
    world.clock.advance(59 * SECOND);
    assert_eq!(world.passes().await.as_deref(), Some("Bearer t-1"));
    world.fetched("failed", 2).await;
    world.upstream.forget();
    world.clock.advance(SECOND);
    let answer = world.get().await.expect(503);
    assert_eq!(answer.json()["code"], "upstream_token_unavailable");
    let retry = answer.header("retry-after").and_then(|value| value.parse::<u32>().ok()).expect("a number");
    assert!((1..=30).contains(&retry), "{retry}");
    assert!(world.upstream.requests().is_empty());
    assert_eq!(world.gateway.metric("tidegate_upstream_oauth_missing_total", &[("route", "crm")]).await, 1.0);

    world.server.set("/token", token("t-2", 600));
    world.clock.advance(30 * SECOND);
    world.fetched("ok", 2).await;
    assert_eq!(world.passes().await.as_deref(), Some("Bearer t-2"));
}

#[tokio::test]
async fn requests_do_not_make_a_server_that_fails_busier() {
    let world = World::new(Script::status(503), "max_backoff: 30s").await;
    world.fetched("failed", 1).await;
    for _ in 0..50 {
        world.get().await.expect(503);
    }
    assert_eq!(world.asked(), 1);
    // Tries come after pauses of 1, 2, 4, 8, 16, 30, 30, … seconds, each up to a tenth shorter.
    for (nth, pause) in [1, 2, 4, 8, 16, 30, 30].into_iter().enumerate() {
        world.rests().await;
        let asked = world.asked();
        world.clock.advance(pause * SECOND * 8 / 10);
        world.get().await.expect(503);
        assert_eq!(world.asked(), asked, "{nth}");
        world.clock.advance(pause * SECOND * 2 / 10);
        world.fetched("failed", u32::try_from(nth).expect("few") + 2).await;
    }
}

#[tokio::test]
async fn answers_that_hold_no_token_are_failures() {
    for answer in [
        says(json!({ "access_token": "t-1", "token_type": "mac", "expires_in": 60 })),
        says(json!({ "access_token": "t-1", "expires_in": 60 })),
        says(json!({ "token_type": "Bearer" })),
        says(json!({ "access_token": "t-1", "token_type": "Bearer", "expires_in": 0 })),
        Script::reply("<html>"),
        Script::reply(format!(
            "{{\"access_token\":\"t-1\",\"token_type\":\"Bearer\",\"x\":\"{}\"}}",
            "x".repeat(65536)
        )),
        says(json!({ "error": "invalid_client", "error_description": "s3+cret" })).with_status(401),
        Script::status(302).header("Location", "http://127.0.0.1:1/token"),
        Script::close(),
    ] {
        let world = World::new(answer, "").await;
        world.fetched("failed", 1).await;
        world.get().await.expect(503);
        let standing = world.standing().await;
        assert_eq!((&standing["token"], &standing["failures"]), (&json!(false), &json!(1)));
        assert!(!standing.to_string().contains("s3+cret"), "{standing}");
        assert!(world.upstream.requests().is_empty());
    }
}

#[tokio::test]
async fn a_reload_tries_at_once() {
    let world = World::new(Script::status(401), "").await;
    world.fetched("failed", 1).await;
    world.server.set("/token", token("t-1", 600));
    world.reload("client_secret: the-right-one").await;
    assert_eq!(world.passes().await.as_deref(), Some("Bearer t-1"));
}

#[tokio::test]
async fn a_request_waits_no_longer_than_the_server_may_take() {
    let world = World::new(Script::stall(), "fetch: on_demand, timeout: 100ms").await;
    world.get().await.expect(503);
    world.fetched("failed", 1).await;
}

#[tokio::test]
async fn requests_go_on_without_a_token_where_that_is_wanted() {
    let world = World::new(Script::status(500), "on_failure: without_token").await;
    world.fetched("failed", 1).await;
    let request = world.gateway.request(tidegate_core::Method::GET, "/x");
    request.header("Authorization", "Bearer of-the-client").send().await.expect(200);
    assert_eq!(world.sent(), None, "and never with the client's own");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_503_and_not_a_500() {
    let (nobody, upstream, clock) = (refusing(), upstream().reply("/*", "let through").start().await, manual_clock());
    let yaml = yaml(&nobody.addr().to_string(), &upstream, "", "client: crm");
    let gateway = gateway().plugin::<UpstreamOauth>().clock(&clock).start(&yaml).await;
    gateway.get("/x").await.expect(503);
    wait_until_async("a failure", async || {
        gateway.metric("tidegate_upstream_oauth_fetches_total", &[("result", "failed")]).await >= 1.0
    })
    .await;
}

#[tokio::test]
async fn a_token_that_has_ended_before_it_came_is_a_failure_and_not_asked_for_again_at_once() {
    let answer = json!({ "access_token": "t-1", "token_type": "Bearer", "expires_in": 1e-12 });
    let world = World::new(says(answer), "timeout: 5s").await;
    world.fetched("failed", 1).await;
    for _ in 0..5 {
        world.get().await.expect(503);
    }
    assert_eq!(world.asked(), 1);
    assert!(world.standing().await["error"].as_str().expect("a text").contains("before it came"));
}
