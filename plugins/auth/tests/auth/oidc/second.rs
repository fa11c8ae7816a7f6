//! A second factor is asked for although the provider knows who it is.

use std::time::UNIX_EPOCH;

use http::Method;
use serde_json::{Value, json};
use tidegate_core::TimeSource as _;
use tidegate_testkit::Answer;

use super::kit::{World, changed_world, closed, cookie, is_over};
use crate::issuing::site::{code, pair, part, post, status};
use crate::second_factor::app;
use crate::support::bearer;

const LINKED: &str = "client_secret: s, link: verified_email";

/// Ada has an account with a second factor, which the provider's ada is linked to: its id, and the secret.
async fn with_factor(more: &str, service: &str) -> (World, Value, String) {
    let world = changed_world(&format!("{LINKED}{more}"), service, closed).await;
    let ada = world.operator(Method::POST, "name=ada@mail.test").await;
    let login = json!({ "name": "ada@mail.test", "password": ada["password"] });
    let answer = post(&world.gateway, "/auth/login", &login).send().await.expect(200);
    let set_up = json!({ "password": ada["password"] });
    let as_ada = |path: &str, body: &Value| {
        let request = post(&world.gateway, path, body);
        match cookie(&answer, "__Host-access") {
            Some(access) => {
                let csrf = cookie(&answer, "__Host-csrf").expect("a token");
                request
                    .header("x-csrf-token", csrf.split_once('=').expect("a value").1.to_owned())
                    .header("cookie", access)
            }
            None => request.header("authorization", bearer(&pair(&answer).access)),
        }
    };
    let set_up = as_ada("/auth/totp/setup", &set_up).send().await.expect(200).json();
    let secret = set_up["secret"].as_str().expect("a secret").to_owned();
    let now = json!({ "totp": current(&world, &secret) });
    as_ada("/auth/totp/confirm", &now).send().await.expect(204);
    world.clock.advance(std::time::Duration::from_secs(300));
    (world, ada["id"].clone(), secret)
}

fn current(world: &World, secret: &str) -> String {
    app(secret, world.clock.wall().duration_since(UNIX_EPOCH).expect("later").as_secs())
}

async fn known_there(world: &World, query: &str) -> Answer {
    let sent = world.begin(query).await;
    let mut claims = world.claims("ada", &sent);
    (claims["email"], claims["email_verified"]) = (json!("ada@mail.test"), json!(true));
    world.grants(&super::kit::KEY.token(&claims));
    world.back_with_code(&sent).await
}

async fn with_code(world: &World, cookie: &str, code: &str) -> Answer {
    post(&world.gateway, "/auth/login/op", &json!({ "totp": code })).header("cookie", cookie).send().await
}

#[tokio::test]
async fn the_provider_s_word_and_the_code_together_log_in() {
    let (world, ada, secret) = with_factor("", "").await;
    let answer = known_there(&world, "?return_to=/notes").await.expect(401);
    assert_eq!(code(&answer), "totp_required");
    assert!(cookie(&answer, "__Host-access").is_none());
    let attempt = cookie(&answer, "__Host-login-op").expect("it goes on");
    let wrong = with_code(&world, &attempt, "000000x").await.expect(401);
    assert_eq!(code(&wrong), "totp_invalid");
    let answer = with_code(&world, &attempt, &current(&world, &secret)).await.expect(200);
    assert!(is_over(&answer));
    assert_eq!(answer.json()["return_to"], "/notes");
    let pair = pair(&answer);
    assert_eq!(part(&pair.access, 1)["sub"], ada);
    assert_eq!(status(&world.gateway, &pair.access).await, 200);
    let used = with_code(&world, &attempt, &current(&world, &secret)).await.expect(401);
    assert_eq!(code(&used), "totp_invalid");
    assert_eq!((world.counted("totp_required").await, world.counted("totp_invalid").await), (1.0, 2.0));
    assert_eq!(world.counted("logged_in").await, 1.0);
}

#[tokio::test]
async fn a_browser_is_sent_to_the_page_that_asks_for_it() {
    let (world, _, secret) = with_factor(", totp_page: /code", "delivery: { cookie: {} }").await;
    let answer = known_there(&world, "?return_to=/notes").await.expect(303);
    assert_eq!(answer.header("location"), Some("/code"));
    assert!(cookie(&answer, "__Host-access").is_none());
    let attempt = cookie(&answer, "__Host-login-op").expect("it goes on");
    let answer = with_code(&world, &attempt, &current(&world, &secret)).await.expect(200);
    assert_eq!(answer.json()["return_to"], "/notes");
    assert!(answer.json().get("access_token").is_none() && is_over(&answer));
    let access = cookie(&answer, "__Host-access").expect("logged in");
    world.gateway.request(Method::GET, "/app").header("cookie", access).send().await.expect(200);
}

#[tokio::test]
async fn the_code_alone_is_nothing_and_an_attempt_that_has_just_begun_is_no_proof() {
    let (world, _, secret) = with_factor("", "").await;
    let now = current(&world, &secret);
    assert_eq!(code(&with_code(&world, "", &now).await.expect(400)), "login_not_begun");
    let begun = world.begin("").await;
    assert_eq!(code(&with_code(&world, &begun.cookie, &now).await.expect(400)), "login_not_begun");
    let attempt = cookie(&known_there(&world, "").await.expect(401), "__Host-login-op").expect("it goes on");
    // What waits for a code is no attempt to come back with.
    let back = world.back(&attempt, &[("code", "good"), ("state", "x")]).await.expect(400);
    assert_eq!(code(&back), "login_not_begun");
    for body in [json!({}), json!({ "totp": 1 }), json!({ "totp": now, "user": "eve" })] {
        post(&world.gateway, "/auth/login/op", &body).header("cookie", &*attempt).send().await.expect(400);
    }
    // A form of another site can't send it.
    let form = world.gateway.post("/auth/login/op").header("cookie", &*attempt);
    form.header("content-type", "text/plain").body(json!({ "totp": now }).to_string()).send().await.expect(415);
    world.clock.advance(std::time::Duration::from_secs(300));
    let late = with_code(&world, &attempt, &current(&world, &secret)).await.expect(400);
    assert_eq!(code(&late), "login_not_begun");
}

#[tokio::test]
async fn who_is_disabled_or_gets_another_password_meanwhile_begins_again() {
    for change in ["disabled=true", "password=new"] {
        let (world, _, secret) = with_factor("", "").await;
        let attempt = cookie(&known_there(&world, "").await.expect(401), "__Host-login-op").expect("it goes on");
        world.operator(Method::PUT, &format!("name=ada@mail.test&{change}")).await;
        let answer = with_code(&world, &attempt, &current(&world, &secret)).await.expect(401);
        assert_eq!(code(&answer), "login_refused", "{change}");
    }
}
