use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header};
use proptest::prelude::*;
use tidegate_core::facts::Proof;
use tidegate_core::{RequestHead, Scheme};

use super::*;
use crate::cache::Keyed;

/// A request, to be changed.
#[derive(Debug, Clone, PartialEq)]
struct Sent {
    method: Method,
    host: String,
    path: String,
    query: Option<String>,
    client: IpAddr,
    scheme: Scheme,
    headers: HeaderMap,
}

impl Sent {
    fn new() -> Self {
        Self {
            method: Method::PUT,
            host: "a.test".into(),
            path: "/x".into(),
            query: None,
            client: IpAddr::from([192, 0, 2, 1]),
            scheme: Scheme::Https,
            headers: HeaderMap::new(),
        }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"));
        self
    }

    fn head(&self) -> RequestHead<'_> {
        RequestHead {
            method: &self.method,
            authority: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
            headers: &self.headers,
            client: self.client,
            scheme: self.scheme,
            listener: "main",
        }
    }
}

fn config() -> Config {
    Config { url: "http://auth.test/check".into(), ..Config::default() }
}

fn paths<T>(result: Result<T, ConfigErrors>) -> Vec<String> {
    result.map(drop).expect_err("bad").iter().map(|error| error.path.to_string()).collect()
}

#[test]
fn the_service_is_told_of_the_request_in_the_gateways_words() {
    let sent = Sent { query: Some("b=1".into()), ..Sent::new() }
        .with("authorization", "Bearer abc")
        .with("cookie", "a=1")
        .with("cookie", "b=2")
        .with("x-forwarded-for", "10.0.0.1")
        .with("x-forwarded-uri", "/public")
        .with("x-other", "1")
        .with("content-length", "5");
    let request = Question::build(&config()).expect("a question").about(&sent.head());
    assert_eq!((request.method(), request.uri().to_string().as_str()), (&Method::GET, "http://auth.test/check"));
    let mut fields: Vec<_> =
        request.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().expect("text"))).collect();
    fields.sort();
    let expected = [
        "authorization: Bearer abc",
        "cookie: a=1",
        "cookie: b=2",
        "x-forwarded-for: 192.0.2.1",
        "x-forwarded-host: a.test",
        "x-forwarded-method: PUT",
        "x-forwarded-proto: https",
        "x-forwarded-uri: /x?b=1",
    ];
    assert_eq!(fields, expected);
    assert!(request.body().is_empty());
}

#[test]
fn fields_that_end_at_the_next_hop_are_not_sent_on() {
    let send = ["Host", "transfer-encoding", "Keep-Alive", "X-Forwarded-For", "a b", "X-A", "x-a"];
    let config = Config { send: send.map(str::to_owned).into(), ..config() };
    let expected = ["send[0]", "send[1]", "send[2]", "send[3]", "send[4]", "send[6]"];
    assert_eq!(paths(Question::build(&config)), expected);
    let nothing = Config { send: vec![], ..self::config() };
    assert_eq!(paths(Question::build(&nothing)), ["send"]);
    assert!(Question::build(&Config { only_with_credentials: false, ..nothing }).is_ok());
    assert_eq!(paths(Question::build(&Config { url: "auth.test".into(), ..self::config() })), ["url"]);
}

#[test]
fn everything_that_is_asked_about_is_in_the_key() {
    let key = Key::build(&Config { key: vec![], ..config() }).expect("a key");
    let hasher = Keyed::new();
    let of = |sent: &Sent| key.of(&sent.head(), hasher.hasher());
    let sent = Sent::new().with("authorization", "Bearer a").with("cookie", "b");
    let others = [
        Sent { method: Method::GET, ..sent.clone() },
        Sent { host: "b.test".into(), ..sent.clone() },
        Sent { path: "/x/".into(), ..sent.clone() },
        Sent { query: Some(String::new()), ..sent.clone() },
        Sent { query: Some("a".into()), ..sent.clone() },
        Sent { scheme: Scheme::Http, ..sent.clone() },
        Sent::new().with("authorization", "Bearer ab").with("cookie", ""),
        Sent::new().with("authorization", "Bearer a"),
        Sent::new().with("cookie", "Bearer a").with("authorization", "b"),
        sent.clone().with("cookie", "b"),
        sent.clone().with("authorization", ""),
    ];
    let keys: HashSet<_> = others.iter().chain([&sent]).map(of).collect();
    assert_eq!(keys.len(), others.len() + 1);
    let same = [sent.clone().with("x-other", "1"), Sent { client: IpAddr::from([192, 0, 2, 2]), ..sent.clone() }];
    assert!(same.iter().all(|other| of(other) == of(&sent)));
    let chosen = ["client", "Authorization", "cookie"].map(str::to_owned);
    let key = Key::build(&Config { key: chosen.into(), ..config() }).expect("a key");
    let of = |sent: &Sent| key.of(&sent.head(), hasher.hasher());
    assert_ne!(of(&same[1]), of(&sent));
    assert_eq!(of(&others[1]), of(&sent));
}

