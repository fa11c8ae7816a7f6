//! Who is asking, together with how much they may ask and what headers they get.

use http::Method;
use tidegate_testkit::{Answer, Http, TestGateway, Upstream, manual_clock, upstream};

use crate::tidegate;

/// Two programs with a key each.
const KEYS: &str = "{ prefix: ada, owner: ada, roles: [user], sha256: f7287edf0dd71754c20441b8d5c69cb92aea0f091ca0e4f8ca7122b2c2e5a7ad }, { \
                    prefix: bob, owner: bob, sha256: 327816d5206a814cf132452577873613d57d370b6aea68db9373c64c345c1c5b }";
const ADA: &str = "ada.0123456789abcdefghij";
const BOB: &str = "bob.0123456789abcdefghij";

fn guarded(upstream: &Upstream, policy: &str, more: &str) -> String {
    format!(
        "upstreams: {{ app: {{ targets: [\"{}\"] }} }}\n\
         auth: {{ providers: [{{ api_key: {{ keys: [{KEYS}] }} }}] }}\n\
         routing:\n  routes:\n\
         \x20   - {{ name: public, match: {{ path: \"/**\" }}, upstream: app }}\n\
         \x20   - {{ name: private, match: {{ path: \"/v1/**\" }}, upstream: app, plugins: {{ {policy} }} }}\n\
         {more}\n",
        upstream.target()
    )
}

async fn get(gateway: &TestGateway, path: &str, key: &str) -> Answer {
    gateway.request(Method::GET, path).header("X-API-Key", key).send().await
}

