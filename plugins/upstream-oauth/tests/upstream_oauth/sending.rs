//! What the upstream gets (F39).

use tidegate_core::Method;
use tidegate_testkit::{Http, Script};

use crate::world::{World, token};

#[tokio::test]
async fn the_gateways_token_takes_the_place_of_the_clients() {
    let world = World::new(token("t-1", 3600), "").await;
    for http in Http::BOTH {
        world.upstream.forget();
        let request = world.gateway.request(Method::GET, "/x").by(http);
        request.header("Authorization", "Bearer of-the-client").header("X-Other", "stays").send().await.expect(200);
        let seen = world.upstream.request();
        assert_eq!(seen.headers.all("authorization").collect::<Vec<_>>(), ["Bearer t-1"]);
        assert_eq!(seen.header("x-other"), Some("stays"));
    }
}

#[tokio::test]
async fn a_client_can_not_have_the_token_taken_out() {
    let world = World::new(token("t-1", 3600), "").await;
    let answer = world
        .gateway
        .raw("GET /x HTTP/1.1\r\nHost: a.test\r\nAuthorization: x\r\nConnection: close, authorization\r\n\r\n")
        .await;
    assert_eq!(answer.status(), Some(200), "{}", answer.text());
    assert_eq!(world.sent().as_deref(), Some("Bearer t-1"));
}

#[tokio::test]
async fn field_and_word_are_chosen_by_the_route() {
    let world = World::with(token("t-1", 3600), "", "client: crm, header: X-Access-Token, prefix: \"\"").await;
    let request = world.gateway.request(Method::GET, "/x").header("Authorization", "Basic own");
    request.header("X-Access-Token", "forged").send().await.expect(200);
    let seen = world.upstream.request();
    assert_eq!(seen.headers.all("x-access-token").collect::<Vec<_>>(), ["t-1"]);
    assert_eq!(seen.header("authorization"), Some("Basic own"));

    let world = World::with(token("t-1", 3600), "", "client: crm, prefix: Token").await;
    assert_eq!(world.passes().await.as_deref(), Some("Token t-1"));
}

#[tokio::test]
async fn a_401_has_the_token_fetched_anew_but_only_once_in_a_while() {
    let world = World::new(token("t-1", 3600), "refetch: 30s").await;
    assert_eq!(world.passes().await.as_deref(), Some("Bearer t-1"));
    world.server.set("/token", token("t-2", 3600));
    world.upstream.set("/*", Script::status(401));
    for _ in 0..20 {
        world.get().await.expect(401);
    }
    world.fetched("ok", 2).await;
    // The upstream doesn't take the new one either, and nobody storms the server for it.
    for _ in 0..20 {
        world.get().await.expect(401);
    }
    assert_eq!(world.sent().as_deref(), Some("Bearer t-2"));
    assert_eq!(world.asked(), 2);
    let labels = [("client", "crm")];
    assert_eq!(world.gateway.metric("tidegate_upstream_oauth_rejected_total", &labels).await, 40.0);

    world.clock.advance(std::time::Duration::from_secs(30));
    world.server.set("/token", token("t-3", 3600));
    world.get().await.expect(401);
    world.upstream.set("/*", Script::reply("let through"));
    assert_eq!(world.passes().await.as_deref(), Some("Bearer t-3"), "who comes meanwhile waits for the new one");
    assert_eq!(world.asked(), 3);
}

#[tokio::test]
async fn when_the_new_token_can_not_be_had_the_old_one_is_used_on() {
    let world = World::new(token("t-1", 3600), "").await;
    world.passes().await;
    world.server.set("/token", Script::status(500));
    world.upstream.set("/*", Script::status(401));
    world.get().await.expect(401);
    world.fetched("failed", 1).await;
    world.upstream.set("/*", Script::reply("let through"));
    assert_eq!(world.passes().await.as_deref(), Some("Bearer t-1"));
}
