//! Keys that are fetched: ahead of need, once, and kept while whoever has them is down.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tidegate_testkit::{
    Answer, ManualClock, Script, TestGateway, Upstream, certs, gate, manual_clock, refusing, upstream, wait_until_async,
};

use crate::support::{
    EDDSA, ES256, FAR, Issuer, RS256, bearer, claims, claims_with, guarded, guarded_yaml, jwks, with_auth,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Whoever has the keys, an upstream, and a gateway on a clock that stands still.
struct World {
    keys: Upstream,
    upstream: Upstream,
    clock: ManualClock,
    gateway: TestGateway,
}

impl World {
    /// With the keys of these issuers, and these settings of `fetch`.
    async fn new(issuers: &[&Issuer], fetch: &str) -> Self {
        let keys = upstream().reply("/jwks", jwks(issuers)).start().await;
        Self::of(keys, fetch).await
    }

    async fn of(keys: Upstream, fetch: &str) -> Self {
        let (clock, upstream) = (manual_clock(), upstream().reply("/*", "let through").start().await);
        let yaml = guarded_yaml(&upstream, &section(&keys, "/jwks", fetch), "require");
        let gateway = with_auth().clock(&clock).start(&yaml).await;
        Self { keys, upstream, clock, gateway }
    }

    async fn reload(&self, path: &str) {
        let yaml = guarded_yaml(&self.upstream, &section(&self.keys, path, ""), "require");
        self.gateway.reload(&yaml).await.expect("reloaded");
    }

    /// Waits until so many fetches have ended so.
    async fn fetched(&self, result: &str, count: u32) {
        wait_until_async(&format!("{count} fetches: {result}"), async || {
            fetches(&self.gateway, result).await >= f64::from(count)
        })
        .await;
    }

    fn asked(&self) -> usize {
        self.keys.requests().len()
    }

    async fn sent(&self, token: &str) -> Answer {
        sent(&self.gateway, token).await
    }
}

fn section(keys: &Upstream, path: &str, fetch: &str) -> String {
    format!(
        "{{ providers: [{{ jwt: {{ jwks: {{ url: \"http://{}{path}\", fetch: {{ {fetch} }} }} }} }}] }}",
        keys.addr()
    )
}

async fn sent(gateway: &TestGateway, token: &str) -> Answer {
    gateway.request(http::Method::GET, "/x").header("Authorization", bearer(token)).send().await
}

async fn fetches(gateway: &TestGateway, result: &str) -> f64 {
    gateway.metric("tidegate_auth_key_fetches_total", &[("provider", "jwt"), ("result", result)]).await
}

fn good(issuer: &Issuer) -> String {
    issuer.token(&claims("u1"))
}

/// A token that is good but for its `kid`.
fn with_kid(kid: &str) -> String {
    let mut header = jsonwebtoken::Header::new(RS256.algorithm);
    header.kid = Some(kid.to_owned());
    RS256.token_with(&header, &claims("u1"))
}

#[tokio::test]
async fn keys_are_fetched_before_anybody_asks() {
    let world = World::new(&[&RS256], "").await;
    world.fetched("ok", 1).await;
    for _ in 0..3 {
        world.sent(&good(&RS256)).await.expect(200);
    }
    assert_eq!(world.keys.request().header("accept"), Some("application/jwk-set+json, application/json"));
    assert_eq!(world.gateway.metric("tidegate_auth_keys", &[("provider", "jwt")]).await, 1.0);
    let fetched = world.gateway.metric("tidegate_auth_keys_fetched_timestamp_seconds", &[("provider", "jwt")]).await;
    assert_eq!(fetched, 1_767_225_600.0);
}

#[tokio::test]
async fn everybody_who_comes_first_waits_for_one_fetch() {
    let held = gate();
    let keys = upstream().route("/jwks", Script::reply(jwks(&[&RS256])).wait(&held)).start().await;
    let world = World::of(keys, "").await;
    world.keys.wait_for(1).await;
    let tokens = (0..200).map(|n| if n % 2 == 0 { good(&RS256) } else { with_kid("unknown") }).collect::<Vec<_>>();
    let all = tokens.iter().map(|token| world.sent(token));
    let (answers, ()) = tokio::join!(join_all(all), async {
        wait_until_async("some wait", async || {
            world.gateway.metric("tidegate_requests_in_flight", &[]).await > 0.0 || world.asked() > 0
        })
        .await;
        held.open();
    });
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 100, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 100, "{statuses:?}");
    // The one at the start, and the one that an unknown id may cause.
    assert!((1..=2).contains(&world.asked()), "{}", world.asked());
}