#[tokio::test]
async fn the_upstream_is_told_who_is_asking_and_believes_nobody_else() {
    let app = upstream().reply("*", "ok").start().await;
    let headers = "headers: { default: { request: { set: { X-Asked-By: \"{identity.subject}\" } } } }";
    let gateway = tidegate().start(&guarded(&app, "auth: require", headers)).await;
    for http in Http::BOTH {
        for path in ["/v1/users", "/open"] {
            let request = gateway.request(Method::GET, path).by(http).header("X-API-Key", ADA);
            let forged = [("X-User-ID", "root"), ("x-user-id", "root"), ("X-USER-ID", ""), ("X_User_ID", "root")];
            let forged = forged.into_iter().fold(request, |request, (name, value)| {
                request.header(if http == Http::Two { name.to_ascii_lowercase() } else { name.to_owned() }, value)
            });
            forged.send().await.expect(200);
            let seen = app.requests().pop().expect("it is there");
            let names: Vec<_> = seen.headers.all("x-user-id").collect();
            let expected: &[&str] = if path == "/open" { &[] } else { &["ada"] };
            assert_eq!(names, expected, "{http:?} {path}");
            let by = (path != "/open").then_some("ada");
            assert_eq!(seen.header("x-asked-by"), by, "other plugins know it as well: {http:?} {path}");
            assert!(!seen.headers.has("x_user_id"), "what some servers take for the same: {http:?} {path}");
            if path == "/v1/users" {
                assert!(!seen.headers.has("x-api-key"), "the upstream needs no key: {http:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_limit_per_identity_counts_each_by_itself_and_nobody_who_is_not_known() {
    let (app, clock) = (upstream().reply("*", "ok").start().await, manual_clock());
    let policy =
        "auth: require, ratelimit: { limits: [{ name: each, rate: 2/h, algorithm: fixed_window, per: identity }] }";
    let gateway = tidegate().clock(&clock).start(&guarded(&app, policy, "")).await;
    for _ in 0..5 {
        gateway.get("/v1/x").await.expect(401);
    }
    for (key, statuses) in [(ADA, [200, 200, 429]), (BOB, [200, 200, 429])] {
        for status in statuses {
            get(&gateway, "/v1/x", key).await.expect(status);
        }
    }
    assert_eq!(app.requests().len(), 4);
}

#[tokio::test]
async fn who_guesses_keys_is_banned_whatever_they_find() {
    let (app, clock) = (upstream().reply("*", "ok").start().await, manual_clock());
    let ban = "ratelimit: { ban: { status: [401], count: 3, window: 10m, for: 1h } }";
    let gateway = tidegate().clock(&clock).start(&guarded(&app, "auth: require", ban)).await;
    get(&gateway, "/v1/x", ADA).await.expect(200);
    for guess in 0..3 {
        get(&gateway, "/v1/x", &format!("ada.0123456789abcdefghi{guess}")).await.expect(401);
    }
    get(&gateway, "/v1/x", ADA).await.expect(403);
    clock.advance(std::time::Duration::from_secs(3601));
    get(&gateway, "/v1/x", ADA).await.expect(200);
}

#[tokio::test]
async fn browsers_may_ask_whether_they_may_ask_before_anybody_logs_in() {
    let app = upstream().reply("*", "ok").start().await;
    let policy = "auth: { require: { roles: [user] } }, headers: { cors: { origins: [\"https://app.example\"] } }";
    let gateway = tidegate().start(&guarded(&app, policy, "")).await;
    let from = |method: Method| gateway.request(method, "/v1/x").header("Origin", "https://app.example");
    let preflight = from(Method::OPTIONS).header("Access-Control-Request-Method", "GET").send().await;
    assert!(preflight.status < 300, "{preflight:#?}");
    assert_eq!(preflight.header("access-control-allow-origin"), Some("https://app.example"));
    // A page is told why, too.
    for (key, status) in [("", 401), (BOB, 403), (ADA, 200)] {
        let request = if key.is_empty() { from(Method::GET) } else { from(Method::GET).header("X-API-Key", key) };
        let answer = request.send().await.expect(status);
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"), "{status}");
    }
    // Not a preflight of a page that is allowed, and nobody who is known.
    from(Method::OPTIONS).send().await.expect(401);
    assert_eq!(app.requests().len(), 1);
}

#[tokio::test]
async fn what_auth_refuses_looks_like_every_other_answer_of_the_gateways() {
    let app = upstream().reply("*", "ok").start().await;
    let headers = "headers: { default: { security: helmet } }";
    let gateway = tidegate().start(&guarded(&app, "auth: { require: { roles: [user] } }", headers)).await;
    for (key, status, code) in [("", 401, "missing_token"), (BOB, 403, "forbidden")] {
        let request = gateway.request(Method::GET, "/v1/x");
        let request = if key.is_empty() { request } else { request.header("X-API-Key", key) };
        let answer = request.send().await.expect(status);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.json()["code"], code);
        assert_eq!(answer.json()["request_id"].as_str(), answer.header("x-request-id"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    let lines = gateway.access_log(2).await;
    assert!(lines[1].contains("\"identity\":\"bob\""), "who was refused is in the log: {}", lines[1]);
    assert!(!lines.concat().contains("0123456789abcdefghij"), "the key isn't: {lines:?}");
}

#[tokio::test]
async fn a_connection_lives_on_after_a_refusal_and_a_body_is_not_the_next_request() {
    let app = upstream().reply("*", "ok").start().await;
    let gateway = tidegate().start(&guarded(&app, "auth: require", "")).await;
    let mut client = gateway.connect().await;
    for _ in 0..3 {
        client.get("/v1/x").await.expect(401);
        client.get("/open").await.expect(200);
    }
    let smuggled = format!("GET /v1/x HTTP/1.1\r\nHost: a\r\nX-API-Key: {ADA}\r\n\r\n");
    let length = smuggled.len();
    let answer =
        gateway.raw(format!("POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{smuggled}")).await;
    assert_eq!(answer.statuses(), [401], "{}", answer.text());
    assert_eq!(app.requests().len(), 3);
}

#[tokio::test]
async fn a_check_of_the_configuration_asks_nobody_and_makes_no_file() {
    let world = upstream().reply("*", "{}").start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (url, store) = (format!("http://{}", world.addr()), folder.path().join("auth.redb"));
    let yaml = format!(
        "auth:\n  providers:\n\
         \x20   - service: {{}}\n\
         \x20   - {{ name: a, jwt: {{ jwks: {{ url: \"{url}/jwks\" }}, issuer: a, audience: [api] }} }}\n\
         \x20   - {{ name: b, jwt: {{ discovery: {{ issuer: \"{url}\" }}, audience: [api] }} }}\n\
         \x20   - introspection: {{ url: \"{url}/introspect\" }}\n\
         \x20   - forward: {{ url: \"{url}/forward\" }}\n\
         \x20 service:\n    issuer: \"https://api.example\"\n    store: {{ file: {store:?} }}\n    \
         signup: {{ enabled: true }}\n    \
         events: {{ webhook: {{ url: \"{url}/events\", secret: 0123456789abcdef0123456789abcdef }} }}\n\
         routing: {{ routes: [{{ name: auth, match: {{ path: \"/auth/**\" }}, endpoint: {{ auth: {{}} }} }}] }}\n"
    );
    for _ in 0..2 {
        tidegate().check(&yaml).unwrap_or_else(|error| panic!("{error}"));
    }
    assert_eq!(world.connections(), 0);
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0, "nothing was made");
    // The same does all of it when it is started.
    let gateway = tidegate().start(&yaml).await;
    tidegate_testkit::wait_until("keys to be asked for", || world.connections() > 0).await;
    assert!(store.exists());
    drop(gateway);
}