proptest! {
    #[test]
    fn two_requests_that_differ_in_what_is_asked_have_two_keys(
        one in prop::collection::vec(("[ab/?&= ]{0,3}", prop::bool::ANY), 4),
        two in prop::collection::vec(("[ab/?&= ]{0,3}", prop::bool::ANY), 4),
    ) {
        let sent = |parts: &[(String, bool)]| {
            let mut sent = Sent { path: parts[0].0.clone(), query: parts[1].1.then(|| parts[1].0.clone()), ..Sent::new() };
            for ((text, there), name) in parts[2..].iter().zip(["authorization", "cookie"]) {
                if *there {
                    sent = sent.with(name, text.trim());
                }
            }
            sent
        };
        let (one, two) = (sent(&one), sent(&two));
        let key = Key::build(&config()).expect("a key");
        let hasher = Keyed::new();
        let same = key.of(&one.head(), hasher.hasher()) == key.of(&two.head(), hasher.hasher());
        prop_assert_eq!(same, one == two);
    }
}

#[test]
fn what_the_service_is_sent_must_be_in_a_key_that_is_chosen() {
    let key = |parts: &[&str]| Config { key: parts.iter().map(|part| (*part).to_owned()).collect(), ..config() };
    assert!(Key::build(&key(&["authorization", "cookie", "path"])).is_ok());
    assert_eq!(paths(Key::build(&key(&["path", "Authorization"]))), ["key"]);
    assert_eq!(
        paths(Key::build(&key(&["authorization", "cookie", "path", "path", "Host", "a b"]))),
        ["key[3]", "key[4]", "key[5]"]
    );
}

fn reading(identity: &[(&str, &str)]) -> Reading {
    let identity = identity.iter().map(|(claim, name)| ((*claim).to_owned(), (*name).to_owned())).collect();
    Reading::build(&identity, "fwd").expect("a reading")
}

fn answer(status: u16, fields: &[(&'static str, &str)]) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = http::StatusCode::from_u16(status).expect("a status");
    for (name, value) in fields {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
        answer.headers_mut().append(*name, value);
    }
    answer
}

const WHO: &[(&str, &str)] = &[("subject", "X-User"), ("roles", "X-Roles"), ("scopes", "X-Scopes"), ("org", "X-Org")];

#[test]
fn an_answer_says_who() {
    let fields = [("x-user", " anna "), ("x-roles", "a, b,,c"), ("x-roles", "d"), ("x-scopes", "r w"), ("x-org", "ä")];
    let Known::Proved(proved) = reading(WHO).read(&answer(204, &fields)) else { panic!("not proved") };
    let identity = &proved.identity;
    assert_eq!((identity.subject(), identity.provider(), identity.proof()), ("anna", "fwd", Proof::ForwardAuth));
    assert_eq!((identity.roles().join(" "), identity.scopes().join(" ")), ("a b c d".into(), "r w".into()));
    assert_eq!(identity.claim("org"), Some(&Value::from("ä")));
    for nobody in [answer(200, &[]), answer(200, &[("x-user", "")])] {
        assert!(matches!(reading(WHO).read(&nobody), Known::Nobody));
    }
    assert!(matches!(reading(&[]).read(&answer(200, &fields)), Known::Nobody));
}

#[test]
fn an_answer_that_is_none_is_a_failure() {
    let long = "x".repeat(257);
    for (status, fields) in [
        (200, &[("x-user", "anna"), ("x-user", "ben")][..]),
        (200, &[("x-user", &long)]),
        (200, &[("x-user", "a\tb")]),
        (200, &[("x-user", "anna"), ("x-org", "a"), ("x-org", "b")]),
        (200, &[("x-user", "anna"), ("x-roles", "ä")]),
        (302, &[]),
        (304, &[("location", "/x")]),
        (400, &[]),
        (404, &[("x-user", "anna")]),
        (407, &[]),
        (429, &[]),
    ] {
        let known = reading(WHO).read(&answer(status, fields));
        assert!(matches!(known, Known::Failed(_)), "{status} {fields:?}: {known:?}");
    }
}

#[test]
fn of_a_refusal_clients_are_told_what_they_need_to_know() {
    let fields = [
        ("www-authenticate", "Bearer realm=\"x\""),
        ("www-authenticate", "Basic"),
        ("location", "/login"),
        ("set-cookie", "a=1"),
        ("x-user", "anna"),
        ("server", "secret/1.0"),
        ("content-length", "5"),
    ];
    for status in [401, 403, 302, 303, 307] {
        let Known::Refused(refusal) = reading(WHO).read(&answer(status, &fields)) else { panic!("{status}") };
        assert_eq!(refusal.status, status);
        assert_eq!(refusal.headers.len(), 4);
        assert_eq!(refusal.headers.get_all(header::WWW_AUTHENTICATE).iter().count(), 2);
        assert!(answer::is_personal(&refusal));
    }
    let many: Vec<_> = (0..100).map(|_| ("set-cookie", "a=1")).collect();
    let Known::Refused(refusal) = reading(WHO).read(&answer(401, &many)) else { panic!("not refused") };
    assert_eq!(refusal.headers.len(), 16);
    let long = "x".repeat(17 * 1024);
    let Known::Refused(refusal) = reading(WHO).read(&answer(401, &[("location", &long)])) else {
        panic!("not refused")
    };
    assert!(refusal.headers.is_empty() && !answer::is_personal(&refusal));
}

#[test]
fn names_of_fields_are_names() {
    let identity = BTreeMap::from([("subject".to_owned(), "a b".to_owned()), (String::new(), "X-A".to_owned())]);
    assert_eq!(paths(Reading::build(&identity, "fwd")).len(), 2);
}
