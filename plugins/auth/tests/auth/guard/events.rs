//! What others are told.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tidegate_testkit::{Recorded, Script, upstream};

use super::kit::{ELSEWHERE, HERE, Kit, OPEN, config, kit};
use crate::issuing::site::PASSWORD;

const SECRET: &str = "a secret that the receiver has, too";

fn hook(addr: std::net::SocketAddr, more: &str) -> String {
    format!(
        "{OPEN}, attempts: {{ client: 100, account: 100 }}, lockout: {{ failures: 2 }}, \
         events: {{ webhook: {{ url: \"http://{addr}/hook\", secret: \"{SECRET}\"{more} }} }}"
    )
}

/// What was told, if its signature is right.
fn told(request: &Recorded) -> Value {
    let header = |name| request.header(name).unwrap_or_else(|| panic!("no {name}"));
    let signed = format!("{}.{}.{}", header("webhook-id"), header("webhook-timestamp"), request.text());
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = STANDARD.encode(hmac::sign(&key, signed.as_bytes()));
    assert_eq!(header("webhook-signature"), format!("v1,{signature}"));
    serde_json::from_str(&request.text()).expect("JSON")
}

async fn login(kit: &Kit, client: &str, country: &str, agent: &str) -> Value {
    let body = json!({ "name": "jane", "password": PASSWORD });
    let request = kit.post(client, "/auth/login", &body).header("x-country", country).header("user-agent", agent);
    request.send().await.expect(200).json()
}

#[tokio::test]
async fn a_login_from_another_country_or_device_is_told_once() {
    let receiver = upstream().reply("/hook", "").start().await;
    let kit = kit(&hook(receiver.addr(), ", events: [login_new]")).await;
    kit.sign_up("jane").await;
    login(&kit, HERE, "DE", "browser").await;
    login(&kit, HERE, "DE", "browser").await;
    login(&kit, ELSEWHERE, "FR", "browser").await;
    login(&kit, ELSEWHERE, "FR", "browser").await;
    login(&kit, HERE, "DE", "phone").await;
    let requests = receiver.wait_for(2).await;
    let mut told: Vec<Value> = requests.iter().map(told).collect();
    told.sort_by_key(|told| told["data"]["new"].to_string());
    for (told, (new, country, client, agent)) in
        told.iter().zip([("device", "DE", HERE, "phone"), ("place", "FR", ELSEWHERE, "browser")])
    {
        assert_eq!(told["type"], "login_new");
        let data = &told["data"];
        assert_eq!(
            (&data["new"], &data["country"], &data["client"], &data["agent"]),
            (&json!([new]), &country.into(), &client.into(), &agent.into())
        );
        assert!(data["user"].is_string() && data["session"].is_string() && data["request_id"].is_string(), "{data}");
    }
    assert_eq!(kit.gateway.metric("tidegate_auth_events_total", &[("event", "login_new")]).await, 2.0);
}

#[tokio::test]
async fn everything_is_told_and_nothing_secret_is() {
    let receiver = upstream().reply("/hook", "").start().await;
    let kit = kit(&hook(receiver.addr(), "")).await;
    kit.sign_up("jane").await;
    let tokens = login(&kit, HERE, "DE", "browser").await;
    for _ in 0..2 {
        kit.fail(HERE, "jane").await;
    }
    let requests = receiver.wait_for(5).await;
    let mut kinds: Vec<String> = requests.iter().map(|r| told(r)["type"].as_str().expect("a text").into()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["lockout", "login", "login_failed", "login_failed", "signup"]);
    for secret in [PASSWORD, "wrong password", tokens["access_token"].as_str().expect("a token"), SECRET] {
        assert!(requests.iter().all(|request| !request.text().contains(secret)), "{secret}");
    }
}

#[tokio::test]
async fn what_the_receiver_did_not_take_is_told_again_also_by_the_configuration_after() {
    let receiver = upstream().route("/hook", Script::status(500)).start().await;
    let limits = hook(receiver.addr(), ", events: [login]");
    let kit = kit(&limits).await;
    kit.sign_up("jane").await;
    login(&kit, HERE, "DE", "browser").await;
    let first = receiver.wait_for(1).await[0].header("webhook-id").map(str::to_owned);
    let yaml = config(&kit.upstream, &kit.dir, &limits.replace("failures: 2", "failures: 3"));
    kit.gateway.reload(&yaml).await.expect("a good configuration");
    receiver.set("/hook", Script::status(204));
    let failed = async || kit.gateway.metric("tidegate_auth_webhook_queue", &[]).await == 1.0;
    tidegate_testkit::wait_until_async("it waits", failed).await;
    // Again, as long as nobody has begun to wait for the time.
    tidegate_testkit::wait_until("it is told again", || {
        kit.clock.advance(Duration::from_secs(1));
        receiver.requests().len() >= 2
    })
    .await;
    let requests = receiver.wait_for(2).await;
    assert_eq!(requests[1].header("webhook-id").map(str::to_owned), first);
    let told = async || kit.gateway.metric("tidegate_auth_webhook_calls_total", &[("result", "ok")]).await == 1.0;
    tidegate_testkit::wait_until_async("it is told", told).await;
}

#[tokio::test]
async fn what_is_due_when_the_gateway_ends_is_still_told() {
    let receiver = upstream().reply("/hook", "").start().await;
    let kit = kit(&hook(receiver.addr(), ", events: [login, signup]")).await;
    kit.sign_up("jane").await;
    login(&kit, HERE, "DE", "browser").await;
    assert!(kit.gateway.shutdown().await);
    assert_eq!(receiver.requests().len(), 2);
}
