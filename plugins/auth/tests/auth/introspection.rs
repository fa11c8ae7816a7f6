//! Tokens that their issuer is asked about (F21, F29).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tidegate_core::Method;
use tidegate_testkit::{
    Answer, Client, H2Client, ManualClock, Script, TestGateway, Upstream, call, gate, manual_clock, refusing, upstream,
    wait_until, wait_until_async,
};

use super::support::*;

const SECOND: Duration = Duration::from_secs(1);
/// 2026-01-01, where the clock of the tests stands.
const NOW: u64 = 1_767_225_600;

/// An issuer that says this of every token.
async fn issuer(answer: Value) -> Upstream {
    upstream().route("/introspect", says(answer)).start().await
}

fn says(answer: Value) -> Script {
    Script::reply(answer.to_string()).header("Content-Type", "application/json")
}

fn active(subject: &str) -> Value {
    json!({ "active": true, "sub": subject, "scope": "read write" })
}

/// The section, with more terms for its provider.
fn section(issuer: &Upstream, terms: &str) -> String {
    format!(
        "{{ providers: [{{ introspection: {{ url: \"http://{}/introspect\", {terms} }} }}], \
         identity: {{ headers: {{ X-User-ID: sub, X-Scopes: scopes }} }} }}",
        issuer.addr()
    )
}

async fn start(issuer: &Upstream, terms: &str) -> (Upstream, TestGateway, ManualClock) {
    let (upstream, clock) = (upstream().reply("/*", "let through").start().await, manual_clock());
    let yaml = guarded_yaml(&upstream, &section(issuer, terms), "require");
    let gateway = with_auth().clock(&clock).start(&yaml).await;
    (upstream, gateway, clock)
}

async fn ask(gateway: &TestGateway, token: &str) -> Answer {
    gateway.request(Method::GET, "/x").header("Authorization", bearer(token)).send().await
}

#[tokio::test]
async fn the_issuer_is_asked_as_the_rfc_says_and_its_word_is_passed_on() {
    let issuer = issuer(active("u1")).await;
    let terms = "client_id: \"gate:way\", client_secret: \"s+cret\", strip: true";
    let (upstream, gateway, _clock) = start(&issuer, terms).await;
    ask(&gateway, "2YotnFZFEjr1zCsicMWpAA").await.expect(200);

    let asked = issuer.request();
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/introspect"));
    assert_eq!(asked.text(), "token=2YotnFZFEjr1zCsicMWpAA&token_type_hint=access_token");
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(asked.header("accept"), Some("application/json"));
    let client = format!("Basic {}", STANDARD.encode("gate%3Away:s%2Bcret"));
    assert_eq!(asked.header("authorization"), Some(client.as_str()));

    let seen = upstream.request();
    assert_eq!((seen.header("x-user-id"), seen.header("x-scopes")), (Some("u1"), Some("read,write")));
    assert!(!seen.headers.has("authorization"), "the token was to be taken out");
}

#[tokio::test]
async fn a_token_that_is_no_good_is_refused_and_never_anonymous() {
    for (answer, code) in [
        (json!({ "active": false }), "invalid_token"),
        (json!({ "active": true, "sub": "u1", "exp": NOW }), "token_expired"),
        (json!({ "active": true, "sub": "u1", "nbf": NOW + 3600 }), "invalid_token"),
        (json!({ "active": true, "sub": "u1", "iss": "https://other.test" }), "invalid_token"),
        (json!({ "active": true, "sub": "u1", "aud": "other" }), "invalid_token"),
        (json!({ "active": true }), "invalid_token"),
    ] {
        let issuer = issuer(answer.clone()).await;
        let upstream = upstream().reply("/*", "let through").start().await;
        let terms = "issuer: \"https://issuer.test\", audience: [api]";
        let answer = match &answer["iss"] {
            // Only what the case is about may be wrong.
            Value::Null => json!({ "iss": "https://issuer.test", "aud": "api" }).merged(&answer),
            _ => json!({ "aud": "api" }).merged(&answer),
        };
        issuer.set("/introspect", says(answer.clone()));
        let yaml = guarded_yaml(&upstream, &section(&issuer, terms), "optional");
        let gateway = with_auth().clock(&manual_clock()).start(&yaml).await;
        let refused = ask(&gateway, "abc").await.expect(401);
        assert_eq!(refused.json()["code"], code, "{answer}");
        let challenge = refused.header("www-authenticate").expect("a challenge");
        assert!(challenge.starts_with("Bearer ") && challenge.contains("error=\"invalid_token\""), "{challenge}");
        gateway.get("/x").await.expect(200);
        assert_eq!(upstream.request().header("x-user-id"), None);
    }
}

