//! What a route asks of a request beside its host and path.

use serde_json::json;

use super::*;

#[test]
fn more_conditions_win_then_fewer_methods_then_the_order_in_the_file() {
    let built = routes(&[
        ("plain", json!({})),
        ("many", json!({ "methods": ["GET", "POST", "PUT"] })),
        ("few", json!({ "methods": ["GET", "POST"] })),
        ("header", json!({ "methods": ["GET", "POST"], "headers": [{ "name": "x-a" }] })),
        ("first", json!({ "headers": [{ "name": "x-b", "regex": "1.*" }] })),
        ("second", json!({ "headers": [{ "name": "x-b", "regex": ".*2" }] })),
        ("narrow", json!({ "client": "10.1.0.0/16" })),
        ("wide", json!({ "client": "10.0.0.0/8" })),
    ]);
    assert_eq!(built.decide(&get("a.test/").header("x-a", "")), "header");
    assert_eq!(built.decide(&get("a.test/")), "few");
    assert_eq!(built.decide(&ask("PUT", "a.test/")), "many");
    assert_eq!(built.decide(&ask("DELETE", "a.test/")), "plain");
    assert_eq!(built.decide(&ask("DELETE", "a.test/").header("x-b", "12")), "first");
    assert_eq!(built.decide(&ask("DELETE", "a.test/").header("x-b", "2")), "second");
    assert_eq!(built.decide(&Ask { client: "10.1.2.3", ..ask("DELETE", "a.test/") }), "narrow");
    assert_eq!(built.decide(&Ask { client: "10.2.2.3", ..ask("DELETE", "a.test/") }), "wide");
}

#[test]
fn every_kind_of_condition_decides() {
    let built = routes(&[
        ("tls", json!({ "path": "/s", "scheme": "https" })),
        ("private", json!({ "path": "/l", "listener": ["private", "admin"] })),
        ("office", json!({ "path": "/c", "client": ["10.0.0.0/8", "2001:db8::1"] })),
        ("cookie", json!({ "path": "/k", "cookies": [{ "name": "side", "value": "b" }] })),
        (
            "query",
            json!({ "path": "/q", "query": [{ "name": "a", "is": "absent" }, { "name": "b", "regex": "[0-9]+" }] }),
        ),
    ]);
    assert_eq!(built.decide(&Ask { scheme: Scheme::Https, ..get("a.test/s") }), "tls");
    assert_eq!(built.decide(&get("a.test/s")), "none");
    assert_eq!(built.decide(&Ask { listener: "admin", ..get("a.test/l") }), "private");
    assert_eq!(built.decide(&get("a.test/l")), "none");
    assert_eq!(built.decide(&Ask { client: "::ffff:10.9.9.9", ..get("a.test/c") }), "office");
    assert_eq!(built.decide(&Ask { client: "2001:db8::1", ..get("a.test/c") }), "office");
    assert_eq!(built.decide(&get("a.test/c")), "none");
    assert_eq!(built.decide(&get("a.test/k").header("cookie", "x=1; side=b")), "cookie");
    assert_eq!(built.decide(&get("a.test/k").header("cookie", "side=bb")), "none");
    assert_eq!(built.decide(&get("a.test/q?b=12")), "query");
    assert_eq!(built.decide(&get("a.test/q?b=12&a=")), "none");
    assert_eq!(built.decide(&get("a.test/q?b=x")), "none");
}

#[test]
fn a_get_route_serves_head_and_answers_its_preflight() {
    let built = routes(&[("read", json!({ "methods": "GET" })), ("write", json!({ "methods": "PUT" }))]);
    let preflight = |method: &str| {
        ask("OPTIONS", "a.test/").header("origin", "https://b.test").header("access-control-request-method", method)
    };
    assert_eq!(built.decide(&ask("HEAD", "a.test/")), "read");
    assert_eq!(built.decide(&preflight("GET")), "read");
    assert_eq!(built.decide(&preflight("PUT")), "write");
    assert_eq!(built.decide(&preflight("DELETE")), "405 method_not_allowed");
    assert_eq!(
        built.decide(&ask("OPTIONS", "a.test/").header("access-control-request-method", "PUT")),
        "405 method_not_allowed"
    );
}

#[test]
fn a_redirect_to_another_scheme_leaves_requests_of_that_scheme_alone() {
    let built = build(&json!({ "routes": [
        { "name": "up", "redirect": { "scheme": "https" } },
        { "name": "site", "upstream": "site" },
    ] }));
    assert_eq!(built.decide(&get("a.test/")), "up");
    assert_eq!(built.decide(&Ask { scheme: Scheme::Https, ..get("a.test/") }), "site");
}

/// Row A16, the version in a header field.
#[test]
fn a_version_in_a_header_has_a_default() {
    let built = build(&json!({
        "versioning": { "source": { "header": "Api-Version" }, "default": "v1", "versions": { "v1": {}, "v2": {} } },
        "routes": [
            { "name": "one", "match": { "path": "/x", "version": "v1" }, "upstream": "a" },
            { "name": "two", "match": { "path": "/x", "version": "v2" }, "upstream": "b" },
        ],
    }));
    assert_eq!(built.decide(&get("a.test/x")), "one");
    assert_eq!(built.decide(&get("a.test/x").header("api-version", "v1")), "one");
    assert_eq!(built.decide(&get("a.test/x").header("api-version", "v2")), "two");
    assert_eq!(built.decide(&get("a.test/x").header("api-version", "v3")), "404 unknown_version");
    assert_eq!(built.decide(&get("a.test/y").header("api-version", "v2")), "none");
}
