//! A second factor: set up, asked for, taken away.

use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::hmac;
use http::Method;
use serde_json::{Value, json};
use tidegate_core::TimeSource as _;
use tidegate_testkit::Answer;

use crate::issuing::site::{PASSWORD, Pair, Site, code, pair, post, site};
use crate::support::bearer;

/// Base32 (RFC 4648 section 6).
fn decoded(secret: &str) -> Vec<u8> {
    let digit = |c: u8| if c < b'A' { c - b'2' + 26 } else { c - b'A' };
    let bits: Vec<u8> = secret.bytes().flat_map(|c| (0..5).rev().map(move |bit| digit(c) >> bit & 1)).collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | bit)).collect()
}

/// What an app computes (RFC 6238), by itself.
pub(crate) fn app(secret: &str, seconds: u64) -> String {
    let bytes = decoded(secret);
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes), &(seconds / 30).to_be_bytes());
    let mac = mac.as_ref();
    let at = usize::from(mac[19] & 15);
    let word = u32::from_be_bytes([mac[at], mac[at + 1], mac[at + 2], mac[at + 3]]) & 0x7fff_ffff;
    format!("{:06}", word % 1_000_000)
}

/// The code of `steps` from now.
fn at(site: &Site, secret: &str, steps: i64) -> String {
    let now = site.clock.wall().duration_since(UNIX_EPOCH).expect("later").as_secs();
    app(secret, now.checked_add_signed(30 * steps).expect("after 1970"))
}

/// One that is wrong now and in all steps near.
fn wrong(site: &Site, secret: &str) -> String {
    let right: Vec<_> = (-2..=2).map(|steps| at(site, secret, steps)).collect();
    (0..).map(|n: u32| format!("{n:06}")).find(|code| !right.contains(code)).expect("there are more")
}

async fn call(site: &Site, access: &str, path: &str, body: &Value) -> Answer {
    post(&site.gateway, path, body).header("authorization", bearer(access)).send().await
}

async fn login(site: &Site, code: Option<&str>) -> Answer {
    let mut body = json!({ "name": "jane", "password": PASSWORD });
    if let Some(code) = code {
        body["totp"] = code.into();
    }
    post(&site.gateway, "/auth/login", &body).send().await
}

/// Jane with a second factor: her login, and the secret. Some time has passed since its code was used.
async fn with_factor(site: &Site) -> (Pair, String) {
    let jane = site.join("jane").await;
    let set_up =
        call(site, &jane.access, "/auth/totp/setup", &json!({ "password": PASSWORD })).await.expect(200).json();
    let secret = set_up["secret"].as_str().expect("a secret").to_owned();
    call(site, &jane.access, "/auth/totp/confirm", &json!({ "totp": at(site, &secret, 0) })).await.expect(204);
    site.pass(300);
    (jane, secret)
}

#[tokio::test]
async fn it_is_asked_for_once_it_was_confirmed_and_a_code_is_good_once() {
    let site = site("").await;
    let jane = site.join("jane").await;
    let set_up =
        call(&site, &jane.access, "/auth/totp/setup", &json!({ "password": PASSWORD })).await.expect(200).json();
    let secret = set_up["secret"].as_str().expect("a secret");
    let uri = format!("otpauth://totp/api.test:jane?secret={secret}&issuer=api.test&algorithm=SHA1&digits=6&period=30");
    assert_eq!(set_up["uri"], uri);
    login(&site, None).await.expect(200);
    let bad =
        call(&site, &jane.access, "/auth/totp/confirm", &json!({ "totp": wrong(&site, secret) })).await.expect(403);
    assert_eq!(code(&bad), "totp_invalid");
    login(&site, None).await.expect(200);
    let confirmed = at(&site, secret, 0);
    call(&site, &jane.access, "/auth/totp/confirm", &json!({ "totp": confirmed })).await.expect(204);
    assert_eq!(code(&login(&site, None).await.expect(401)), "totp_required");
    assert_eq!(code(&login(&site, Some(&confirmed)).await.expect(401)), "totp_invalid");
    site.pass(30);
    let now = at(&site, secret, 0);
    login(&site, Some(&now)).await.expect(200);
    assert_eq!(code(&login(&site, Some(&now)).await.expect(401)), "totp_invalid", "used");
    let events = async |event| site.gateway.metric("tidegate_auth_events_total", &[("event", event)]).await;
    assert_eq!((events("totp_enabled").await, events("totp_disabled").await), (1.0, 0.0));
}

/// Two at once with the same code: it is used by one.
#[tokio::test]
async fn of_two_logins_with_one_code_at_once_one_gets_in() {
    let site = site("").await;
    let (_, secret) = with_factor(&site).await;
    let now = at(&site, &secret, 0);
    let (one, other) = futures_util::future::join(login(&site, Some(&now)), login(&site, Some(&now))).await;
    assert_eq!(one.status.min(other.status), 200);
    assert_eq!(one.status.max(other.status), 401);
}

