//! Two gateways and one Redis: a browser comes back to another one.

use http::Method;
use tidegate_testkit::{redis, upstream, wait_until_async};

use super::kit::{KEY, OPEN, issuer, provider, section, sent};
use crate::issuing::site::{code, pair, status, yaml};
use crate::support::with_auth;

#[tokio::test]
async fn a_login_that_was_begun_on_one_gateway_ends_on_another_once() {
    let (op, app, redis) = (provider().await, upstream().reply("/*", "ok").start().await, redis().await);
    let store = "{ redis: shared, secret: \"a secret that all gateways have, long enough\" }";
    let stores = format!("stores: {{ shared: {{ redis: \"{}\", timeout: 10s }} }}\n", redis.url());
    let config = stores + &yaml(&app, store, &section(&op, OPEN, ""), "");
    let (one, two) = futures_util::join!(with_auth().start(&config), with_auth().start(&config));
    for gateway in [&one, &two] {
        wait_until_async("it has keys", async || gateway.get("/auth/login/op").await.status == 303).await;
    }
    let sent = sent(&one.get("/auth/login/op").await.expect(303));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("later").as_secs();
    let claims = serde_json::json!({
        "iss": issuer(&op), "aud": "us", "sub": "ada", "iat": now, "exp": now + 300, "nonce": sent.asked["nonce"],
    });
    let tokens = serde_json::json!({ "id_token": KEY.token(&claims), "access_token": "opaque" });
    op.set("/token", tidegate_testkit::Script::reply(tokens.to_string()));
    let path = format!("/auth/login/op/callback?code=good&state={}", sent.asked["state"]);
    let back = async |gateway: &tidegate_testkit::TestGateway| {
        gateway.request(Method::GET, &path).header("cookie", &*sent.cookie).send().await
    };
    let tokens = pair(&back(&two).await.expect(200));
    assert_eq!((status(&one, &tokens.access).await, status(&two, &tokens.access).await), (200, 200));
    assert_eq!(code(&back(&one).await.expect(400)), "invalid_callback");
}
