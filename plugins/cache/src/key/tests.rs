use std::net::IpAddr;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Map;
use tidegate_core::facts::{Identity, IdentityParts};
use tidegate_core::{HeaderMap, HeaderName, HeaderValue, Method, RequestHead, Scheme};

use super::{Has, KeyRule, Sharing, Whose};
use crate::config::{Anonymous, Key, Mode, Policy, QueryKey};

/// A request, as far as keys go.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    scheme: Scheme,
    authority: String,
    path: String,
    query: Option<String>,
    header: Option<String>,
    cookie: Option<String>,
    who: Option<(String, String, Vec<String>)>,
}

impl Asked {
    fn get(authority: &str, path: &str, query: Option<&str>) -> Self {
        Self {
            scheme: Scheme::Https,
            authority: authority.to_owned(),
            path: path.to_owned(),
            query: query.map(str::to_owned),
            header: None,
            cookie: None,
            who: None,
        }
    }

    fn key(&self, rule: &KeyRule) -> Vec<u8> {
        let mut headers = HeaderMap::new();
        let value = |text: &str| HeaderValue::from_str(text).expect("a value");
        if let Some(header) = &self.header {
            headers.insert(HeaderName::from_static("x-a"), value(header));
        }
        if let Some(cookie) = &self.cookie {
            headers.insert("cookie", value(&format!("c={cookie}")));
        }
        let head = RequestHead {
            method: &Method::GET,
            authority: &self.authority,
            path: &self.path,
            query: self.query.as_deref(),
            headers: &headers,
            client: IpAddr::from([127, 0, 0, 1]),
            scheme: self.scheme,
            listener: "main",
        };
        let identity = self.who.as_ref().map(|(provider, subject, roles)| identity(provider, subject, roles));
        rule.of(&head, identity.as_ref().map_or(Whose::Anyone, Whose::Only)).as_bytes().to_vec()
    }
}

fn identity(provider: &str, subject: &str, roles: &[String]) -> Identity {
    IdentityParts {
        provider: provider.into(),
        subject: subject.into(),
        roles: roles.iter().map(|role| role.as_str().into()).collect(),
        ..IdentityParts::default()
    }
    .into()
}

fn rule(key: &Key) -> KeyRule {
    KeyRule::build(key, &Arc::from("app")).expect("a rule")
}

fn by_all() -> KeyRule {
    rule(&Key { headers: vec!["X-A".into()], cookies: vec!["c".into()], ..Key::default() })
}

fn by_query(query: QueryKey, sort_query: bool) -> KeyRule {
    rule(&Key { query, sort_query, ..Key::default() })
}

#[test]
fn hosts_ignore_case_and_the_port_of_the_scheme() {
    let key = |scheme, authority: &str| Asked { scheme, ..Asked::get(authority, "/", None) }.key(&by_all());
    let https = |authority: &str| key(Scheme::Https, authority);
    assert_eq!(https("A.test"), https("a.TEST:443"));
    assert_ne!(https("a.test"), https("a.test:80"));
    assert_eq!(key(Scheme::Http, "a.test"), key(Scheme::Http, "a.test:80"));
    assert_ne!(key(Scheme::Http, "a.test"), https("a.test"));
    assert_ne!(https("[::1]:1"), https("[::1]:2"));
}

#[test]
fn an_empty_query_is_not_no_query() {
    let key = |query| Asked::get("a.test", "/a", query).key(&by_all());
    assert_ne!(key(None), key(Some("")));
    assert_ne!(key(Some("")), key(Some("x")));
}

#[test]
fn a_query_counts_as_far_as_the_rule_says() {
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let allow = by_query(QueryKey::Allow(list(&["page", "f_*"])), true);
    let deny = by_query(QueryKey::Deny(list(&["utm_*", "fbclid"])), false);
    let same = |rule: &KeyRule, a: Option<&str>, b: Option<&str>| {
        Asked::get("a", "/", a).key(rule) == Asked::get("a", "/", b).key(rule)
    };
    assert!(same(&allow, Some("page=1&x=2"), Some("y=3&page=1")));
    assert!(same(&allow, Some("f_a=1&page=1"), Some("page=1&f_a=1")));
    assert!(same(&allow, Some("x=1"), None));
    assert!(!same(&allow, Some("page=1"), Some("page=2")));
    assert!(!same(&allow, Some("page=1&page=2"), Some("page=2&page=1")));
    // The upstream reads `%70age` as `page`: if it didn't count, one client would choose what another one gets.
    assert!(!same(&allow, Some("%70age=1"), Some("")));
    assert!(same(&deny, Some("a=1&utm_source=x&fbclid=y"), Some("a=1")));
    assert!(same(&deny, Some("utm_source=x"), None));
    assert!(!same(&deny, Some("a=1&b=2"), Some("b=2&a=1")));
    assert!(same(&by_query(QueryKey::None, false), Some("a"), None));
    assert!(same(&by_query(QueryKey::All, true), Some("b=2&a=1"), Some("a=1&b=2")));
    assert!(!same(&by_query(QueryKey::All, false), Some("b=2&a=1"), Some("a=1&b=2")));
}

