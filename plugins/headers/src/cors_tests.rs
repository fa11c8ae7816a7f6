//! The protocol by the Fetch Standard: <https://fetch.spec.whatwg.org/#http-cors-protocol>, with the cases of
//! web-platform-tests `cors/` that a server can be held to.

use super::*;
use crate::config::{Origin, OriginPattern};
use crate::field::tests::{assert_fields, listed, request, response};

const APP: &str = "https://app.example.com";
const VARY: (&str, &str) = ("vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers");

fn config(origins: &[&str]) -> config::Cors {
    config::Cors {
        origins: origins.iter().map(|origin| Origin::Word(origin.to_string())).collect(),
        methods: texts(&["GET", "PUT"]),
        headers: texts(&["*"]),
        expose: Vec::new(),
        credentials: Credentials::Omit,
        max_age: None,
        private_network: PrivateNetwork::Deny,
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

fn cors(config: &config::Cors) -> Cors {
    Cors::build(config).expect("valid")
}

/// What the policy makes of this request, and the fields of the answer that it adds.
fn asked(config: &config::Cors, method: &Method, fields: &[(&str, &str)]) -> (Preflight, Vec<(String, String)>) {
    let (cors, request, mut head) = (cors(config), request(fields), response(&[]));
    cors.apply(method, &request.headers, &mut head).expect("fits");
    (cors.preflight(method, &request.headers), listed(&head))
}

#[track_caller]
fn assert_asked(config: &config::Cors, fields: &[(&str, &str)], outcome: Preflight, expected: &[(&str, &str)]) {
    let (preflight, answer) = asked(config, &Method::OPTIONS, fields);
    let answer: Vec<_> = answer.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!((preflight, answer.as_slice()), (outcome, expected));
}

fn preflight<'a>(origin: &'a str, method: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![("Origin", origin), ("Access-Control-Request-Method", method)]
}

#[test]
fn a_preflight_of_a_listed_origin_is_told_what_it_may_do() {
    let origin = ("access-control-allow-origin", APP);
    let methods = ("access-control-allow-methods", "GET, PUT");
    let told = [methods, origin, VARY];
    assert_asked(&config(&[APP]), &preflight(APP, "PUT"), Preflight::Allowed, &told);
    // It is the browser that compares: a method that is not listed gets the same answer, and fails there.
    assert_asked(&config(&[APP]), &preflight(APP, "DELETE"), Preflight::Allowed, &told);
}

#[test]
fn a_preflight_of_another_origin_is_told_nothing() {
    for origin in ["https://evil.com", "http://app.example.com", "null", "https://app.example.com:444", "", "*"] {
        assert_asked(&config(&[APP]), &preflight(origin, "GET"), Preflight::Refused, &[VARY]);
    }
    let twice = [("Origin", APP), ("Origin", APP), ("Access-Control-Request-Method", "GET")];
    assert_asked(&config(&[APP]), &twice, Preflight::Refused, &[VARY]);
}

#[test]
fn null_may_ask_only_where_it_is_listed() {
    let told = [("access-control-allow-methods", "GET, PUT"), ("access-control-allow-origin", "null"), VARY];
    assert_asked(&config(&[APP, "null"]), &preflight("null", "GET"), Preflight::Allowed, &told);
}

#[test]
fn any_origin_is_a_star_and_varies_all_the_same() {
    let told = [("access-control-allow-methods", "GET, PUT"), ("access-control-allow-origin", "*"), VARY];
    for origin in [APP, "null", "https://evil.com"] {
        assert_asked(&config(&["*"]), &preflight(origin, "GET"), Preflight::Allowed, &told);
    }
}

#[test]
fn only_options_with_origin_and_method_is_a_preflight() {
    let cors = cors(&config(&[APP]));
    let full = preflight(APP, "PUT");
    for (method, fields) in [
        (Method::OPTIONS, &full[..1]),
        (Method::OPTIONS, &full[1..]),
        (Method::OPTIONS, &[]),
        (Method::GET, &full[..]),
        (Method::POST, &full[..]),
    ] {
        assert_eq!(cors.preflight(&method, &request(fields).headers), Preflight::No, "{method} {fields:?}");
    }
}

#[test]
fn request_headers_are_echoed_or_answered_with_the_list() {
    let mut config = config(&[APP]);
    let asks = [preflight(APP, "PUT"), vec![("Access-Control-Request-Headers", "authorization,x-a")]].concat();
    let told = |headers| {
        let methods = ("access-control-allow-methods", "GET, PUT");
        [("access-control-allow-headers", headers), methods, ("access-control-allow-origin", APP), VARY]
    };
    assert_asked(&config, &asks, Preflight::Allowed, &told("authorization,x-a"));
    config.headers = texts(&["Authorization", "X-B"]);
    assert_asked(&config, &asks, Preflight::Allowed, &told("Authorization, X-B"));
}

#[test]
fn what_is_no_list_of_names_is_not_echoed() {
    for headers in ["a: b", "<script>", &"a,".repeat(3000)] {
        let asks = [preflight(APP, "PUT"), vec![("Access-Control-Request-Headers", headers)]].concat();
        let (_, answer) = asked(&config(&[APP]), &Method::OPTIONS, &asks);
        assert!(answer.iter().all(|(name, _)| name != "access-control-allow-headers"), "{answer:?}");
    }
}

#[test]
fn all_methods_are_the_one_that_is_asked_for() {
    let config = config::Cors { methods: texts(&["*"]), ..config(&[APP]) };
    let told = [("access-control-allow-methods", "PURGE"), ("access-control-allow-origin", APP), VARY];
    assert_asked(&config, &preflight(APP, "PURGE"), Preflight::Allowed, &told);
}

#[test]
fn credentials_and_max_age_are_told_with_the_origin_by_name() {
    let max_age = Some(tidegate_core::config::Duration::from_secs(600));
    let config = config::Cors { credentials: Credentials::Allow, max_age, ..config(&[APP]) };
    let told = [
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "GET, PUT"),
        ("access-control-allow-origin", APP),
        ("access-control-max-age", "600"),
        VARY,
    ];
    assert_asked(&config, &preflight(APP, "GET"), Preflight::Allowed, &told);
    assert_asked(&config, &preflight("https://evil.com", "GET"), Preflight::Refused, &[VARY]);
}

