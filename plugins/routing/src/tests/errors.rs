//! Configurations that can't work, and what is said of them.

use serde_json::json;

use super::*;

/// What is said of one route.
fn refused(route: &Json) -> String {
    try_build(&json!({ "routes": [route] })).err().map(|errors| errors.to_string()).unwrap_or_default()
}

#[test]
fn a_route_that_cannot_work_is_refused_at_its_place() {
    for (route, message) in [
        (
            json!({}),
            "routes[0]: nothing serves the route: it needs one of `upstream`, `split`, `redirect`, `reply` and `endpoint`",
        ),
        (
            json!({ "upstream": "u", "reply": {} }),
            "routes[0].reply: a route is served by one of `upstream`, `split`, `redirect`, `reply` and `endpoint`, and this one has upstream and reply",
        ),
        (
            json!({ "upstream": "u", "sticky": ["client"] }),
            "routes[0].sticky: there is no `split` to stick to a side of",
        ),
        (
            json!({ "reply": {}, "rewrite": { "add_prefix": "/x" } }),
            "routes[0].rewrite: a reply has no upstream that would see the rewritten request",
        ),
        (
            json!({ "upstream": "u", "name": "a b" }),
            "routes[0].name: a name is made of letters, digits and . _ - : /, at most 100 of them",
        ),
        (
            json!({ "upstream": "u", "match": { "host": "a.test:80" } }),
            "routes[0].match.host: a host has no port here: ports belong to listeners, and `a.test:80` serves its host on each of them",
        ),
        (
            json!({ "upstream": "u", "match": { "path": ["/a", "b"] } }),
            "routes[0].match.path[1]: `b` is not a path: it must begin with `/`",
        ),
        (
            json!({ "upstream": "u", "match": { "path": "/a%2Fb" } }),
            "routes[0].match.path: no request matches `/a%2Fb`: it has an encoded slash; set `escaped_slashes: keep`, or write a slash",
        ),
        (
            json!({ "upstream": "u", "match": { "path": ["/a/{x}", "/b/{y}"] } }),
            "routes[0].match.path: `/b/{y}` has other parameters than the first path of the route\nhelp: name the same ones in the same order, or make it another route",
        ),
        (
            json!({ "upstream": "u", "match": { "methods": ["get"] } }),
            "routes[0].match.methods[0]: methods are case-sensitive; write `GET`",
        ),
        (
            json!({ "upstream": "u", "match": { "methods": [] } }),
            "routes[0].match.methods: the list is empty; leave the key out if it is not to matter",
        ),
        (
            json!({ "upstream": "u", "match": { "headers": [{ "name": "Host", "value": "x" }] } }),
            "routes[0].match.headers[0].name: the host is matched by `host`, not as a header field",
        ),
        (
            json!({ "upstream": "u", "match": { "query": [{ "name": "x", "value": "1", "is": "absent" }] } }),
            "routes[0].match.query[0]: a condition has only one of `value`, `regex` and `is`",
        ),
        (
            json!({ "upstream": "u", "match": { "client": "10.0.0.1/8" } }),
            "routes[0].match.client: `10.0.0.1/8` has bits set beyond its prefix; write 10.0.0.0/8",
        ),
        (
            json!({ "upstream": "u", "match": { "path_regex": "(" } }),
            "routes[0].match.path_regex: `(` is not a regular expression: unclosed group",
        ),
        (
            json!({ "upstream": "u", "match": { "version": "v1" } }),
            "routes[0].match.version: there is no `versioning` section that says which versions there are",
        ),
        (
            json!({ "split": [{ "upstream": "a", "weight": 0 }] }),
            "routes[0].split: all weights are 0, so nobody could be served",
        ),
        (
            json!({ "split": [{ "upstream": "a", "weight": 1 }, { "upstream": "a", "weight": 2 }] }),
            "routes[0].split[1].upstream: `a` is in this split already; add the weights up",
        ),
        (
            json!({ "split": [{ "upstream": "a", "weight": 1 }], "sticky": [{ "header": "a b" }] }),
            "routes[0].sticky[0].header: `a b` is not the name of a header field",
        ),
        (
            json!({ "endpoint": { "a": {}, "b": {} } }),
            "routes[0].endpoint: it names exactly one endpoint, as in { files: { root: /srv/www } }",
        ),
        (
            json!({ "redirect": { "to": "//evil.test" } }),
            "routes[0].redirect.to: a target begins with `/`, `{path}`, `http://`, `https://` or `{scheme}://`",
        ),
        (
            json!({ "match": { "path": "/u/{id}" }, "redirect": { "to": "/x/{param.uid}" } }),
            "routes[0].redirect: the route's path has no parameter `uid`",
        ),
        (
            json!({ "upstream": "u", "rewrite": { "path": "/x/{param.id}" } }),
            "routes[0].rewrite.path: the route's path has no parameter `id`",
        ),
        (
            json!({ "upstream": "u", "match": { "path": "/a/**" }, "rewrite": { "strip_prefix": "/b" } }),
            "routes[0].rewrite.strip_prefix: `/b` is not the front of the route's path `/a/**`, segment by segment\nhelp: it has no `**`, and no slash at its end",
        ),
        (
            json!({ "upstream": "u", "deprecation": {} }),
            "routes[0].deprecation: a deprecation says at least one of since, sunset, link and successor",
        ),
        (
            json!({ "upstream": "u", "deprecation": { "since": "2026-02-30" } }),
            "routes[0].deprecation.since: `2026-02-30` is not a date; write one as 2026-01-31 or 2026-01-31T12:00:00Z",
        ),
        (json!({ "reply": { "status": 99 } }), "routes[0].reply.status: a status is a number from 200 to 599"),
        (
            json!({ "reply": { "headers": { "Content-Length": "1" }, "body": "x" } }),
            "routes[0].reply.headers.Content-Length: the gateway sets this field itself",
        ),
    ] {
        assert_eq!(refused(&route), message, "{route}");
    }
}

