//! What `explain` says.

use serde_json::json;

use super::*;

fn explain(built: &Built, ask: &Ask) -> Vec<String> {
    built.routing.explain(&ask.head()).steps
}

fn shop() -> Built {
    build(&json!({ "routes": [
        { "name": "admin", "match": { "host": "shop.test", "path": "/admin/**", "client": "10.0.0.0/8" }, "upstream": "admin" },
        { "name": "write", "match": { "host": "shop.test", "path": "/items/{id}", "methods": "PUT" }, "upstream": "items" },
        { "name": "items", "match": { "host": "*.test", "path": "/items/**" },
          "split": [{ "upstream": "new", "weight": 10 }, { "upstream": "old", "weight": 90 }], "sticky": ["client"],
          "rewrite": { "strip_prefix": "/items" } },
    ] }))
}

#[test]
fn it_says_what_was_tried_and_why_the_winner_won() {
    assert_eq!(
        explain(&shop(), &get("Shop.test:80/x/../items/7")),
        [
            "the path /x/../items/7 is read as /items/7; the upstream sees it so, too",
            "the host is \"shop.test\": routes of shop.test, *.test are tried, in this order",
            "write (PUT shop.test/items/{id}): no, the method is not one of PUT",
            "items (*.test/items/**): yes",
            "it wins: those before it are more specific, and don't match",
            "it is served by one of the upstreams, by weight and always the same for a user: new (10), old (90)",
            "on the way there, 1 segments are taken off",
        ]
    );
}

#[test]
fn it_says_why_there_is_no_route() {
    for (ask, last) in [
        (get("shop.test/admin"), "404"),
        (ask("POST", "other.example/items/7"), "404"),
        (get("shop.test/%zz"), "400: the path has an invalid percent-encoding"),
        (get("a b/"), "400: \"a b\" is not a host"),
        (
            Ask { path: "*".into(), ..ask("OPTIONS", "shop.test") },
            "the path is *, which is no route's: the gateway answers OPTIONS by itself",
        ),
    ] {
        assert_eq!(explain(&shop(), &ask).last().map(String::as_str), Some(last));
    }
    let built = routes(&[
        ("read", json!({ "path": "/x", "methods": "GET" })),
        ("p", json!({ "host": "p.test", "listener": "private" })),
    ]);
    assert_eq!(
        explain(&built, &ask("PUT", "a.test/x")),
        [
            "the host is \"a.test\": routes of any host are tried, in this order",
            "read (GET,HEAD /x): no, the method is not one of GET, HEAD",
            "none of the routes that have this host and path wants the request",
            "405: the method is not allowed here, Allow: GET, HEAD",
        ]
    );
    assert_eq!(
        explain(&built, &get("p.test/")),
        [
            "the host is \"p.test\": routes of p.test, any host are tried, in this order",
            "421: this host is served on other listeners than \"main\"",
            "421: this host is not served here",
        ]
    );
}

#[test]
fn it_agrees_with_the_router() {
    let built = shop();
    for url in ["shop.test/admin/x", "shop.test/items/7", "x.test/items", "shop.test/items;v/7"] {
        let ask = Ask { client: "10.1.1.1", ..get(url) };
        let steps = explain(&built, &ask).join("\n");
        match built.decide(&ask).split(' ').next().expect("a word") {
            status @ ("400" | "404" | "405") => assert!(steps.contains(status), "{steps}"),
            "none" => assert!(steps.ends_with("404"), "{steps}"),
            route => assert!(steps.lines().any(|step| step.starts_with(route) && step.ends_with("yes")), "{steps}"),
        }
    }
}
