//! Large tables: not how long they take, but what must hold for them to be quick.

use serde_json::json;

use super::*;
use crate::{MatchConfig, RouteConfig};

/// Typed, so that reading the configuration is not a part of it.
fn many(count: usize) -> RoutingConfig {
    let route = |n: usize| RouteConfig {
        matches: MatchConfig {
            host: vec![format!("t{}.test", n % 100).parse().expect("a host")].into(),
            path: vec![format!("/v1/{}/{{id}}/items/{n}", n % 7).parse().expect("a path")].into(),
            ..MatchConfig::default()
        },
        upstream: Some("u".into()),
        ..RouteConfig::default()
    };
    RoutingConfig { routes: (0..count).map(route).collect(), ..RoutingConfig::default() }
}

#[test]
fn each_of_fifty_thousand_routes_is_found() {
    let mut table = RouteTable::new();
    let routing = Routing::from_config(&many(50_000), &mut table).expect("no conflicts");
    assert_eq!(table.len(), 50_000);
    for n in (0..50_000).step_by(997) {
        let ask = get(&format!("t{}.test/v1/{}/x/items/{n}", n % 100, n % 7));
        match routing.route(&ask.head()) {
            Routed::Found(found) => assert_eq!(found.route.index(), n),
            other => panic!("{n}: {other:?}"),
        }
    }
}

#[test]
fn ten_thousand_routes_on_one_path_are_checked_for_conflicts_in_linear_time() {
    // Each differs from each other by one header's value: the check must not compare each with each.
    let routes: Vec<_> = (0..10_000)
        .map(|n| json!({ "match": { "headers": [{ "name": "x-tenant", "value": n.to_string() }] }, "upstream": "u" }))
        .collect();
    let built = build(&json!({ "routes": routes }));
    assert_eq!(built.decide(&get("a.test/").header("x-tenant", "9999")), "route-9999");
}
