//! Requests that are none, and what is never asked of a store.

use http::Method;
use serde_json::json;
use tidegate_testkit::{call, upstream, wait_until_async};

use super::site::{PASSWORD, code, file_store, post, site, yaml};
use crate::support::with_auth;

#[tokio::test]
async fn each_endpoint_has_its_methods_and_other_paths_are_none() {
    let site = site("").await;
    for (path, method, allow) in [
        ("login", Method::GET, "POST"),
        ("refresh", Method::PUT, "POST"),
        ("logout", Method::DELETE, "POST"),
        ("me", Method::POST, "GET, HEAD"),
        ("sessions", Method::DELETE, "GET, HEAD"),
        ("sessions/00000000000000000000000000000000", Method::GET, "DELETE"),
        (".well-known/jwks.json", Method::POST, "GET, HEAD"),
    ] {
        let answer = site.gateway.request(method, &format!("/auth/{path}")).send().await.expect(405);
        assert_eq!((answer.header("allow"), answer.header("cache-control")), (Some(allow), Some("no-store")), "{path}");
    }
    for path in ["/auth", "/auth/", "/auth/nothing", "/auth/login/", "/auth/sessions/x", "/auth//login"] {
        let answer = site.gateway.post(path).send().await.expect(404);
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_exactly_what_is_asked_for_is_refused_and_pointed_at() {
    let site = site("").await;
    let login = |body: &'static str| {
        site.gateway.post("/auth/login").header("content-type", "application/json").body(body).send()
    };
    for (body, pointer) in [
        (r#"{"name": "a", "password": "b", "admin": true}"#, "/admin"),
        (r#"{"name": "a", "password": "b", "password": "c"}"#, "/password"),
        (r#"{"name": "a", "password": 1}"#, "/password"),
        (r#"{"name": "a"}"#, "/password"),
        (r#"{"name": ["a"], "password": "b"}"#, "/name"),
        ("not JSON", ""),
        ("", ""),
    ] {
        let answer = login(body).await.expect(400);
        assert_eq!((code(&answer).as_str(), &answer.json()["pointer"]), ("invalid_body", &json!(pointer)), "{body}");
    }
    let form = site.gateway.post("/auth/login").header("content-type", "application/x-www-form-urlencoded");
    form.body("name=a&password=b").send().await.expect(415);
    site.gateway.post("/auth/login").body("{}").send().await.expect(415);
    let large = json!({ "name": "a", "password": "x".repeat(16 * 1024) });
    post(&site.gateway, "/auth/login", &large).send().await.expect(413);
    let typed = site.gateway.post("/auth/login").header("content-type", "Application/JSON; charset=utf-8");
    typed.body(r#"{"name": "a", "password": "b"}"#).send().await.expect(401);
}

#[tokio::test]
async fn sign_up_is_off_unless_it_is_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let upstream = upstream().start().await;
    let yaml = yaml(&upstream, &file_store(dir.path()), "", "").replace("enabled: true, ", "");
    let gateway = with_auth().start(&yaml).await;
    let body = json!({ "name": "jane", "password": PASSWORD });
    post(&gateway, "/auth/signup", &body).send().await.expect(404);
}

#[tokio::test]
async fn ten_thousand_forged_refresh_tokens_and_session_cookies_cause_no_reads() {
    let redis = tidegate_testkit::redis().await;
    let upstream = upstream().reply("/*", "").start().await;
    let store = "{ redis: shared, secret: \"a secret that all gateways have, long enough\" }";
    let service = yaml(&upstream, store, "session: {}", ", revocation: { mode: off }");
    // With cookies there are no refresh tokens: a second gateway issues those.
    let tokens = yaml(&upstream, store, "", ", revocation: { mode: off }");
    let stores = format!("stores: {{ shared: {{ redis: \"{}\" }} }}\n", redis.url());
    let sessions = with_auth().start(&format!("{stores}{service}")).await;
    let tokens = with_auth().start(&format!("{stores}{tokens}")).await;
    for gateway in [&sessions, &tokens] {
        wait_until_async("it has keys", async || gateway.get("/auth/.well-known/jwks.json").await.status == 200).await;
    }
    let before = redis.info("total_commands_processed").await;
    let (mut one, mut two) = (tokens.connect().await, sessions.connect().await);
    for n in 0..5000_u32 {
        if n % 500 == 0 {
            (one, two) = (tokens.connect().await, sessions.connect().await);
        }
        let forged = format!("{n:070}");
        let body = json!({ "refresh_token": forged }).to_string();
        let refresh = call(Method::POST, "/auth/refresh").header("content-type", "application/json").body(body);
        one.send(refresh).await.expect(401);
        let cookie = format!("__Host-session={n:064}");
        two.send(call(Method::GET, "/app").header("cookie", cookie)).await.expect(401);
    }
    // Gateways look at their keys now and then.
    let asked = redis.info("total_commands_processed").await - before;
    assert!(asked < 500, "{asked} commands for 10,000 forgeries");
}

#[tokio::test]
async fn what_cannot_work_is_refused_at_load() {
    let dir = tempfile::tempdir().expect("a directory");
    let upstream = upstream().start().await;
    let check = |more: &str| with_auth().check(&yaml(&upstream, &file_store(dir.path()), more, ""));
    for (more, place) in [
        ("access: { ttl: 25h }", "auth.service.access.ttl"),
        ("access: { claims: [password] }", "auth.service.access.claims[0]"),
        ("refresh: { ttl: 10m }", "auth.service.refresh.ttl"),
        ("refresh: { absolute: 1d }", "auth.service.refresh.absolute"),
        ("refresh: { grace: 1h }", "auth.service.refresh.grace"),
        ("keys: { rotate: 1h }", "auth.service.keys.publish_before"),
        ("session: { idle: 1h, absolute: 30m }", "auth.service.session.absolute"),
        ("session: { cookie: \"a b\" }", "auth.service.session.cookie"),
        ("audience: \"\"", "auth.service.audience"),
    ] {
        let error = check(more).expect_err(more);
        assert!(error.contains(place), "{more}: {error}");
    }
    let unmounted = yaml(&upstream, &file_store(dir.path()), "", "").replace("/auth/**", "/auth");
    let error = with_auth().check(&unmounted).expect_err("no place");
    assert!(error.contains("at: /auth"), "{error}");
}