/// A JSON object with the members of another, which win.
trait Merged {
    fn merged(self, other: &Value) -> Value;
}

impl Merged for Value {
    fn merged(mut self, other: &Value) -> Value {
        let (Some(object), Some(other)) = (self.as_object_mut(), other.as_object()) else { return self };
        object.extend(other.clone());
        self
    }
}

#[tokio::test]
async fn an_answer_is_remembered_for_its_time_and_no_longer_than_the_token_lives() {
    let issuer = issuer(active("u1")).await;
    let (_upstream, gateway, clock) = start(&issuer, "cache: 30s, cache_refused: 10s").await;
    for _ in 0..3 {
        ask(&gateway, "a").await.expect(200);
    }
    assert_eq!(issuer.requests().len(), 1);
    clock.advance(29 * SECOND);
    ask(&gateway, "a").await.expect(200);
    assert_eq!(issuer.requests().len(), 1);
    issuer.set("/introspect", says(json!({ "active": false })));
    clock.advance(SECOND);
    ask(&gateway, "a").await.expect(401);
    assert_eq!(issuer.requests().len(), 2);

    // A refusal has a time of its own.
    issuer.set("/introspect", says(json!({ "active": true, "sub": "u1", "exp": NOW + 60 })));
    clock.advance(9 * SECOND);
    ask(&gateway, "a").await.expect(401);
    clock.advance(SECOND);
    ask(&gateway, "a").await.expect(200);
    assert_eq!(issuer.requests().len(), 3);

    // 40 s have passed: the token has 20 s left, and would be remembered for 30.
    clock.advance(20 * SECOND);
    issuer.set("/introspect", says(active("u2")));
    ask(&gateway, "a").await.expect(200);
    assert_eq!(issuer.requests().len(), 4);
}

#[tokio::test]
async fn without_a_cache_the_issuer_is_asked_about_each_request() {
    let issuer = issuer(active("u1")).await;
    let (_upstream, gateway, _clock) = start(&issuer, "cache: 0s").await;
    for _ in 0..3 {
        ask(&gateway, "a").await.expect(200);
    }
    assert_eq!(issuer.requests().len(), 3);
}

#[tokio::test]
async fn no_more_answers_are_remembered_than_there_is_room_for() {
    let issuer = issuer(active("u1")).await;
    let (_upstream, gateway, _clock) = start(&issuer, "entries: 4").await;
    for token in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        ask(&gateway, token).await.expect(200);
    }
    assert_eq!(issuer.requests().len(), 8);
    ask(&gateway, "h").await.expect(200);
    assert_eq!(issuer.requests().len(), 8, "the last one is remembered");
    ask(&gateway, "a").await.expect(200);
    assert_eq!(issuer.requests().len(), 9, "the first one gave way");
}

