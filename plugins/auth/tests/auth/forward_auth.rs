//! Another service decides (F30).

use std::time::Duration;

use tidegate_core::Method;
use tidegate_testkit::{
    Answer, ManualClock, Script, TestGateway, Upstream, call, gate, manual_clock, upstream, wait_until_async,
};

use super::support::*;

fn section(service: &Upstream, terms: &str) -> String {
    format!(
        "{{ providers: [{{ forward: {{ url: \"http://{}/check\", {terms} }} }}], \
         identity: {{ headers: {{ X-User-ID: sub, X-User-Role: roles, X-Org: org }} }} }}",
        service.addr()
    )
}

async fn service(script: Script) -> Upstream {
    upstream().route("/check", script).start().await
}

fn anna() -> Script {
    Script::status(204).header("X-User-ID", "anna")
}

async fn start(service: &Upstream, terms: &str, policy: &str) -> (Upstream, TestGateway, ManualClock) {
    let (upstream, clock) = (upstream().reply("/*", "let through").start().await, manual_clock());
    let yaml = guarded_yaml(&upstream, &section(service, terms), policy);
    let gateway = with_auth().clock(&clock).start(&yaml).await;
    (upstream, gateway, clock)
}

async fn ask(gateway: &TestGateway, path: &str, token: &str) -> Answer {
    gateway.request(Method::GET, path).header("Authorization", bearer(token)).send().await
}

