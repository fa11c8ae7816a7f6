//! When a token is fetched, and how often (F39).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tidegate_core::Method;
use tidegate_testkit::{Client, H2Client, call, gate, wait_until_async};

use crate::world::{SECOND, World, says, token};

#[tokio::test]
async fn the_server_is_asked_as_the_rfc_says() {
    let terms = "scopes: [read, \"crm:write\"], audience: \"https://crm.test\", resource: [\"https://a.test\", \"https://b.test\"]";
    let world = World::new(token("t-1", 3600), terms).await;
    world.passes().await;
    let asked = world.server.request();
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/token"));
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    let client = format!("Basic {}", STANDARD.encode("gate%3Away:s3%2Bcret"));
    assert_eq!(asked.header("authorization"), Some(client.as_str()));
    assert_eq!(
        asked.text(),
        "grant_type=client_credentials&scope=read%20crm%3Awrite&audience=https%3A%2F%2Fcrm.test\
         &resource=https%3A%2F%2Fa.test&resource=https%3A%2F%2Fb.test"
    );
}

#[tokio::test]
async fn id_and_secret_go_in_the_body_where_the_server_wants_them_there() {
    let world = World::new(token("t-1", 3600), "auth: post").await;
    world.passes().await;
    let asked = world.server.request();
    assert_eq!(asked.header("authorization"), None);
    assert_eq!(asked.text(), "grant_type=client_credentials&client_id=gate%3Away&client_secret=s3%2Bcret");
}

#[tokio::test]
async fn a_token_is_fetched_before_anybody_asks_or_when_somebody_does() {
    let world = World::new(token("t-1", 3600), "").await;
    world.fetched("ok", 1).await;
    let world = World::new(token("t-1", 3600), "fetch: on_demand").await;
    // Its admin pages work by the same runtime: whatever begins with the configuration has begun.
    assert_eq!(world.standing().await["token"], false);
    assert_eq!(world.asked(), 0);
    assert_eq!(world.passes().await.as_deref(), Some("Bearer t-1"));
    assert_eq!(world.passes().await.as_deref(), Some("Bearer t-1"));
    assert_eq!(world.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_requests_at_once_cause_one_fetch() {
    let held = gate();
    let world = World::new(token("t-1", 3600).wait(&held), "fetch: on_demand, timeout: 30s").await;
    let mut connections: Vec<H2Client> = Vec::new();
    for _ in 0..20 {
        connections.push(world.gateway.connect_h2().await);
    }
    let ask = |nth: usize| {
        let mut client = connections[nth / 50].clone();
        tokio::spawn(async move { client.send(call(Method::GET, "/x")).await.status })
    };
    let answers: Vec<_> = (0..1000).map(ask).collect();
    wait_until_async("a thousand requests under way", async || {
        world.gateway.metric("tidegate_requests_in_flight", &[]).await >= 1000.0
    })
    .await;
    held.open();
    for answer in answers {
        assert_eq!(answer.await.expect("an answer"), 200);
    }
    assert_eq!(world.asked(), 1);
    assert_eq!(world.upstream.requests().len(), 1000);
    assert!(world.upstream.requests().iter().all(|request| request.header("authorization") == Some("Bearer t-1")));
}

#[tokio::test]
async fn a_token_is_replaced_ahead_of_its_end_and_nobody_waits_for_it() {
    let world = World::new(token("t-1", 600), "refresh_before: 60s").await;
    assert_eq!(world.passes().await.as_deref(), Some("Bearer t-1"));
    world.rests().await;
    world.server.set("/token", token("t-2", 600));
    // Up to a tenth of a minute sooner, and no more.
    world.clock.advance(533 * SECOND);
    assert_eq!(world.passes().await.as_deref(), Some("Bearer t-1"));
    assert_eq!(world.asked(), 1);
    let held = gate();
    world.server.set("/token", token("t-2", 600).wait(&held));
    world.clock.advance(7 * SECOND);
    world.server.wait_for(2).await;
    assert_eq!(world.passes().await.as_deref(), Some("Bearer t-1"), "the old one is good, and nobody waits");
    held.open();
    world.fetched("ok", 2).await;
    assert_eq!(world.passes().await.as_deref(), Some("Bearer t-2"));
    assert_eq!(world.asked(), 2);
}

#[tokio::test]
async fn a_token_that_lives_shortly_is_replaced_at_half_its_life() {
    let world = World::new(token("t-1", 40), "refresh_before: 60s").await;
    world.passes().await;
    world.rests().await;
    world.clock.advance(19 * SECOND);
    world.passes().await;
    assert_eq!(world.asked(), 1);
    world.rests().await;
    world.clock.advance(SECOND);
    world.fetched("ok", 2).await;
}

#[tokio::test]
async fn a_life_that_the_server_does_not_say_is_the_configured_one() {
    let world = World::new(says(json!({ "access_token": "t-1", "token_type": "bearer" })), "lifetime: 200s").await;
    world.passes().await;
    assert_eq!(world.standing().await["expires_in_seconds"], 200);
    let expires = async || world.gateway.metric("tidegate_upstream_oauth_token_expires_timestamp_seconds", &[]).await;
    // Told when those who wait for the token have been let go.
    wait_until_async("its end", async || expires().await > 0.0).await;
    assert_eq!(expires().await, 1_767_225_600.0 + 200.0);
}

#[tokio::test]
async fn a_reload_keeps_the_token_unless_another_one_is_asked_for() {
    let world = World::new(token("t-1", 3600), "").await;
    world.passes().await;
    world.server.set("/token", token("t-2", 3600));
    world.reload("timeout: 1s, client_secret: another").await;
    assert_eq!(world.passes().await.as_deref(), Some("Bearer t-1"));
    assert_eq!(world.asked(), 1);
    world.reload("scopes: [more]").await;
    assert_eq!(world.passes().await.as_deref(), Some("Bearer t-2"));
    assert_eq!(world.asked(), 2);
}

#[tokio::test]
async fn an_operator_sees_how_a_client_stands_and_can_have_a_token_fetched() {
    let world = World::new(token("s3cr3t-token", 3600), "scopes: [read]").await;
    world.fetched("ok", 1).await;
    world.clock.advance(Duration::from_secs(100));
    let text = world.gateway.admin("/upstream_oauth/").await.expect(200).text();
    assert!(!text.contains("s3cr3t-token") && !text.contains("s3+cret"), "{text}");
    let standing = world.standing().await;
    assert_eq!(
        (&standing["client"], &standing["token"], &standing["scopes"]),
        (&json!("crm"), &json!(true), &json!(["read"]))
    );
    assert_eq!((&standing["expires_in_seconds"], &standing["fetched_seconds_ago"]), (&json!(3500), &json!(100)));
    world.server.set("/token", token("t-2", 3600));
    let admin =
        async |path: &str| Client::connect(world.gateway.admin_addr()).await.send(call(Method::POST, path)).await;
    admin("/upstream_oauth/refetch?client=other").await.expect(400);
    admin("/upstream_oauth/refetch?client=crm").await.expect(200);
    world.fetched("ok", 2).await;
    assert_eq!(world.passes().await.as_deref(), Some("Bearer t-2"));
}