#[test]
fn unknown_keys_are_refused_everywhere() {
    for route in [
        json!({ "upstream": "u", "x": 1 }),
        json!({ "upstream": "u", "match": { "x": 1 } }),
        json!({ "upstream": "u", "match": { "headers": [{ "name": "a", "x": 1 }] } }),
        json!({ "split": [{ "upstream": "a", "weight": 1, "x": 1 }] }),
        json!({ "redirect": { "to": "/x", "x": 1 } }),
        json!({ "reply": { "x": 1 } }),
        json!({ "upstream": "u", "rewrite": { "x": 1 } }),
        json!({ "upstream": "u", "rewrite": { "regex": { "pattern": "a", "replace": "b", "x": 1 } } }),
        json!({ "upstream": "u", "deprecation": { "x": 1 } }),
        json!({ "upstream": "u", "limits": { "x": 1 } }),
        json!({ "upstream": "u", "timeouts": { "x": 1 } }),
    ] {
        assert!(refused(&route).contains("unknown key `x`"), "{route}: {}", refused(&route));
    }
}

#[test]
fn errors_of_all_routes_are_reported_at_once() {
    let errors = try_build(&json!({ "routes": [
        { "name": "same", "match": { "path": "/a" }, "upstream": "u" },
        { "name": "same", "match": { "path": "/b" }, "upstream": "u" },
        { "match": { "path": "/c" }, "redirect": {}, "deprecation": {} },
    ] }));
    assert_eq!(
        errors.err().expect("errors").to_string(),
        "routes[2].redirect: a redirect needs `to`, or one of scheme, host, port and path\n\
         routes[2].deprecation: a deprecation says at least one of since, sunset, link and successor\n\
         routes[1].name: the name `same` is taken by routes[0]"
    );
}

#[test]
fn versions_that_make_no_sense_are_refused() {
    for (versioning, message) in [
        (
            json!({ "source": { "path": "/v1/**" }, "versions": { "v1": {} } }),
            "versioning.source.path: the path has no `{version}`\nhelp: write it as in /{version}/**",
        ),
        (
            json!({ "source": { "path": "/{version}/**" }, "default": "v1", "versions": { "v1": {} } }),
            "versioning.default: a path always says its version; there is no default",
        ),
        (
            json!({ "source": { "header": "v" }, "default": "v2", "versions": { "v1": {} } }),
            "versioning.default: `v2` is not one of `versions`",
        ),
        (json!({ "source": { "query": "v" }, "versions": {} }), "versioning.versions: there are no versions"),
        (
            json!({ "source": { "header": "a b" }, "versions": { "v1": {} } }),
            "versioning.source.header: `a b` is not the name of a header field",
        ),
    ] {
        let errors = try_build(&json!({ "versioning": versioning, "routes": [] }));
        assert_eq!(errors.err().expect("errors").to_string(), message);
    }
    let unknown = try_build(&json!({
        "versioning": { "source": { "header": "v" }, "versions": { "v1": {}, "v2": {} } },
        "routes": [{ "match": { "version": "v3" }, "upstream": "u" }],
    }));
    assert_eq!(
        unknown.err().expect("errors").to_string(),
        "routes[0].match.version: there is no version `v3`\nhelp: versioning.versions has: v1, v2"
    );
}

#[test]
fn a_route_is_described_in_one_line() {
    let built = build(&json!({ "routes": [
        { "match": { "host": ["a.test", "b.test"], "path": "/v1/**", "methods": ["GET", "POST"], "headers": [{ "name": "X-Key", "value": "hunter2" }] }, "upstream": "u" },
        { "upstream": "u" },
        { "match": { "path": ["/a", "/b"], "client": "10.0.0.0/8", "scheme": "https", "listener": "main" }, "upstream": "u" },
    ] }));
    let summaries: Vec<_> = built.table.routes().iter().map(|route| route.summary.as_str()).collect();
    assert_eq!(
        summaries,
        ["GET,HEAD,POST a.test(+1)/v1/** header x-key=…", "/**", "/a(+1) scheme=https listener=main client=10.0.0.0/8"]
    );
}
