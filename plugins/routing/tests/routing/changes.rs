//! What a route changes on the way to the upstream and back.

use http::Method;
use tidegate_testkit::{Http, Script, upstream};

use crate::{named, started};

/// Row A7.
#[tokio::test]
async fn a_rewritten_path_keeps_query_and_encoding() {
    let app = named("app").await;
    let routing = r#"
routes:
  - { match: { path: "/v1/users/**" }, upstream: app, rewrite: { strip_prefix: /v1/users } }
  - { match: { path: "/v2/users/**" }, upstream: app, rewrite: { strip_prefix: /v2, add_prefix: /internal } }
  - { match: { path: "/{user}/files/{rest**}" }, upstream: app, rewrite: { path: "/store/{param.rest}/{param.user}", host: "files.internal:81" } }
  - { match: { path: "/old/**" }, upstream: app, rewrite: { regex: { pattern: "^/old/([a-z]+)", replace: "/new/$1" } } }
  - { match: { path: "/plain/**" }, upstream: app }
"#;
    let gateway = started(&[("app", &app)], routing).await;
    for (path, target) in [
        ("/v1/users/123?x=1", "/123?x=1"),
        ("/v1/users", "/"),
        ("/v1/users/a%20b/%C3%BC?q=%20", "/a%20b/%C3%BC?q=%20"),
        ("/v1/users/../users/7", "/7"),
        ("/v2/users/7", "/internal/users/7"),
        ("/anne/files/a/b%2C?x", "/store/a/b%2C/anne?x"),
        ("/old/things/7?y=2", "/new/things/7?y=2"),
        ("/plain/x?y=2", "/plain/x?y=2"),
    ] {
        for http in Http::BOTH {
            app.forget();
            gateway.request(Method::GET, path).host("a.test").by(http).send().await.expect(200);
            assert_eq!(app.request().target, target, "{path} by {http:?}");
        }
    }
    app.forget();
    gateway.request(Method::GET, "/anne/files/x").host("a.test").send().await.expect(200);
    assert_eq!(app.request().authority, "files.internal:81");
}

#[tokio::test]
async fn a_rewrite_reaches_an_upstream_that_speaks_h2() {
    let app = upstream().route("*", Script::reply("app")).h2().start().await;
    let yaml = format!(
        "upstreams: {{ app: {{ targets: [\"{}\"], protocol: h2 }} }}\n\
         routing: {{ routes: [{{ match: {{ path: \"/v1/**\" }}, upstream: app, rewrite: {{ strip_prefix: /v1, host: app.internal }} }}] }}\n",
        app.target()
    );
    let gateway = tidegate_testkit::gateway().router::<tidegate_routing::Routing>().start(&yaml).await;
    for http in Http::BOTH {
        app.forget();
        gateway.request(Method::GET, "/v1/x?y=1").host("a.test").by(http).send().await.expect(200);
        let seen = app.request();
        assert_eq!((seen.target.as_str(), seen.authority.as_str()), ("/x?y=1", "app.internal"), "{http:?}");
    }
}

/// Row A16.
#[tokio::test]
async fn a_deprecated_version_says_so_on_every_answer() {
    let app = named("app").await;
    let routing = r#"
versioning:
  source: { path: "/{version}/**" }
  versions: { v1: { deprecation: { since: 2026-01-31, sunset: 2026-12-31, link: "https://a.test/docs" } }, v2: {} }
routes:
  - { match: { path: "/v1/users/**" }, upstream: app }
  - { match: { path: "/v1/teapot" }, reply: { status: 418 } }
  - { match: { path: "/v2/users/**" }, upstream: app }
"#;
    let gateway = started(&[("app", &app)], routing).await;
    for (path, status) in [("/v1/users/7", 200), ("/v1/teapot", 418)] {
        let answer = gateway.get(path).await.expect(status);
        assert_eq!(answer.header("deprecation"), Some("@1769817600"), "{path}");
        assert_eq!(answer.header("sunset"), Some("Thu, 31 Dec 2026 00:00:00 GMT"));
        assert_eq!(answer.header("link"), Some("<https://a.test/docs>; rel=\"deprecation\""));
    }
    let current = gateway.get("/v2/users/7").await.expect(200);
    assert!(["deprecation", "sunset", "link"].iter().all(|name| current.header(name).is_none()));
    let unknown = gateway.get("/v3/users/7").await.expect(404).json();
    assert_eq!(unknown["code"], "unknown_version");
    assert!(unknown["detail"].as_str().is_some_and(|detail| detail.ends_with("there are: v1, v2")), "{unknown}");
}

#[tokio::test]
async fn the_body_limit_of_a_route_is_its_own() {
    let app = named("app").await;
    let routing = r#"
routes:
  - { match: { path: "/small" }, upstream: app, limits: { body: 10B } }
  - { match: { path: "/large" }, upstream: app, limits: { body: 1MiB } }
"#;
    let gateway = started(&[("app", &app)], routing).await;
    gateway.post("/small").body("0123456789").send().await.expect(200);
    gateway.post("/small").body("0123456789a").send().await.expect(413);
    gateway.post("/large").body("x".repeat(100_000)).send().await.expect(200);
}
