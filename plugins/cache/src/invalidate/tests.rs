use std::net::IpAddr;
use std::sync::Arc;

use tidegate_core::{HeaderMap, Method, RequestHead, Scheme, StatusCode, header};

use super::urls;
use crate::config::{Key, QueryKey};
use crate::key::KeyRule;

fn invalid(key: Key, method: &Method, status: u16, location: Option<&str>) -> Vec<String> {
    let rule = KeyRule::build(&key, &Arc::from("app")).expect("a rule");
    let (none, mut answer) = (HeaderMap::new(), HeaderMap::new());
    if let Some(location) = location {
        answer.insert(header::LOCATION, location.parse().expect("a value"));
    }
    let request = RequestHead {
        method,
        authority: "Shop.test:443",
        path: "/a/b",
        query: Some("x=1&y=2"),
        headers: &none,
        client: IpAddr::from([127, 0, 0, 1]),
        scheme: Scheme::Https,
        listener: "main",
    };
    urls(&rule.query, &request, StatusCode::from_u16(status).expect("a status"), &answer).into_vec()
}

#[test]
fn unsafe_methods_that_succeed_make_their_target_invalid() {
    let target = "https://shop.test/a/b?x=1&y=2";
    for (method, status, hit) in [
        ("POST", 200, true),
        ("PUT", 204, true),
        ("DELETE", 303, true),
        ("PATCH", 201, true),
        ("BREW", 200, true),
        ("POST", 400, false),
        ("DELETE", 500, false),
        ("GET", 200, false),
        ("HEAD", 200, false),
        ("OPTIONS", 200, false),
        ("TRACE", 200, false),
    ] {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let expected: &[&str] = if hit { &[target] } else { &[] };
        assert_eq!(invalid(Key::default(), &method, status, None), expected, "{method} {status}");
    }
    let by_x = Key { query: QueryKey::Allow(vec!["x".into()]), ..Key::default() };
    assert_eq!(invalid(by_x, &Method::POST, 200, None), ["https://shop.test/a/b?x=1"]);
}

/// Another origin's are never made invalid: anybody could empty anybody's cache.
#[test]
fn what_an_answer_names_is_invalid_if_it_is_of_the_same_origin() {
    for (location, expected) in [
        ("/c", Some("https://shop.test/c")),
        ("/c?z#f", Some("https://shop.test/c?z")),
        ("c", Some("https://shop.test/a/c")),
        ("../c/./d/..", Some("https://shop.test/c/")),
        ("?z=1", Some("https://shop.test/a/b?z=1")),
        ("//SHOP.test/c", Some("https://shop.test/c")),
        ("https://shop.test", Some("https://shop.test/")),
        ("HTTPS://shop.test:443/c/../../d", Some("https://shop.test/d")),
        ("http://shop.test/c", None),
        ("https://shop.test:8443/c", None),
        ("https://other.test/c", None),
        ("//other.test/c", None),
        ("https://shop.test@other.test/c", None),
        ("https://shop.test.other.test/c", None),
        ("mailto:a@shop.test", None),
        ("#f", None),
        ("", None),
    ] {
        let found = invalid(Key::default(), &Method::POST, 201, Some(location));
        assert_eq!(found.get(1).map(String::as_str), expected, "{location}: {found:?}");
    }
}
