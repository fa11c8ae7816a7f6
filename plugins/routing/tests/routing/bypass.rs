//! No spelling of a path reaches a route that its match did not mean.

use http::Method;
use tidegate_testkit::{Http, TestGateway, Upstream};

use crate::{named, started};

const ROUTES: &str = r#"
routes:
  - { name: admin, match: { path: "/admin/**" }, reply: { status: 403 } }
  - { name: api, match: { path: "/api/**" }, upstream: api }
  - { name: rest, upstream: app }
"#;

async fn guarded(rules: &str) -> (Upstream, Upstream, TestGateway) {
    let (app, api) = (named("app").await, named("api").await);
    let gateway = started(&[("app", &app), ("api", &api)], &format!("{rules}{ROUTES}")).await;
    (app, api, gateway)
}

/// What the client got, and the target that the upstream saw, if one did.
async fn sent(gateway: &TestGateway, upstreams: [&Upstream; 2], path: &str) -> (u16, Option<String>) {
    upstreams.iter().for_each(|upstream| upstream.forget());
    let status = gateway.request(Method::GET, path).send().await.status;
    let mut seen = upstreams.iter().flat_map(|upstream| upstream.requests());
    let target = seen.next().map(|request| request.target);
    assert!(seen.next().is_none(), "{path} was sent twice");
    (status, target)
}

#[tokio::test]
async fn every_spelling_of_a_guarded_path_is_guarded_or_refused() {
    let (app, api, gateway) = guarded("").await;
    for (path, status, target) in [
        ("/admin", 403, None),
        ("/admin/", 403, None),
        ("/api/../admin", 403, None),
        ("/api/../admin/users", 403, None),
        ("/api/./../admin", 403, None),
        ("/api/%2e%2e/admin", 403, None),
        ("/api/%2E./admin", 403, None),
        ("/api/x/../../admin", 403, None),
        ("/%61dmin", 403, None),
        ("/%61%64%6D%69%6e/x", 403, None),
        ("//admin", 403, None),
        ("///admin//", 403, None),
        ("/./admin", 403, None),
        ("/admin/%2e", 403, None),
        ("/api//../admin", 400, None),
        ("/api/..//admin", 400, None),
        ("/api/..%2fadmin", 400, None),
        ("/api/%2e%2e%2Fadmin", 400, None),
        ("/api%2f..%2fadmin", 400, None),
        ("/api/..\\admin", 400, None),
        ("/api/..%5cadmin", 400, None),
        ("/\\admin", 400, None),
        ("/%5Cadmin", 400, None),
        ("/%2fadmin", 400, None),
        ("/api/..;/admin", 400, None),
        ("/api/..;x=1/admin", 400, None),
        ("/admin;x", 400, None),
        ("/admin;x/users", 400, None),
        ("/;x/admin", 400, None),
        ("/api/%c0%ae%c0%ae/admin", 400, None),
        ("/%c0%afadmin", 400, None),
        ("/%e0%80%afadmin", 400, None),
        ("/admin%00", 400, None),
        ("/api/%00/../../admin", 400, None),
        ("/api/%0a..", 400, None),
        ("/..", 400, None),
        ("/../../etc/passwd", 400, None),
        ("/api/%zz", 400, None),
        ("/api/%u002e%u002e/admin", 400, None),
        ("/api/x;v=1", 200, Some("/api/x;v=1")),
        ("/api/../x", 200, Some("/x")),
        ("/api/%252e%252e/admin", 200, Some("/api/%252e%252e/admin")),
        ("/api/...", 200, Some("/api/...")),
        ("/API/x", 200, Some("/API/x")),
        ("/Admin", 200, Some("/Admin")),
        ("/adminx", 200, Some("/adminx")),
        ("/api/a%20b%2cc%3F?x=/../admin", 200, Some("/api/a%20b%2Cc%3F?x=/../admin")),
        ("/api//a", 200, Some("/api/a")),
        ("/api/x/.?y", 200, Some("/api/x/?y")),
    ] {
        assert_eq!(sent(&gateway, [&app, &api], path).await, (status, target.map(str::to_owned)), "{path}");
    }
}

#[tokio::test]
async fn h2_is_guarded_as_h1_is() {
    let (app, api, gateway) = guarded("").await;
    for (path, status) in [
        ("/api/../admin", 403),
        ("/api/%2e%2e/admin", 403),
        ("//admin", 403),
        ("/%61dmin", 403),
        ("/api/..%2fadmin", 400),
        ("/api/..;/admin", 400),
        ("/admin;x", 400),
        ("/%c0%afadmin", 400),
        ("/..", 400),
    ] {
        for http in Http::BOTH {
            let answer = gateway.request(Method::GET, path).host("a.test").by(http).send().await;
            assert_eq!(answer.status, status, "{path} by {http:?}");
        }
    }
    assert!(app.requests().is_empty() && api.requests().is_empty());
}

#[tokio::test]
async fn a_target_that_is_a_url_is_guarded_too() {
    let (app, api, gateway) = guarded("").await;
    for target in ["http://a.test/admin", "http://a.test/api/../admin", "http://a.test//admin"] {
        let answer = gateway.request(Method::GET, target).host("a.test").send().await;
        assert_eq!(answer.status, 403, "{target}");
    }
    assert!(app.requests().is_empty() && api.requests().is_empty());
}

#[tokio::test]
async fn escaped_slashes_follow_their_policy() {
    for (policy, path, status, target) in [
        ("keep", "/api/group%2fname", 200, Some("/api/group%2Fname")),
        ("keep", "/admin%2fusers", 200, Some("/admin%2Fusers")),
        ("keep", "/api/..%2fadmin", 400, None),
        ("keep", "/api/x\\y", 200, Some("/api/x%5Cy")),
        ("decode", "/api%2fx?y=%2F", 200, Some("/api/x?y=%2F")),
        ("decode", "/admin%2fusers", 403, None),
        ("decode", "/api/..%2fadmin", 403, None),
        ("decode", "/api\\..\\admin", 403, None),
        ("redirect", "/api%2f..%2fadmin", 307, None),
        ("reject", "/api%2fx", 400, None),
    ] {
        let (app, api, gateway) = guarded(&format!("escaped_slashes: {policy}")).await;
        let got = sent(&gateway, [&app, &api], path).await;
        assert_eq!(got, (status, target.map(str::to_owned)), "{policy} {path}");
    }
}

#[tokio::test]
async fn a_redirect_to_the_normal_path_stays_on_the_site() {
    let (_app, _api, gateway) = guarded("escaped_slashes: redirect\nrepeated_slashes: redirect").await;
    for (path, location) in [
        ("/api%2f..%2fadmin?x=1", "/admin?x=1"),
        ("//evil.test/%2e%2e", "400"),
        ("//evil.test/x", "/evil.test/x"),
        ("/%2fevil.test", "/evil.test"),
        ("/\\evil.test", "/evil.test"),
    ] {
        let answer = gateway.get(path).await;
        let got = answer.header("location").map_or_else(|| answer.status.to_string(), str::to_owned);
        assert_eq!(got, location, "{path}");
    }
}
