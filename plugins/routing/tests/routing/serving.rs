//! Which upstream or answer a request gets.

use std::collections::HashMap;

use http::Method;
use tidegate_testkit::{Http, call};

use crate::{file, named, started};

/// Rows A5, A6 and A7: each prefix has its service, and the service sees what the client sent.
#[tokio::test]
async fn each_service_gets_its_own_paths_unchanged() {
    let (auth, users, docs) = (named("auth").await, named("users").await, named("docs").await);
    let routing = r#"
routes:
  - { match: { path: "/v1/auth/**" }, upstream: auth }
  - { match: { path: "/v1/users/**" }, upstream: users }
  - { match: { path: "/v1/docs/**" }, upstream: docs }
"#;
    let gateway = started(&[("auth", &auth), ("users", &users), ("docs", &docs)], routing).await;
    for http in Http::BOTH {
        for name in ["auth", "users", "docs"] {
            let path = format!("/v1/{name}/123?x=1&y=%2F");
            let answer = gateway.request(Method::GET, &path).host("api.test").by(http).send().await.expect(200);
            assert_eq!(answer.text(), name);
        }
        let unknown = gateway.request(Method::GET, "/v1/x").host("api.test").by(http).send().await.expect(404);
        assert_eq!(unknown.header("content-type"), Some("application/problem+json"));
    }
    let targets: Vec<_> = users.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["/v1/users/123?x=1&y=%2F"; 2]);
}

/// Rows A11 and A12: one connection, several hosts and paths.
#[tokio::test]
async fn one_connection_reaches_every_host_and_path() {
    let (site, api) = (named("site").await, named("api").await);
    let routing = r#"
routes:
  - { match: { host: [myapp.test, "*.myapp.test"] }, upstream: site }
  - { match: { host: myapp.test, path: "/api/**" }, upstream: api }
  - { match: { host: bücher.test }, upstream: api }
"#;
    let gateway = started(&[("site", &site), ("api", &api)], routing).await;
    let (mut one, mut two) = (gateway.connect().await, gateway.connect_h2().await);
    for (host, path, body) in [
        ("myapp.test", "/", "site"),
        ("MyApp.test:8080", "/api/x", "api"),
        ("www.myapp.test", "/api/x", "site"),
        ("xn--bcher-kva.test", "/", "api"),
    ] {
        let request = || call(Method::GET, path).host(host);
        assert_eq!(one.send(request()).await.expect(200).text(), body, "{host}{path}");
        assert_eq!(two.send(request()).await.expect(200).text(), body, "{host}{path}");
    }
    one.send(call(Method::GET, "/").host("other.test")).await.expect(404);
    one.send(call(Method::GET, "/").host("bad..host")).await.expect(400);
}

#[tokio::test]
async fn a_private_host_is_misdirected_on_the_public_listener() {
    let db = named("db").await;
    let yaml = file(
        &[("db", &db)],
        "routes: [{ match: { host: db.internal, listener: private }, upstream: db }, { reply: { body: public } }]",
    ) + "listeners: [{ name: public, bind: \"127.0.0.1:0\" }, { name: private, bind: \"127.0.0.1:0\" }]\n";
    let gateway = tidegate_testkit::gateway().router::<tidegate_routing::Routing>().start(&yaml).await;
    let ask =
        |listener: &str, host: &str| gateway.request(Method::GET, "/").to(gateway.addr_of(listener)).host(host).send();
    ask("public", "db.internal").await.expect(421);
    assert_eq!(ask("private", "db.internal").await.expect(200).text(), "db");
    assert_eq!(ask("public", "other.test").await.expect(200).text(), "public");
    assert_eq!(db.requests().len(), 1);
}

/// Row B5.
#[tokio::test]
async fn a_split_keeps_its_users_on_their_side() {
    let (old, new) = (named("old").await, named("new").await);
    let routing = "routes: [{ split: [{ upstream: new, weight: 25 }, { upstream: old, weight: 75 }], \
                   sticky: [{ header: X-User }, { cookie: user }] }]";
    let gateway = started(&[("old", &old), ("new", &new)], routing).await;
    let mut sides: HashMap<String, usize> = HashMap::new();
    for user in 0..400 {
        let mut client = gateway.connect().await;
        let by_header = client.send(call(Method::GET, "/").header("X-User", user.to_string())).await.expect(200).text();
        let again = client.send(call(Method::GET, "/x").header("x-user", user.to_string())).await.expect(200).text();
        assert_eq!(by_header, again, "user {user} changed sides");
        let cookie = format!("user={user}");
        let by_cookie = client.send(call(Method::GET, "/").header("Cookie", &cookie)).await.expect(200).text();
        let again = client.send(call(Method::GET, "/").header("Cookie", &cookie)).await.expect(200).text();
        assert_eq!(by_cookie, again, "user {user} changed sides");
        *sides.entry(by_header).or_default() += 1;
    }
    let new = sides["new"];
    assert!((50..=150).contains(&new), "{new} of 400 are on the side of a quarter");
}