#[test]
fn routes_and_identities_have_keys_of_their_own() {
    let other = KeyRule::build(&Key::default(), &Arc::from("other")).expect("a rule");
    let asked = Asked::get("a", "/", None);
    assert_ne!(asked.key(&rule(&Key::default())), asked.key(&other));
    let who = |provider: &str, subject: &str, roles: &[&str]| {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        Asked { who: Some((provider.into(), subject.into(), roles)), ..asked.clone() }.key(&by_all())
    };
    assert_eq!(who("p", "ann", &["a", "b"]), who("p", "ann", &["b", "a"]));
    assert_ne!(who("p", "ann", &["a"]), who("p", "ann", &["a", "b"]));
    assert_ne!(who("p", "ann", &[]), who("q", "ann", &[]));
    assert_ne!(who("pa", "nn", &[]), who("p", "ann", &[]));
}

#[test]
fn whose_answer_it_is_follows_from_mode_and_credentials() {
    let ann = identity("p", "ann", &[]);
    let sharing = |mode, anonymous, identity| {
        Sharing::new(&Policy { mode, anonymous, key: Key { identity, ..Key::default() }, ..Policy::default() })
    };
    let said = |sharing: Sharing, authorization: bool, who: Option<&Identity>| {
        let mut headers = HeaderMap::new();
        if authorization {
            headers.insert("authorization", HeaderValue::from_static("Bearer x"));
        }
        match sharing.of(Has::of(&headers), who) {
            Ok(Whose::Anyone) => "anyone",
            Ok(Whose::Known) => "known",
            Ok(Whose::Only(_)) => "only",
            Err(why) => why,
        }
    };
    let public = sharing(Mode::Public, None, false);
    let split = sharing(Mode::Public, None, true);
    let private = sharing(Mode::PrivatePerIdentity, None, false);
    let sharing = sharing(Mode::PrivatePerIdentity, Some(Anonymous::Share), false);
    for (sharing, expected) in [
        (public, ["anyone", "known", "known", "known"]),
        (split, ["anyone", "unknown_identity", "only", "only"]),
        (private, ["anonymous", "unknown_identity", "only", "only"]),
        (sharing, ["anyone", "unknown_identity", "only", "only"]),
    ] {
        let found = [(false, None), (true, None), (false, Some(&ann)), (true, Some(&ann))];
        assert_eq!(found.map(|(authorization, who)| said(sharing, authorization, who)), expected, "{sharing:?}");
    }
    let parts = IdentityParts { subject: "x".into(), claims: Map::new(), ..IdentityParts::default() };
    assert!(private.is_private(Whose::Only(&parts.into())));
    assert!(!split.is_private(Whose::Only(&ann)));
}

fn text() -> impl Strategy<Value = String> {
    // Few letters, so that parts which run together meet.
    "[ab/?&=:%1]{0,4}"
}

fn asked() -> impl Strategy<Value = Asked> {
    let who = proptest::option::of((text(), text(), proptest::collection::vec("[ab]{0,2}", 0..3)));
    let host = "[ab]{0,2}";
    let parts = (any::<bool>(), host, text(), proptest::option::of(text()));
    let more = (proptest::option::of("[ab:]{0,3}"), proptest::option::of("[ab]{0,3}"), who);
    (parts, more).prop_map(|((tls, authority, path, query), (header, cookie, who))| Asked {
        scheme: if tls { Scheme::Https } else { Scheme::Http },
        authority,
        path,
        query,
        header,
        cookie,
        who: who.map(|(provider, subject, mut roles)| {
            roles.sort();
            roles.dedup();
            (provider, subject, roles)
        }),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Different requests never share a key, and no identity shares one with another.
    #[test]
    fn no_two_requests_share_a_key(one in asked(), other in asked()) {
        let rule = by_all();
        prop_assert_eq!(one == other, one.key(&rule) == other.key(&rule), "{:?}\n{:?}", one, other);
    }
}
