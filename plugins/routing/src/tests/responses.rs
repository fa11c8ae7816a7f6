//! What requests without a route are told.

use serde_json::json;
use tidegate_core::{Body, Reply};

use super::*;

fn reply(built: &Built, ask: &Ask) -> Reply {
    match built.route(ask) {
        Routed::Respond(reply) => reply,
        other => panic!("{other:?}"),
    }
}

fn detail(reply: Reply) -> String {
    match reply.into_parts().2 {
        Body::Problem { detail, .. } => detail.into_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let built = routes(&[
        ("read", json!({ "host": "a.test", "path": "/x/{id}", "methods": ["GET"] })),
        ("write", json!({ "path": "/x/**", "methods": ["PUT", "PROPFIND"] })),
        ("beta", json!({ "path": "/x/7", "methods": ["DELETE"], "headers": [{ "name": "x-beta" }] })),
    ]);
    let refused = reply(&built, &ask("POST", "a.test/x/7"));
    assert_eq!((refused.status().as_u16(), refused.code()), (405, Some("method_not_allowed")));
    assert_eq!(refused.headers()["allow"], "GET, HEAD, PUT, PROPFIND");
    let refused = reply(&built, &ask("POST", "a.test/x/7").header("x-beta", "1"));
    assert_eq!(refused.headers()["allow"], "GET, HEAD, PUT, DELETE, PROPFIND");
    assert_eq!(built.decide(&ask("POST", "a.test/y")), "none");
}

#[test]
fn options_of_the_server_is_answered_by_the_gateway() {
    let built = routes(&[("all", json!({}))]);
    assert_eq!(built.decide(&Ask { path: "*".into(), ..ask("OPTIONS", "a.test") }), "204");
    assert_eq!(built.decide(&Ask { path: "*".into(), ..get("a.test") }), "400 bad_path");
    assert_eq!(built.decide(&Ask { path: String::new(), ..ask("CONNECT", "a.test:443") }), "400 bad_path");
}

#[test]
fn a_redirect_to_the_normal_path_keeps_the_query() {
    let built = build(&json!({
        "escaped_slashes": "redirect", "repeated_slashes": "redirect", "routes": [{ "name": "all", "upstream": "u" }],
    }));
    for (path, location) in [
        ("/a%2Fb?x=%2F&y", "/a/b?x=%2F&y"),
        ("/a//b", "/a/b"),
        ("//evil.test/x", "/evil.test/x"),
        ("/%5Cevil.test", "/evil.test"),
        ("/%2F%2Fevil.test?", "/evil.test?"),
    ] {
        let moved = reply(&built, &get(&format!("a.test{path}")));
        assert_eq!(moved.status().as_u16(), 307);
        assert_eq!(moved.headers()["location"], location, "{path}");
    }
}

/// Row A16.
#[test]
fn an_unknown_version_is_told_the_known_ones() {
    let built = build(&json!({
        "versioning": { "source": { "path": "/{version}/**" }, "versions": { "v1": {}, "v2": {} } },
        "routes": [
            { "name": "one", "match": { "path": "/v1/users/**" }, "upstream": "a" },
            { "name": "two", "match": { "path": "/v2/users/**" }, "upstream": "b" },
        ],
    }));
    let refused = reply(&built, &get("a.test/v3/users/7"));
    assert_eq!(refused.status().as_u16(), 404);
    assert_eq!(detail(refused), "there is no such version; there are: v1, v2");
    assert_eq!(built.decide(&get("a.test/v12")), "404 unknown_version");
    for path in ["/v1/orders", "/favicon.ico", "/", "/users/v3"] {
        assert_eq!(built.decide(&get(&format!("a.test{path}"))), "none", "{path}");
    }
}

#[test]
fn no_answer_repeats_what_was_sent() {
    let built = build(&json!({
        "versioning": { "source": { "header": "v" }, "versions": { "v1": {} } },
        "routes": [{ "match": { "path": "/x" }, "upstream": "u" }],
    }));
    for ask in [get("a.test/%zzmarker"), get("marker@a.test/"), get("a.test/marker").header("v", "marker")] {
        assert!(!detail(reply(&built, &ask)).contains("marker"));
    }
}