#[test]
fn a_private_network_is_opened_only_when_asked_for_and_allowed() {
    let asks = [preflight(APP, "GET"), vec![("Access-Control-Request-Private-Network", "true")]].concat();
    let granted = |config: &config::Cors, asks: &[(&str, &str)]| {
        let (_, answer) = asked(config, &Method::OPTIONS, asks);
        answer.iter().any(|(name, value)| name == "access-control-allow-private-network" && value == "true")
    };
    let open = config::Cors { private_network: PrivateNetwork::Allow, ..config(&[APP]) };
    assert!(granted(&open, &asks));
    assert!(!granted(&open, &preflight(APP, "GET")));
    assert!(!granted(&config(&[APP]), &asks));
    let elsewhere = [preflight("https://evil.com", "GET"), asks[2..].to_vec()].concat();
    assert!(!granted(&open, &elsewhere));
}

#[test]
fn an_actual_answer_has_origin_credentials_and_exposed_headers_only() {
    let config =
        config::Cors { credentials: Credentials::Allow, expose: texts(&["X-Request-ID", "ETag"]), ..config(&[APP]) };
    let (preflight, answer) = asked(&config, &Method::GET, &[("Origin", APP)]);
    assert_eq!(preflight, Preflight::No);
    let expected = [
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-origin", APP),
        ("access-control-expose-headers", "X-Request-ID, ETag"),
        ("vary", "Origin"),
    ];
    assert_eq!(answer, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn an_answer_without_a_listed_origin_only_varies() {
    for fields in [&[][..], &[("Origin", "https://evil.com")]] {
        let (_, answer) = asked(&config(&[APP]), &Method::GET, fields);
        assert_eq!(answer, [("vary".to_owned(), "Origin".to_owned())]);
    }
}

#[test]
fn all_response_headers_can_be_exposed_without_credentials() {
    let config = config::Cors { expose: texts(&["*"]), ..config(&[APP]) };
    let (_, answer) = asked(&config, &Method::GET, &[("Origin", APP)]);
    assert!(answer.contains(&("access-control-expose-headers".to_owned(), "*".to_owned())));
}

#[test]
fn the_upstreams_own_answer_is_replaced() {
    let mut head = response(&[
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Origin", "https://evil.com"),
        ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Allow-Headers", "X"),
        ("Vary", "Accept-Encoding"),
    ]);
    cors(&config(&[APP])).apply(&Method::GET, &request(&[("Origin", APP)]).headers, &mut head).expect("fits");
    let expected = [("access-control-allow-origin", APP), ("vary", "Accept-Encoding"), ("vary", "Origin")];
    assert_fields(&head, &expected);
    let mut head = response(&[("Access-Control-Allow-Origin", "*")]);
    cors(&config(&[APP])).apply(&Method::GET, &HeaderMap::new(), &mut head).expect("fits");
    assert_fields(&head, &[("vary", "Origin")]);
}

#[test]
fn an_answer_that_varies_already_is_not_told_twice() {
    for vary in ["Origin", "accept, ORIGIN", "*"] {
        let mut head = response(&[("Vary", vary)]);
        cors(&config(&[APP])).apply(&Method::GET, &HeaderMap::new(), &mut head).expect("fits");
        assert_fields(&head, &[("vary", vary)]);
    }
}

#[test]
fn what_would_let_in_everybody_or_nobody_is_refused() {
    let message = |config: config::Cors| Cors::build(&config).expect_err("wrong").to_string();
    let credentials = Credentials::Allow;
    for origins in [&["*"][..], &[APP, "null"]] {
        let message = message(config::Cors { credentials, ..config(origins) });
        assert!(message.starts_with("credentials: with credentials, any web page at all"), "{message}");
    }
    let any = Origin::Map(OriginPattern { regex: ".*".into() });
    let message_of_regex = message(config::Cors { origins: vec![any], credentials, ..config(&[]) });
    assert!(message_of_regex.starts_with("credentials: "), "a pattern that takes null takes everybody");
    let message_of_expose = message(config::Cors { expose: texts(&["*"]), credentials, ..config(&[APP]) });
    assert!(message_of_expose.starts_with("expose: with credentials, `*` is the name of a header"));
}

#[test]
fn names_that_are_none_are_refused_each_at_its_place() {
    let config = config::Cors {
        methods: texts(&["GET", "patch", "TRACE", "a b", "*"]),
        headers: texts(&["X-A", "x a"]),
        expose: texts(&["a:"]),
        ..config(&["nowhere"])
    };
    let errors = Cors::build(&config).expect_err("wrong");
    let paths: Vec<_> = errors.iter().map(|error| error.path.to_string()).collect();
    assert_eq!(
        paths,
        ["origins[0]", "methods[1]", "methods[2]", "methods[3]", "methods[4]", "headers[1]", "expose[0]"]
    );
}

#[test]
fn rules_that_would_undo_the_protocol_are_refused() {
    let value = |text: &str| text.parse().expect("valid");
    let rules = config::Edits {
        remove: texts(&["X-Fine", "Access-*", "V*y", "Vary-Not"]),
        rename: [("X-Cors".to_owned(), "access-control-max-age".to_owned())].into(),
        set: [("Access-Control-Allow-Origin".to_owned(), value("*")), ("VARY".to_owned(), value("Accept"))].into(),
        add: [("Vary".to_owned(), value("Accept")), ("Access-Control-Max-Age".to_owned(), value("1"))].into(),
    };
    let errors = Cors::conflicts(&rules);
    let paths: Vec<_> = errors.iter().map(|error| error.path.to_string()).collect();
    let expected = [
        "response.remove[1]",
        "response.remove[2]",
        "response.rename.X-Cors",
        "response.set.Access-Control-Allow-Origin",
        "response.set.VARY",
        "response.add.Access-Control-Max-Age",
    ];
    assert_eq!(paths, expected);
}