#[tokio::test]
async fn clocks_may_differ_by_one_step_and_not_by_two() {
    let site = site("").await;
    let (_, secret) = with_factor(&site).await;
    for steps in [-2, 2] {
        login(&site, Some(&at(&site, &secret, steps))).await.expect(401);
    }
    for steps in [-1, 1] {
        login(&site, Some(&at(&site, &secret, steps))).await.expect(200);
    }
    site.pass(300);
    site.reload("totp: { window: 0 }").await;
    login(&site, Some(&at(&site, &secret, -1))).await.expect(401);
    login(&site, Some(&at(&site, &secret, 0))).await.expect(200);
}

/// Whoever guesses codes knows the password, and may come from anywhere.
#[tokio::test]
async fn codes_are_not_guessed_even_where_attempts_are_not_limited() {
    let site = site("").await;
    let (_, secret) = with_factor(&site).await;
    for _ in 0..20 {
        login(&site, Some(&wrong(&site, &secret))).await.expect(401);
    }
    let refused = login(&site, Some(&at(&site, &secret, 0))).await.expect(429);
    assert_eq!(refused.header("retry-after"), Some("3600"));
    site.pass(3600);
    login(&site, Some(&at(&site, &secret, 0))).await.expect(200);
}

/// A wrong password must not say whether a code was right, nor use it up.
#[tokio::test]
async fn a_code_counts_only_with_the_right_password() {
    let site = site("").await;
    let (_, secret) = with_factor(&site).await;
    let now = at(&site, &secret, 0);
    for totp in [&now, "000000"] {
        let body = json!({ "name": "jane", "password": "wrong password that is long", "totp": totp });
        let answer = post(&site.gateway, "/auth/login", &body).send().await.expect(401);
        assert_eq!(code(&answer), "invalid_credentials");
    }
    login(&site, Some(&now)).await.expect(200);
}

#[tokio::test]
async fn it_is_taken_away_by_who_knows_the_password_and_has_the_device() {
    let site = site("").await;
    let (jane, secret) = with_factor(&site).await;
    let again = call(&site, &jane.access, "/auth/totp/setup", &json!({ "password": PASSWORD })).await.expect(409);
    assert_eq!(code(&again), "totp_on", "a stolen token replaces nothing");
    let now = at(&site, &secret, 0);
    let bad = [
        (json!({ "password": "wrong password that is long", "totp": now }), "invalid_credentials"),
        (json!({ "password": PASSWORD, "totp": wrong(&site, &secret) }), "totp_invalid"),
    ];
    for (body, why) in bad {
        assert_eq!(code(&call(&site, &jane.access, "/auth/totp/remove", &body).await.expect(403)), why);
    }
    call(&site, &jane.access, "/auth/totp/remove", &json!({ "totp": now })).await.expect(400);
    let body = json!({ "password": PASSWORD, "totp": now });
    call(&site, &jane.access, "/auth/totp/remove", &body).await.expect(204);
    login(&site, None).await.expect(200);
    assert_eq!(code(&call(&site, &jane.access, "/auth/totp/remove", &body).await.expect(409)), "totp_off");
}

#[tokio::test]
async fn an_operator_takes_it_away_when_the_device_is_lost() {
    let site = site("").await;
    with_factor(&site).await;
    login(&site, None).await.expect(401);
    let request = site.gateway.request(Method::PUT, "/auth/users?name=jane&totp=off").to(site.gateway.admin_addr());
    assert_eq!(request.send().await.expect(200).json()["totp"], false);
    login(&site, None).await.expect(200);
}

#[tokio::test]
async fn it_survives_a_restart_and_the_store_alone_does_not_give_it_away() {
    let site = site("").await;
    let (_, secret) = with_factor(&site).await;
    let site = site.restart("").await;
    login(&site, Some(&at(&site, &secret, 0))).await.expect(200);
    let bytes = decoded(&secret);
    let store = std::fs::read(site.folder().join("auth.redb")).expect("read");
    assert!(!store.windows(bytes.len()).any(|window| window == bytes), "the secret is in the store");
    assert!(!store.windows(secret.len()).any(|window| window == secret.as_bytes()));
}

#[tokio::test]
async fn it_can_be_left_out() {
    let site = site("totp: { enabled: false }").await;
    let jane = site.join("jane").await;
    call(&site, &jane.access, "/auth/totp/setup", &json!({})).await.expect(404);
    call(&site, "none", "/auth/totp/confirm", &json!({ "totp": "000000" })).await.expect(404);
    let _ = pair(&login(&site, None).await.expect(200));
    assert_eq!(site.clock.passed(), Duration::ZERO);
}

#[tokio::test]
async fn a_stolen_token_sets_none_up() {
    let site = site("").await;
    let jane = site.join("jane").await;
    call(&site, &jane.access, "/auth/totp/setup", &json!({})).await.expect(400);
    let guess = json!({ "password": "not the password" });
    let answer = call(&site, &jane.access, "/auth/totp/setup", &guess).await.expect(403);
    assert_eq!(code(&answer), "invalid_credentials");
    login(&site, None).await.expect(200);
}