#[tokio::test]
async fn the_service_is_told_of_the_request_and_says_who_it_is() {
    let script = Script::status(204).header("X-Who", "anna").header("X-R", "admin, staff").header("X-O", "acme");
    let service = service(script).await;
    let terms = "identity: { subject: X-Who, roles: X-R, org: X-O }";
    let (upstream, gateway, _clock) = start(&service, terms, "require").await;
    let request =
        gateway.post("/a%20b?q=1").host("api.test").header("Authorization", "Bearer abc").header("Cookie", "a=1");
    let request =
        request.header("X-Forwarded-Uri", "/public").header("X-Forwarded-For", "10.0.0.1").header("X-Who", "root");
    request.header("X-User-ID", "root").body("a body").send().await.expect(200);

    let asked = service.request();
    assert_eq!((asked.method.as_str(), asked.target.as_str(), asked.text().as_str()), ("GET", "/check", ""));
    let told = ["x-forwarded-method", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-uri", "x-forwarded-for"];
    let told: Vec<_> = told.iter().map(|name| asked.headers.all(name).collect::<Vec<_>>().join("|")).collect();
    assert_eq!(told, ["POST", "http", "api.test", "/a%20b?q=1", "127.0.0.1"]);
    assert_eq!((asked.header("authorization"), asked.header("cookie")), (Some("Bearer abc"), Some("a=1")));
    assert!(!asked.headers.has("x-who"), "{:?}", asked.headers);

    let seen = upstream.request();
    let told = ["x-user-id", "x-user-role", "x-org"].map(|name| seen.headers.all(name).collect::<Vec<_>>().join("|"));
    assert_eq!(told, ["anna", "admin,staff", "acme"]);
    assert_eq!((seen.method.as_str(), seen.text().as_str()), ("POST", "a body"));
}

#[tokio::test]
async fn a_refusal_is_the_services_own() {
    let service = service(Script::status(401)).await;
    let (upstream, gateway, _clock) = start(&service, "", "require").await;
    let script = Script::reply("the service's own page")
        .with_status(401)
        .header("WWW-Authenticate", "Bearer realm=\"theirs\"")
        .header("X-User-ID", "anna")
        .header("Server", "canary");
    service.set("/check", script);
    let refused = ask(&gateway, "/x", "a").await.expect(401);
    assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"theirs\""));
    assert!(!refused.text().contains("the service's own page"));
    assert!(refused.headers.iter().all(|(_, value)| !value.contains("canary") && value != "anna"));
    service.set("/check", Script::status(403));
    ask(&gateway, "/x", "a").await.expect(403);
    for status in [302, 303, 307] {
        let login = Script::status(status).header("Location", "https://login.test/?back=x").header("Set-Cookie", "s=1");
        service.set("/check", login);
        let sent = ask(&gateway, "/x", "a").await.expect(status);
        assert_eq!(
            (sent.header("location"), sent.header("set-cookie")),
            (Some("https://login.test/?back=x"), Some("s=1"))
        );
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn who_sends_no_credential_is_not_asked_about_unless_that_is_wanted() {
    let service = service(Script::status(401)).await;
    let (upstream, gateway, _clock) = start(&service, "", "optional").await;
    gateway.get("/x").await.expect(200);
    assert!(service.requests().is_empty());
    ask(&gateway, "/x", "a").await.expect(401);
    let all = section(&service, "only_with_credentials: false");
    gateway.reload(&guarded_yaml(&upstream, &all, "optional")).await.expect("reloaded");
    gateway.get("/x").await.expect(401);
    // Let through, and nobody in particular.
    service.set("/check", Script::status(200));
    upstream.forget();
    gateway.get("/x").await.expect(200);
    assert_eq!(upstream.request().header("x-user-id"), None);
    gateway.reload(&guarded_yaml(&upstream, &all, "require")).await.expect("reloaded");
    assert_eq!(gateway.get("/x").await.expect(401).json()["code"], "missing_token");
}

#[tokio::test]
async fn a_service_that_fails_is_a_503_or_lets_through_as_nobody() {
    let service = service(Script::status(500)).await;
    let (upstream, gateway, _clock) = start(&service, "timeout: 5s", "optional").await;
    let failures = || {
        [
            Script::status(500),
            Script::status(404),
            Script::status(302),
            Script::close(),
            Script::status(204).header("X-User-ID", "anna").header("X-User-ID", "root"),
        ]
    };
    for failure in failures() {
        service.set("/check", failure);
        let failed = ask(&gateway, "/x", "a").await.expect(503);
        assert_eq!(failed.json()["code"], "forward_auth_unavailable");
        assert!(failed.header("retry-after").is_some());
    }
    assert!(upstream.requests().is_empty());
    let allow = section(&service, "on_error: allow");
    gateway.reload(&guarded_yaml(&upstream, &allow, "optional")).await.expect("reloaded");
    for failure in failures() {
        service.set("/check", failure);
        upstream.forget();
        ask(&gateway, "/x", "a").await.expect(200);
        assert_eq!(upstream.request().header("x-user-id"), None);
    }
    gateway.reload(&guarded_yaml(&upstream, &allow, "require")).await.expect("reloaded");
    ask(&gateway, "/x", "a").await.expect(401);
}

#[tokio::test]
async fn an_answer_is_remembered_by_its_key_and_for_its_time() {
    let service = service(anna()).await;
    let (_upstream, gateway, clock) = start(&service, "cache: 10s", "require").await;
    let calls = || service.requests().len();
    for _ in 0..3 {
        ask(&gateway, "/x", "a").await.expect(200);
    }
    assert_eq!(calls(), 1);
    ask(&gateway, "/x", "b").await.expect(200);
    ask(&gateway, "/y", "a").await.expect(200);
    ask(&gateway, "/x?q", "a").await.expect(200);
    gateway.post("/x").header("Authorization", "Bearer a").send().await.expect(200);
    gateway.request(Method::GET, "/x").host("other.test").header("Authorization", "Bearer a").send().await.expect(200);
    let cookie = gateway.request(Method::GET, "/x").header("Authorization", "Bearer a").header("Cookie", "a=1");
    cookie.send().await.expect(200);
    assert_eq!(calls(), 7, "each of these is another question");
    clock.advance(Duration::from_secs(10));
    service.set("/check", Script::status(401));
    ask(&gateway, "/x", "a").await.expect(401);
    ask(&gateway, "/x", "a").await.expect(401);
    assert_eq!(calls(), 9, "a refusal is not remembered");
}

#[tokio::test]
async fn without_a_cache_the_service_is_asked_about_each_request() {
    let service = service(anna()).await;
    let (_upstream, gateway, _clock) = start(&service, "", "require").await;
    for _ in 0..3 {
        ask(&gateway, "/x", "a").await.expect(200);
    }
    assert_eq!(service.requests().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_requests_with_one_key_make_one_call() {
    let held = gate();
    let service = service(anna().wait(&held)).await;
    let (_upstream, gateway, _clock) = start(&service, "cache: 10s, timeout: 30s", "require").await;
    let mut answers = Vec::new();
    for _ in 0..20 {
        let client = gateway.connect_h2().await;
        for _ in 0..50 {
            let mut client = client.clone();
            let call = call(Method::GET, "/x").host("a.test").header("Authorization", "Bearer a");
            answers.push(tokio::spawn(async move { client.send(call).await.status }));
        }
    }
    wait_until_async("a thousand requests under way", async || {
        gateway.metric("tidegate_requests_in_flight", &[]).await >= 1000.0
    })
    .await;
    held.open();
    for answer in answers {
        assert_eq!(answer.await.expect("an answer"), 200);
    }
    assert_eq!(service.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_begins_for_one_client_is_not_given_to_another_who_waited() {
    let held = gate();
    let login =
        |nth: u32| Script::status(302).header("Location", "/login").header("Set-Cookie", format!("state={nth}"));
    let service = service(login(1).wait(&held).then(login(2)).then(login(3))).await;
    let terms = "cache: 10s, timeout: 30s, only_with_credentials: false";
    let (_upstream, gateway, _clock) = start(&service, terms, "require").await;
    let mut answers = Vec::new();
    for _ in 0..3 {
        let addr = gateway.addr();
        answers.push(tokio::spawn(async move {
            let mut client = tidegate_testkit::Client::connect(addr).await;
            client.send(call(Method::GET, "/x").host("a.test")).await
        }));
    }
    wait_until_async("three requests under way", async || {
        gateway.metric("tidegate_requests_in_flight", &[]).await >= 3.0
    })
    .await;
    held.open();
    let mut cookies = Vec::new();
    for answer in answers {
        let answer = answer.await.expect("an answer").expect(302);
        cookies.push(answer.header("set-cookie").expect("a cookie").to_owned());
    }
    cookies.sort();
    assert_eq!(cookies, ["state=1", "state=2", "state=3"]);
}

#[tokio::test]
async fn what_can_not_work_is_refused_at_load() {
    let upstream = upstream().reply("/*", "x").start().await;
    for (terms, path) in [
        ("url: ''", "forward.url"),
        ("url: \"ftp://auth.test/\"", "forward.url"),
        ("url: \"http://auth.test/\", send: [Host]", "forward.send[0]"),
        ("url: \"http://auth.test/\", send: [X-Forwarded-For]", "forward.send[0]"),
        ("url: \"http://auth.test/\", send: []", "forward.send"),
        ("url: \"http://auth.test/\", key: [path]", "forward.key"),
        ("url: \"http://auth.test/\", key: [Authorization, Cookie, 'a b']", "forward.key[2]"),
        ("url: \"http://auth.test/\", identity: { subject: 'a b' }", "forward.identity.subject"),
        ("url: \"http://auth.test/\", cache: 2h", "forward.cache"),
        ("url: \"http://auth.test/\", timeout: 5m", "forward.timeout"),
    ] {
        let section = format!("{{ providers: [{{ forward: {{ {terms} }} }}] }}");
        let errors = with_auth().check(&guarded_yaml(&upstream, &section, "require")).expect_err(terms);
        assert!(errors.contains(&format!("auth.providers[0].{path}")), "{terms}: {errors}");
    }
}
