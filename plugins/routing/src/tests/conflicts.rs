//! Routes that can't be told apart, and routes that nothing reaches.

use serde_json::json;

use super::*;

fn conflict(matches: &[Json]) -> Option<String> {
    let routes: Vec<_> = matches.iter().map(|m| json!({ "match": m, "upstream": "u" })).collect();
    try_build(&json!({ "routes": routes })).err().map(|errors| errors.to_string())
}

#[test]
fn routes_that_can_never_be_told_apart_are_named_with_their_places() {
    let message = conflict(&[
        json!({ "host": ["b.test", "A.test"], "path": "/users/{id}", "methods": ["GET"] }),
        json!({ "path": "/other" }),
        json!({ "host": "a.test.", "path": ["/x/{name}", "/users/{name}"], "methods": ["HEAD", "GET"] }),
    ]);
    assert_eq!(
        message.expect("a conflict"),
        "routes[2]: the routes `route-0` (routes[0]) and `route-2` can never be told apart: both match a.test/users/{name}\n\
         help: give one of them another host or path, or a condition (methods, headers, query, …), or remove one"
    );
}

#[test]
fn spelling_does_not_make_routes_differ() {
    for (a, b) in [
        (json!({}), json!({ "host": "*", "path": "/**" })),
        (json!({ "path": "/%61" }), json!({ "path": "/a" })),
        (json!({ "path": "/a,b" }), json!({ "path": "/a%2Cb" })),
        (json!({ "path": "/{rest**}" }), json!({ "path": "/**" })),
        (json!({ "path": "/*" }), json!({ "path": "/{x}" })),
        (json!({ "host": "bücher.example" }), json!({ "host": "XN--BCHER-kva.example" })),
        (
            json!({ "headers": [{ "name": "X-A", "value": ["1", "2"] }] }),
            json!({ "headers": [{ "name": "x-a", "value": ["2", "1"] }] }),
        ),
        (json!({ "client": ["10.0.0.0/9", "10.128.0.0/9"] }), json!({ "client": "10.0.0.0/8" })),
        (json!({ "listener": ["a", "b"] }), json!({ "listener": ["b", "a"] })),
    ] {
        assert!(conflict(&[a.clone(), b.clone()]).is_some_and(|m| m.contains("never be told apart")), "{a} {b}");
    }
}

#[test]
fn routes_that_differ_are_no_conflict() {
    for (a, b) in [
        (json!({ "path": "/a" }), json!({ "path": "/A" })),
        (json!({ "path": "/a" }), json!({ "path": "/a/" })),
        (json!({ "path": "/a" }), json!({ "path": "/a/**" })),
        (json!({ "host": "a.test" }), json!({ "host": "*.test" })),
        (json!({ "methods": "GET" }), json!({ "methods": "POST" })),
        (json!({ "methods": "GET" }), json!({ "methods": "HEAD" })),
        (json!({ "headers": [{ "name": "a" }] }), json!({ "cookies": [{ "name": "a" }] })),
        (json!({ "headers": [{ "name": "a", "value": "1" }] }), json!({ "headers": [{ "name": "a", "value": "2" }] })),
        (json!({ "path_regex": "/a.*" }), json!({ "path_regex": "/.*a" })),
        (json!({ "client": "10.0.0.0/8" }), json!({ "client": "10.0.0.0/9" })),
        (json!({ "scheme": "http" }), json!({ "scheme": "https" })),
    ] {
        assert_eq!(conflict(&[a.clone(), b.clone()]), None, "{a} {b}");
        assert_eq!(conflict(&[b.clone(), a.clone()]), None, "{b} {a}");
    }
}

#[test]
fn a_route_whose_requests_all_go_elsewhere_is_refused() {
    let message = conflict(&[
        json!({ "path": "/x", "methods": ["GET"] }),
        json!({ "path": "/x", "methods": ["POST"] }),
        json!({ "path": "/x", "methods": ["GET", "POST"] }),
    ]);
    assert_eq!(
        message.expect("a conflict"),
        "routes[2]: no request reaches the route `route-2`: all it matches goes to `route-0` (routes[0]) and `route-1` (routes[1])\n\
         help: remove it, or narrow what it is shadowed by"
    );
    let reachable = conflict(&[
        json!({ "path": "/x", "methods": ["GET"] }),
        json!({ "path": "/x", "methods": ["POST"] }),
        json!({ "path": ["/x", "/y"], "methods": ["GET", "POST"] }),
    ]);
    assert_eq!(reachable, None, "it is reached by /y");
}

#[test]
fn every_conflict_is_reported_beside_the_other_errors() {
    let errors = try_build(&json!({ "routes": [
        { "match": { "path": "/a" }, "upstream": "u" },
        { "match": { "path": "/b" } },
        { "match": { "path": "/a" }, "upstream": "u" },
        { "match": { "path": "/c" }, "upstream": "u" },
        { "match": { "path": "/c" }, "upstream": "u" },
    ] }));
    let paths: Vec<_> = errors.err().expect("errors").iter().map(|error| error.path.to_string()).collect();
    assert_eq!(paths, ["routes[1]", "routes[2]", "routes[4]"]);
}
