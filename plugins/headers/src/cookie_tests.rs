use proptest::prelude::*;

use super::*;
use crate::field::tests::{assert_fields, response};

use config::CookieAttribute::{HttpOnly, SameSiteLax, SameSiteNone, SameSiteStrict, Secure};

fn cookies(force: &[CookieAttribute], except: &[&str], domain: &[(&str, &str)]) -> Cookies {
    let config = config::Cookies {
        force: force.to_vec(),
        except: except.iter().map(ToString::to_string).collect(),
        domain: domain.iter().map(|(from, to)| (from.to_string(), to.to_string())).collect(),
    };
    Cookies::build(&config).expect("valid")
}

fn sent(cookies: &Cookies, cookie: &str) -> String {
    let internal = Hosts::build(&["*.internal".into()]).expect("valid");
    let value = HeaderValue::from_str(cookie).expect("valid");
    let value = cookies.rewrite(&internal, &value).unwrap_or(value);
    value.to_str().expect("ASCII").to_owned()
}

#[test]
fn a_bare_cookie_leaves_with_every_forced_attribute() {
    let cookies = cookies(&[Secure, HttpOnly, SameSiteLax], &[], &[]);
    assert_eq!(sent(&cookies, "a=b"), "a=b; Secure; HttpOnly; SameSite=Lax");
    assert_eq!(sent(&cookies, "a=b; Path=/; Max-Age=3"), "a=b; Path=/; Max-Age=3; Secure; HttpOnly; SameSite=Lax");
}

#[test]
fn a_cookie_that_is_as_it_should_be_stays_byte_for_byte() {
    let cookies = cookies(&[Secure, HttpOnly, SameSiteLax], &[], &[]);
    let cookie = HeaderValue::from_static("a=b;secure ; HTTPONLY;  samesite = LAX; Path=/x");
    assert_eq!(cookies.rewrite(&Hosts::build(&[]).expect("valid"), &cookie), None);
}

#[test]
fn a_value_that_looks_like_an_attribute_is_a_value() {
    let cookies = cookies(&[Secure], &[], &[]);
    assert_eq!(sent(&cookies, "secure=secure"), "secure=secure; Secure");
    assert_eq!(sent(&cookies, "secure"), "secure; Secure");
    assert_eq!(sent(&cookies, "a=b; Path=secure"), "a=b; Path=secure; Secure");
}

#[test]
fn lax_never_weakens_strict_and_all_else_is_replaced() {
    for (force, cookie, expected) in [
        (vec![SameSiteLax], "a=b; SameSite=Strict", "a=b; SameSite=Strict"),
        (vec![SameSiteLax], "a=b; SameSite=None; Secure", "a=b; Secure; SameSite=Lax"),
        (vec![SameSiteLax], "a=b; SameSite=oops", "a=b; SameSite=Lax"),
        (vec![SameSiteStrict], "a=b; samesite=lax", "a=b; SameSite=Strict"),
        (vec![SameSiteNone, Secure], "a=b; SameSite=Strict", "a=b; Secure; SameSite=None"),
    ] {
        assert_eq!(sent(&cookies(&force, &[], &[]), cookie), expected);
    }
}

#[test]
fn an_excepted_cookie_keeps_its_attributes_but_not_an_internal_domain() {
    let cookies = cookies(&[HttpOnly], &["XSRF-TOKEN"], &[]);
    assert_eq!(sent(&cookies, "XSRF-TOKEN=1"), "XSRF-TOKEN=1");
    assert_eq!(sent(&cookies, "XSRF-TOKEN=1; Domain=a.internal"), "XSRF-TOKEN=1");
    assert_eq!(sent(&cookies, "xsrf-token=1"), "xsrf-token=1; HttpOnly");
}

