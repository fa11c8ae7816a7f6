//! A look-up of a path that is already normal allocates nothing.

use std::net::IpAddr;

use http::{HeaderMap, Method};
use tidegate_core::{RequestHead, RouteTable, Routed, Router, Scheme};
use tidegate_routing::{FieldMatch, MatchConfig, RouteConfig, Routing, RoutingConfig};
use tidegate_testkit::allocations;

tidegate_testkit::count_allocations!();

fn route(host: &str, path: &str, methods: &[&str], header: Option<&str>) -> RouteConfig {
    let methods: Vec<_> = methods.iter().map(|method| method.parse().expect("a method")).collect();
    let header = header.map(|name| FieldMatch {
        name: name.to_owned(),
        value: vec!["1".to_owned()].into(),
        regex: None,
        is: None,
    });
    RouteConfig {
        matches: MatchConfig {
            host: vec![host.parse().expect("a host")].into(),
            path: vec![path.parse().expect("a path")].into(),
            methods: methods.into(),
            headers: header.into_iter().collect(),
            ..MatchConfig::default()
        },
        upstream: Some("users".to_owned()),
        ..RouteConfig::default()
    }
}

fn router() -> Routing {
    let mut routes: Vec<_> =
        (0..1000).map(|n| route("*.example.com", &format!("/v1/r{n}/{{id}}"), &[], None)).collect();
    routes.extend([
        route("api.example.com", "/users/{id}/posts/{post}/{a}/{b}", &["GET"], None),
        route("api.example.com", "/users/{id}/**", &["GET"], Some("x-beta")),
        route("api.example.com", "/files/{rest**}", &[], None),
        route("*", "/**", &[], None),
    ]);
    let config = RoutingConfig { routes, ..RoutingConfig::default() };
    Routing::from_config(&config, &mut RouteTable::new()).expect("a good configuration")
}

#[test]
fn a_normal_path_costs_no_allocation() {
    let router = router();
    let mut headers = HeaderMap::new();
    headers.insert("x-beta", "1".parse().expect("a value"));
    for (authority, path) in [
        ("api.example.com", "/users/7/posts/8/9/10"),
        ("api.example.com:8443", "/users/7/x"),
        ("API.Example.com.", "/files/a/b/c.txt"),
        ("x.example.com", "/v1/r999/7"),
        ("a.b.c.example.com", "/v1/r0/%C3%BC%20x"),
        ("other.test", "/.well-known/x;v=1"),
        ("", "/"),
    ] {
        let head = RequestHead {
            method: &Method::GET,
            authority,
            path,
            query: Some("a=1"),
            headers: &headers,
            client: IpAddr::from([192, 0, 2, 1]),
            scheme: Scheme::Https,
            listener: "main",
        };
        let mut found = None;
        // `;` costs a second look-up, of the path without it.
        let allowed = if path.contains(';') { 3 } else { 0 };
        let count = allocations(|| found = Some(router.route(&head)));
        assert!(matches!(found, Some(Routed::Found(_))), "{authority}{path}: {found:?}");
        assert!(count <= allowed, "{authority}{path}: {count}");
    }
}