#[tokio::test]
async fn unknown_ids_cause_one_fetch_in_a_while() {
    let world = World::new(&[&RS256], "cooldown: 30s").await;
    world.fetched("ok", 1).await;
    let tokens: Vec<String> = (0..500).map(|n| with_kid(&format!("unknown-{n}"))).collect();
    for answer in join_all(tokens.iter().take(100).map(|token| world.sent(token))).await {
        assert_eq!(answer.status, 401);
    }
    assert_eq!(world.asked(), 2);
    for token in &tokens[100..] {
        world.sent(token).await.expect(401);
    }
    world.clock.advance(29 * SECOND);
    world.sent(&tokens[0]).await.expect(401);
    assert_eq!(world.asked(), 2);
    world.clock.advance(SECOND);
    for token in &tokens[..50] {
        world.sent(token).await.expect(401);
    }
    assert_eq!(world.asked(), 3);
    world.sent(&good(&RS256)).await.expect(200);
}

#[tokio::test]
async fn what_could_not_be_a_token_of_theirs_causes_no_fetch() {
    let world = World::new(&[&RS256], "").await;
    world.fetched("ok", 1).await;
    let forged = format!("{}x", good(&RS256));
    for bad in [
        "",
        "x",
        "a.b.c",
        "e30.e30.e30",
        "eyJhbGciOiJub25lIn0.e30.",
        "eyJhbGciOiJub25lIiwia2lkIjoieCJ9.e30.eA",
        &forged,
    ] {
        world.sent(bad).await.expect(401);
    }
    world.sent(&good(&RS256)).await.expect(200);
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn a_key_that_is_new_is_found_and_one_that_is_gone_is_not_used_any_more() {
    let world = World::new(&[&RS256], "").await;
    world.sent(&good(&RS256)).await.expect(200);
    world.keys.set("/jwks", Script::reply(jwks(&[&ES256])));
    // Nobody has told the gateway yet.
    world.sent(&good(&RS256)).await.expect(200);
    assert_eq!(world.asked(), 1);
    world.sent(&good(&ES256)).await.expect(200);
    assert_eq!(world.asked(), 2);
    // Remembered or not: its key is gone.
    world.sent(&good(&RS256)).await.expect(401);
    assert_eq!(world.asked(), 2);
}

#[tokio::test]
async fn keys_are_fetched_anew_ahead_of_need() {
    let world = World::new(&[&RS256], "refresh: 10m, cooldown: 30s").await;
    world.fetched("ok", 1).await;
    world.keys.set("/jwks", Script::reply(jwks(&[&RS256, &ES256])).header("Cache-Control", "max-age=60"));
    world.clock.advance(10 * MINUTE);
    world.fetched("ok", 2).await;
    world.sent(&good(&ES256)).await.expect(200);
    assert_eq!(world.asked(), 2);
    // The answer was good for a minute.
    world.keys.set("/jwks", Script::reply(jwks(&[&EDDSA])).header("Cache-Control", "no-store"));
    world.clock.advance(MINUTE);
    world.fetched("ok", 3).await;
    world.sent(&good(&EDDSA)).await.expect(200);
    // This one for no time at all, which is no sooner than `cooldown`, less the jitter.
    world.clock.advance(26 * SECOND);
    world.sent(&good(&EDDSA)).await.expect(200);
    assert_eq!(world.asked(), 3);
    world.clock.advance(4 * SECOND);
    world.fetched("ok", 4).await;
}

#[tokio::test]
async fn the_last_keys_stay_while_their_issuer_is_down() {
    let World { keys, upstream: _upstream, clock, gateway } = World::new(&[&RS256], "keep: 1h, cooldown: 30s").await;
    sent(&gateway, &good(&RS256)).await.expect(200);
    let addr = keys.addr();
    keys.stop().await;
    clock.advance(10 * MINUTE);
    wait_until_async("a failure", async || fetches(&gateway, "failed").await >= 1.0).await;
    sent(&gateway, &good(&RS256)).await.expect(200);
    sent(&gateway, &with_kid("unknown")).await.expect(401);
    clock.advance(40 * MINUTE);
    sent(&gateway, &RS256.token(&claims("u2"))).await.expect(200);
    // Not for ever, remembered or not.
    clock.advance(11 * MINUTE);
    let answer = sent(&gateway, &good(&RS256)).await.expect(503);
    assert_eq!(answer.json()["code"], "keys_unavailable", "{}", answer.text());
    assert!(answer.header("retry-after").is_some());
    assert_eq!(gateway.metric("tidegate_auth_keys", &[("provider", "jwt")]).await, 0.0);

    let keys = upstream().at(addr).reply("/jwks", jwks(&[&RS256])).start().await;
    clock.advance(30 * SECOND);
    sent(&gateway, &good(&RS256)).await.expect(200);
    assert!(!keys.requests().is_empty());
}

#[tokio::test]
async fn a_gateway_starts_while_the_issuer_is_down_and_asks_again_soon() {
    let nobody = refusing();
    let (clock, upstream_) = (manual_clock(), upstream().reply("/*", "let through").start().await);
    let section = format!("{{ providers: [{{ jwt: {{ jwks: {{ url: \"http://{}/jwks\" }} }} }}] }}", nobody.addr());
    let gateway = with_auth().clock(&clock).start(&guarded_yaml(&upstream_, &section, "require")).await;
    let answer = sent(&gateway, &good(&RS256)).await.expect(503);
    assert_eq!(answer.json()["code"], "keys_unavailable");
    // What could be no token of anybody's is refused without keys.
    sent(&gateway, "opaque").await.expect(401);
    assert_eq!(upstream_.requests().len(), 0);
    // Counted when those who wait for it have been let go.
    wait_until_async("a failure", async || fetches(&gateway, "failed").await >= 1.0).await;
    let failed = fetches(&gateway, "failed").await;
    assert!((1.0..=2.0).contains(&failed), "{failed}");
    for _ in 0..20 {
        sent(&gateway, &good(&RS256)).await.expect(503);
    }
    assert!(fetches(&gateway, "failed").await <= 2.0, "one request of twenty asked");
    let addr = nobody.addr();
    drop(nobody);
    let keys = upstream().at(addr).reply("/jwks", jwks(&[&RS256])).start().await;
    clock.advance(2 * SECOND);
    keys.wait_for(1).await;
    sent(&gateway, &good(&RS256)).await.expect(200);
}

#[tokio::test]
async fn a_reload_keeps_keys_and_another_url_does_not() {
    let world = World::new(&[&RS256], "").await;
    world.fetched("ok", 1).await;
    world.keys.set("/jwks", Script::status(500));
    for _ in 0..5 {
        world.reload("/jwks").await;
        world.sent(&good(&RS256)).await.expect(200);
    }
    assert_eq!(world.asked(), 1, "what is fresh is not fetched again");
    world.clock.advance(10 * MINUTE);
    world.fetched("failed", 1).await;
    world.reload("/jwks").await;
    world.sent(&good(&RS256)).await.expect(200);
    world.reload("/others").await;
    world.sent(&good(&RS256)).await.expect(503);
}

#[tokio::test]
async fn an_answer_that_is_no_set_leaves_the_last_one() {
    let evil = upstream().reply("/*", jwks(&[&ES256])).start().await;
    // A timeout goes by real time, and after one on a clock that stands still nobody would ask again.
    let world = World::new(&[&RS256], "cooldown: 1s, timeout: 5s").await;
    world.fetched("ok", 1).await;
    let many = json!({"keys": vec![ES256.jwk(); 101]}).to_string();
    let bad = [
        Script::status(404),
        Script::reply(jwks(&[&ES256])).with_status(500),
        Script::reply(jwks(&[&ES256])).with_status(203),
        Script::status(302).header("Location", format!("http://{}/jwks", evil.addr())),
        Script::reply("<html>"),
        Script::reply("{\"keys\": {}}"),
        Script::reply(format!("{}x", jwks(&[&ES256]))),
        Script::reply(many),
        Script::generated(1024 * 1024 + 1),
        Script::generated(u64::MAX / 2).chunked(),
        Script::raw("not HTTP at all\r\n\r\n"),
        Script::reset(),
        Script::stall(),
    ];
    for (count, script) in (1..).zip(bad) {
        world.keys.set("/jwks", script);
        world.clock.advance(10 * MINUTE);
        world.fetched("failed", count).await;
        world.sent(&good(&RS256)).await.expect(200);
        world.sent(&good(&ES256)).await.expect(401);
    }
    assert_eq!(evil.connections(), 0, "nobody is led elsewhere");
    world.keys.set("/jwks", Script::reply(jwks(&[&ES256])));
    world.clock.advance(10 * MINUTE);
    world.fetched("ok", 2).await;
    world.sent(&good(&ES256)).await.expect(200);
    world.sent(&good(&RS256)).await.expect(401);
}

#[tokio::test]
async fn a_set_without_a_key_means_that_no_token_is_good() {
    let world = World::new(&[&RS256], "").await;
    world.sent(&good(&RS256)).await.expect(200);
    world.keys.set("/jwks", Script::reply("{\"keys\": []}"));
    world.clock.advance(10 * MINUTE);
    world.fetched("ok", 2).await;
    world.sent(&good(&RS256)).await.expect(401);
}

#[tokio::test]
async fn keys_come_over_tls_from_whom_the_configuration_trusts() {
    let certs = certs();
    let keys = upstream().tls(&certs.leaf(&["127.0.0.1"])).reply("/jwks", jwks(&[&RS256])).start().await;
    let url = format!("https://{}/jwks", keys.addr());
    let trusting =
        format!("{{ providers: [{{ jwt: {{ jwks: {{ url: {url:?}, fetch: {{ ca: {:?} }} }} }} }}] }}", certs.ca());
    let (_upstream, gateway) = guarded(&trusting, "require").await;
    sent(&gateway, &good(&RS256)).await.expect(200);
    let system = format!("{{ providers: [{{ jwt: {{ jwks: {{ url: {url:?} }} }} }}] }}");
    let (_upstream, gateway) = guarded(&system, "require").await;
    sent(&gateway, &good(&RS256)).await.expect(503);
}

#[tokio::test]
async fn providers_of_the_same_keys_fetch_them_once() {
    let keys = upstream().reply("/jwks", jwks(&[&RS256])).start().await;
    let jwks = format!("jwks: {{ url: \"http://{}/jwks\" }}", keys.addr());
    let section = format!(
        "{{ providers: [{{ name: a, jwt: {{ issuer: a, {jwks} }} }}, {{ name: b, jwt: {{ issuer: b, {jwks} }} }}] }}"
    );
    let (_upstream, gateway) = guarded(&section, "require").await;
    for issuer in ["a", "b", "a", "b"] {
        sent(&gateway, &RS256.token(&claims_with("u1", json!({"iss": issuer})))).await.expect(200);
    }
    assert_eq!(keys.requests().len(), 1);
}

/// An issuer with metadata that say `issuer` and `jwks_uri`, and a gateway that finds its keys through them.
async fn discovered(issuer: &str, jwks_uri: &str) -> (Upstream, Upstream, TestGateway) {
    let idp = upstream().reply("/keys", jwks(&[&RS256])).start().await;
    let here = format!("http://{}", idp.addr());
    let say = |text: &str| text.replace("HERE", &here);
    let metadata = json!({"issuer": say(issuer), "jwks_uri": say(jwks_uri), "response_types_supported": ["code"]});
    idp.set("/.well-known/openid-configuration", Script::reply(metadata.to_string()));
    let section = format!("{{ providers: [{{ jwt: {{ discovery: {{ issuer: {here:?} }} }} }}] }}");
    let (upstream, gateway) = guarded(&section, "require").await;
    (idp, upstream, gateway)
}

fn issued(idp: &Upstream) -> String {
    RS256.token(&claims_with("u1", json!({"iss": format!("http://{}", idp.addr())})))
}

#[tokio::test]
async fn an_issuer_says_where_its_keys_are() {
    let (idp, _upstream, gateway) = discovered("HERE", "HERE/keys").await;
    sent(&gateway, &issued(&idp)).await.expect(200);
    let paths: Vec<String> = idp.requests().iter().map(|request| request.path().to_owned()).collect();
    assert_eq!(paths, ["/.well-known/openid-configuration", "/keys"]);
    // The issuer's name is what tokens must say.
    sent(&gateway, &good(&RS256)).await.expect(401);
    sent(&gateway, &RS256.token(&claims_with("u1", json!({"iss": "http://other.test", "exp": FAR})))).await.expect(401);
    assert_eq!(idp.requests().len(), 2);
}

#[tokio::test]
async fn an_issuer_that_calls_itself_otherwise_is_not_believed() {
    for (issuer, jwks_uri) in [
        ("http://other.test", "HERE/keys"),
        ("HERE/", "HERE/keys"),
        ("", "HERE/keys"),
        ("HERE", ""),
        ("HERE", "/keys"),
        ("HERE", "file:///etc/passwd"),
    ] {
        let (idp, upstream, gateway) = discovered(issuer, jwks_uri).await;
        let answer = sent(&gateway, &issued(&idp)).await.expect(503);
        assert_eq!(answer.json()["code"], "keys_unavailable", "{issuer} {jwks_uri}");
        assert!(idp.requests().iter().all(|request| request.path() != "/keys"), "{issuer} {jwks_uri}");
        assert_eq!(upstream.requests().len(), 0);
    }
}