/// Sends `count` requests at once, each with the token that `token` makes of its number, over few connections.
async fn at_once(
    gateway: &TestGateway,
    count: usize,
    token: impl Fn(usize) -> String,
) -> Vec<tokio::task::JoinHandle<u16>> {
    let mut connections: Vec<H2Client> = Vec::new();
    for _ in 0..count.div_ceil(50) {
        connections.push(gateway.connect_h2().await);
    }
    let send = |nth: usize| {
        let mut client = connections[nth / 50].clone();
        let call = call(Method::GET, "/x").header("Authorization", bearer(&token(nth)));
        tokio::spawn(async move { client.send(call).await.status })
    };
    (0..count).map(send).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_requests_with_one_token_make_one_call() {
    let held = gate();
    let issuer = upstream().route("/introspect", says(active("u1")).wait(&held)).start().await;
    let (_upstream, gateway, _clock) = start(&issuer, "timeout: 30s").await;
    let answers = at_once(&gateway, 1000, |_| "a".to_owned()).await;
    issuer.wait_for(1).await;
    // All of them are in the gateway, and wait.
    wait_until_async("a thousand requests under way", async || {
        gateway.metric("tidegate_requests_in_flight", &[]).await >= 1000.0
    })
    .await;
    held.open();
    for answer in answers {
        assert_eq!(answer.await.expect("an answer"), 200);
    }
    assert_eq!(issuer.requests().len(), 1);
    let calls = gateway.metric("tidegate_auth_calls_total", &[("provider", "introspection"), ("result", "answered")]);
    assert_eq!(calls.await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_issuer_gets_only_so_many_calls_at_once_and_others_are_told_at_once() {
    let held = gate();
    let issuer = upstream().route("/introspect", says(active("u1")).wait(&held)).start().await;
    let (_upstream, gateway, _clock) = start(&issuer, "timeout: 30s").await;
    let answers = at_once(&gateway, 100, |nth| format!("token-{nth}")).await;
    let refused = || answers.iter().filter(|answer| answer.is_finished()).count();
    wait_until("those beyond 64 are answered", || refused() == 36).await;
    assert_eq!(issuer.wait_for(64).await.len(), 64);
    held.open();
    let mut statuses = Vec::new();
    for answer in answers {
        statuses.push(answer.await.expect("an answer"));
    }
    let count = |status| statuses.iter().filter(|is| **is == status).count();
    assert_eq!((count(200), count(503)), (64, 36));
    let labels = [("provider", "introspection"), ("result", "skipped")];
    assert_eq!(gateway.metric("tidegate_auth_calls_total", &labels).await, 36.0);
}

#[tokio::test]
async fn an_issuer_that_fails_is_a_503_that_is_not_remembered() {
    let issuer = issuer(active("u1")).await;
    let (upstream, gateway, _clock) = start(&issuer, "timeout: 5s").await;
    for broken in [
        Script::status(500),
        Script::status(401),
        Script::reply("<html>"),
        Script::reply(r#"{"active":"true","sub":"u1"}"#),
        Script::reply(format!(r#"{{"active":true,"sub":"u1","x":"{}"}}"#, "x".repeat(70_000))),
        Script::close(),
        Script::raw("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"active\":true"),
    ] {
        issuer.set("/introspect", broken);
        let failed = ask(&gateway, "a").await.expect(503);
        assert_eq!(failed.json()["code"], "introspection_unavailable");
        assert!(failed.header("retry-after").is_some());
    }
    assert!(upstream.requests().is_empty());
    issuer.set("/introspect", says(active("u1")));
    ask(&gateway, "a").await.expect(200);
}

#[tokio::test]
async fn a_dead_issuer_is_left_alone_but_for_one_call_in_a_while() {
    let dead = refusing();
    let upstream = upstream().reply("/*", "let through").start().await;
    let section = format!("{{ providers: [{{ introspection: {{ url: \"http://{}/\" }} }}] }}", dead.addr());
    let clock = manual_clock();
    let gateway = with_auth().clock(&clock).start(&guarded_yaml(&upstream, &section, "require")).await;
    let calls = async |result| {
        gateway.metric("tidegate_auth_calls_total", &[("provider", "introspection"), ("result", result)]).await
    };
    for nth in 0..20 {
        ask(&gateway, &format!("t{nth}")).await.expect(503);
    }
    assert_eq!((calls("failed").await, calls("skipped").await), (5.0, 15.0));
    clock.advance(SECOND);
    for nth in 0..5 {
        ask(&gateway, &format!("t{nth}")).await.expect(503);
    }
    assert_eq!((calls("failed").await, calls("skipped").await), (6.0, 19.0));

    // It comes back.
    let addr = dead.addr();
    drop(dead);
    let _issuer = tidegate_testkit::upstream().route("/", says(active("u1"))).at(addr).start().await;
    ask(&gateway, "a").await.expect(503);
    clock.advance(SECOND);
    ask(&gateway, "a").await.expect(200);
    ask(&gateway, "b").await.expect(200);
}

#[tokio::test]
async fn tokens_in_the_form_of_a_jwt_are_asked_about_too() {
    let issuer = issuer(json!({ "active": false })).await;
    let (_upstream, gateway, _clock) = start(&issuer, "").await;
    let signed = token(&claims("u1"));
    ask(&gateway, &signed).await.expect(401);
    assert!(issuer.request().text().starts_with(&format!("token={signed}&")));
}

#[tokio::test]
async fn more_than_one_token_or_none_that_could_be_one_is_nothing_to_ask_about() {
    let issuer = issuer(active("u1")).await;
    let sources = "sources: [{ bearer: true }, { cookie: token }, { query: t }]";
    let (_upstream, gateway, _clock) = start(&issuer, sources).await;
    for (path, fields, code) in [
        ("/x", &[("Authorization", "Bearer a"), ("Cookie", "token=a")][..], "ambiguous_credentials"),
        ("/x?t=a&t=b", &[], "ambiguous_credentials"),
        ("/x", &[("Authorization", "Bearer a b")], "invalid_token"),
        ("/x", &[("Authorization", "Bearer")], "invalid_token"),
        ("/x", &[], "missing_token"),
    ] {
        let request = gateway.request(Method::GET, path);
        let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let refused = request.send().await.expect(401);
        assert_eq!(refused.json()["code"], code, "{path} {fields:?}");
    }
    assert!(issuer.requests().is_empty());
    for (path, fields) in
        [("/x?a=1&t=a", &[][..]), ("/x", &[("Cookie", "a=b; token=a")]), ("/x", &[("authorization", "bEARER   a")])]
    {
        let request = gateway.request(Method::GET, path);
        fields.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await.expect(200);
    }
    assert_eq!(issuer.requests().len(), 1);
}

#[tokio::test]
async fn a_token_in_the_query_is_in_no_log_and_does_not_reach_the_upstream() {
    let issuer = issuer(active("u1")).await;
    let (upstream, gateway, _clock) = start(&issuer, "sources: [{ query: t }], strip: true").await;
    gateway.get("/x?a=1&t=canary&b=2").await.expect(200);
    assert_eq!(upstream.request().target, "/x?a=1&b=2");
    let lines = gateway.access_log(1).await;
    assert!(lines[0].contains("a=1&t=***&b=2") && !lines[0].contains("canary"), "{}", lines[0]);
}

#[tokio::test]
async fn answers_outlive_a_reload_that_changes_nothing_about_them() {
    let issuer = issuer(active("u1")).await;
    let (upstream, gateway, _clock) = start(&issuer, "").await;
    ask(&gateway, "a").await.expect(200);
    gateway.reload(&guarded_yaml(&upstream, &section(&issuer, ""), "optional")).await.expect("reloaded");
    ask(&gateway, "a").await.expect(200);
    assert_eq!(issuer.requests().len(), 1);
    gateway.reload(&guarded_yaml(&upstream, &section(&issuer, "audience: [api]"), "require")).await.expect("reloaded");
    ask(&gateway, "a").await.expect(401);
    assert_eq!(issuer.requests().len(), 2);
}

#[tokio::test]
async fn a_token_that_was_revoked_here_is_refused_though_its_issuer_still_likes_it() {
    let issuer = issuer(json!({ "active": true, "sub": "u1", "jti": "j1", "exp": FAR })).await;
    let upstream = upstream().reply("/*", "let through").start().await;
    let dir = tempfile::tempdir().expect("a directory");
    let store = dir.path().join("auth.redb");
    let section = section(&issuer, "");
    let service = format!(", service: {{ issuer: \"https://gw.example\", store: {{ file: {store:?} }} }} }}");
    let section = format!("{}{service}", section.strip_suffix('}').expect("a map"));
    let gateway = with_auth().start(&guarded_yaml(&upstream, &section, "require")).await;
    ask(&gateway, "a").await.expect(200);
    let mut admin = Client::connect(gateway.admin_addr()).await;
    admin.send(call(Method::POST, "/auth/revoke?jti=j1")).await.expect(200);
    let refused = ask(&gateway, "a").await.expect(401);
    assert_eq!(refused.json()["code"], "token_revoked");
}

#[tokio::test]
async fn what_can_not_work_is_refused_at_load() {
    let upstream = upstream().reply("/*", "x").start().await;
    for (terms, path) in [
        ("url: \"issuer.test\"", "introspection.url"),
        ("url: \"https://u:hunter2@issuer.test/\"", "introspection.url"),
        ("client_id: a", "introspection.url"),
        ("url: \"https://issuer.test/\", client_id: a", "introspection.client_id"),
        ("url: \"https://issuer.test/\", client_secret: hunter2", "introspection.client_secret"),
        ("url: \"https://issuer.test/\", sources: []", "introspection.sources"),
        ("url: \"https://issuer.test/\", timeout: 0s", "introspection.timeout"),
        ("url: \"https://issuer.test/\", cache: 2h", "introspection.cache"),
        ("url: \"https://issuer.test/\", ca: /nowhere.pem", "introspection.ca"),
        ("url: \"https://issuer.test/\", subject: ''", "introspection.subject"),
    ] {
        let section = format!("{{ providers: [{{ introspection: {{ {terms} }} }}] }}");
        let errors = with_auth().check(&guarded_yaml(&upstream, &section, "require")).expect_err(terms);
        assert!(errors.contains(&format!("auth.providers[0].{path}")), "{terms}: {errors}");
        assert!(!errors.contains("hunter2"), "{errors}");
    }
}