#[test]
fn the_nearest_domain_counts_and_internal_ones_never_leave() {
    let rules = [("app.internal", "example.com"), ("*.internal", "host_only"), ("*.eu.internal", "eu.example.com")];
    let cookies = cookies(&[], &[], &rules);
    for (domain, expected) in [
        ("app.internal", "a=b; Path=/; Domain=example.com"),
        (".APP.internal", "a=b; Path=/; Domain=example.com"),
        ("x.internal", "a=b; Path=/"),
        ("x.eu.internal", "a=b; Path=/; Domain=eu.example.com"),
        ("10.0.0.1", "a=b; Path=/"),
        ("example.org", "a=b; Domain=example.org; Path=/"),
    ] {
        assert_eq!(sent(&cookies, &format!("a=b; Domain={domain}; Path=/")), expected);
    }
}

#[test]
fn of_two_domains_none_that_is_internal_is_left() {
    let cookies = cookies(&[], &[], &[("app.internal", "example.com")]);
    assert_eq!(sent(&cookies, "a=b; Domain=x; Domain=app.internal"), "a=b; Domain=example.com");
    assert_eq!(sent(&cookies, "a=b; Domain=app.internal; Domain=x"), "a=b; Domain=example.com");
    assert_eq!(sent(&cookies, "a=b; Domain=y; Domain=x"), "a=b; Domain=y; Domain=x");
}

#[test]
fn every_cookie_of_a_response_is_seen_to_in_order() {
    let cookies = cookies(&[Secure], &[], &[]);
    let mut head = response(&[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Secure"), ("set-cookie", "c=3")]);
    cookies.apply(&Hosts::build(&[]).expect("valid"), &mut head).expect("fits");
    let expected = [("set-cookie", "a=1; Secure"), ("set-cookie", "b=2; Secure"), ("set-cookie", "c=3; Secure")];
    assert_fields(&head, &expected);
}

#[test]
fn bytes_beyond_ascii_pass() {
    let cookies = cookies(&[Secure], &[], &[]);
    let value = HeaderValue::from_bytes(b"a=\xc3\xbc\xff; Path=/").expect("valid");
    let sent = cookies.rewrite(&Hosts::build(&[]).expect("valid"), &value).expect("changed");
    assert_eq!(sent.as_bytes(), b"a=\xc3\xbc\xff; Path=/; Secure");
}

#[test]
fn what_browsers_would_refuse_is_refused() {
    let message = |force: &[CookieAttribute], domain: &[(&str, &str)]| {
        let domain = domain.iter().map(|(from, to)| (from.to_string(), to.to_string())).collect();
        let config = config::Cookies { force: force.to_vec(), except: Vec::new(), domain };
        Cookies::build(&config).expect_err("wrong").to_string()
    };
    assert!(message(&[SameSiteNone], &[]).starts_with("force: browsers refuse samesite=none without secure"));
    assert!(message(&[SameSiteLax, SameSiteStrict], &[]).starts_with("force: a cookie has one samesite"));
    assert!(message(&[], &[("http://a", "b")]).starts_with("domain.\"http://a\": \"http://a\" is not a domain"));
    assert!(message(&[], &[("a", "b; Secure")]).starts_with("domain.a: \"b; Secure\" is not a domain"));
}

proptest! {
    /// Whatever an upstream writes: what is forced is there once, the pair itself is untouched, and a second gateway
    /// finds nothing left to do.
    #[test]
    fn forcing_is_done_once_and_changes_no_value(
        pair in "[a-c=]{1,4}",
        attributes in prop::collection::vec(
            prop::sample::select(vec!["Secure", "secure=1", "HttpOnly", "SameSite=None", "samesite", "Path=/", "", " "]),
            0..5,
        ),
    ) {
        let cookies = cookies(&[Secure, HttpOnly, SameSiteLax], &[], &[]);
        let cookie = [vec![pair.as_str()], attributes].concat().join(";");
        let once = sent(&cookies, &cookie);
        prop_assert_eq!(once.split(';').next(), Some(pair.as_str()));
        for (name, value) in [("secure", None), ("httponly", None), ("samesite", Some("Lax"))] {
            let given = once.split(';').skip(1).map(|text| text.split_once('=').unwrap_or((text, "")));
            let given: Vec<_> = given.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name)).collect();
            prop_assert!(!given.is_empty(), "{} lacks {}", once, name);
            prop_assert!(value.is_none_or(|value| given == [(" SameSite", value)]), "{}", once);
        }
        prop_assert_eq!(sent(&cookies, &once), once);
    }
}