#[tokio::test]
async fn conditions_choose_between_upstreams() {
    let (stable, beta) = (named("stable").await, named("beta").await);
    let routing = r#"
routes:
  - { upstream: stable }
  - { match: { headers: [{ name: X-Beta, value: "1" }] }, upstream: beta }
  - { match: { query: [{ name: beta }] }, upstream: beta }
  - { match: { cookies: [{ name: beta, regex: "on|yes" }] }, upstream: beta }
  - { match: { client: "::1" }, reply: { body: six } }
"#;
    let gateway = started(&[("stable", &stable), ("beta", &beta)], routing).await;
    for (path, header, body) in [
        ("/", ("X-Other", "1"), "stable"),
        ("/", ("X-Beta", "1"), "beta"),
        ("/", ("X-Beta", "2"), "stable"),
        ("/?beta", ("X-Other", "1"), "beta"),
        ("/", ("Cookie", "a=b; beta=yes"), "beta"),
        ("/", ("Cookie", "beta=yess"), "stable"),
    ] {
        let answer = gateway.request(Method::GET, path).header(header.0, header.1).send().await.expect(200);
        assert_eq!(answer.text(), body, "{path} {header:?}");
    }
}

#[tokio::test]
async fn a_fixed_reply_is_sent_as_it_was_written() {
    let routing = r#"
routes:
  - name: health
    match: { path: /health, methods: GET }
    reply: { content_type: application/json, body: '{"ok":true}', headers: { Cache-Control: no-store } }
  - { match: { path: /gone }, reply: { status: 410 } }
  - { match: { path: /empty }, reply: {} }
"#;
    let gateway = started(&[], routing).await;
    for http in Http::BOTH {
        let ask = |method, path| gateway.request(method, path).host("a.test").by(http).send();
        let health = ask(Method::GET, "/health").await.expect(200);
        assert_eq!(
            (health.text().as_str(), health.header("content-type")),
            (r#"{"ok":true}"#, Some("application/json"))
        );
        assert_eq!(health.header("cache-control"), Some("no-store"));
        let head = ask(Method::HEAD, "/health").await.expect(200);
        assert_eq!((head.text().as_str(), head.header("content-length")), ("", Some("11")));
        let gone = ask(Method::GET, "/gone").await.expect(410);
        assert_eq!(gone.header("content-type"), Some("application/problem+json"));
        assert_eq!(ask(Method::GET, "/empty").await.expect(204).text(), "");
    }
}

/// Row D7.
#[tokio::test]
async fn plain_requests_are_sent_to_tls_but_for_challenges() {
    let routing = r#"
routes:
  - { redirect: { scheme: https, status: 308 } }
  - { match: { scheme: http, path: "/.well-known/acme-challenge/**" }, reply: { body: token } }
  - { match: { path: "/u/{id}" }, redirect: { to: "https://people.test/users/{param.id}?from={host}", status: 301 } }
"#;
    let gateway = started(&[], routing).await;
    for http in Http::BOTH {
        let ask = |method, path| gateway.request(method, path).host("A.test:8080").by(http).send();
        let moved = ask(Method::POST, "/x%20y/?a=1&b=%20").await.expect(308);
        let location = moved.header("location").expect("a location").to_ascii_lowercase();
        assert_eq!(location, "https://a.test/x%20y/?a=1&b=%20");
        assert_eq!(ask(Method::GET, "/.well-known/acme-challenge/x").await.expect(200).text(), "token");
        let moved = ask(Method::GET, "/u/7%2C8?x=1").await.expect(301);
        let location = moved.header("location").expect("a location").to_ascii_lowercase();
        assert_eq!(location, "https://people.test/users/7%2c8?from=a.test");
    }
}
