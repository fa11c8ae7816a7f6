use std::net::IpAddr;

use proptest::prelude::*;
use tidegate_core::{HeaderMap, HeaderValue, Method, Scheme};

use super::*;

fn head(request: &RequestHeader) -> RequestHead<'_> {
    RequestHead {
        method: &request.method,
        authority: "a.test",
        path: request.uri.path(),
        query: request.uri.query(),
        headers: &request.headers,
        client: IpAddr::from([192, 0, 2, 1]),
        scheme: Scheme::Http,
        listener: "main",
    }
}

fn request(target: &str, fields: &[(&'static str, &[u8])]) -> RequestHeader {
    let mut request = RequestHeader::build(Method::GET, target.as_bytes(), None).expect("a head");
    for (name, value) in fields {
        request.append_header(*name, HeaderValue::from_bytes(value).expect("a value")).expect("a field");
    }
    request
}

fn sources(json: &str) -> Sources {
    Sources::of(&parsed(json)).expect("sources")
}

fn parsed(json: &str) -> Vec<Source> {
    serde_json::from_str(json).expect("a list")
}

const ALL: &str = r#"[{"bearer": true}, {"header": "X-Token"}, {"cookie": "token"}, {"query": "token"}]"#;

#[test]
fn a_bearer_token_is_found_however_its_scheme_is_written() {
    for (field, found) in [
        (&b"Bearer abc"[..], Carried::One("abc")),
        (b"bearer abc", Carried::One("abc")),
        (b"BEARER    a.b-c_d~e+f/g==", Carried::One("a.b-c_d~e+f/g==")),
        (b"Basic YTpi", Carried::Nothing),
        (b"Bearerabc", Carried::Nothing),
        (b"Bearer-x abc", Carried::Nothing),
        (b"Bear", Carried::Nothing),
        (b"", Carried::Nothing),
        (b"Bearer", Carried::Broken),
        (b"Bearer ", Carried::Broken),
        (b"Bearer a b", Carried::Broken),
        (b"Bearer a,Bearer b", Carried::Broken),
        (b"Bearer \tabc", Carried::Broken),
        (b"Bearer\tabc", Carried::Broken),
        (b"Bearer,abc", Carried::Broken),
        (b"Bearer a\xc3\xa4", Carried::Broken),
        (b"Bearer \"abc\"", Carried::Broken),
    ] {
        let request = request("/", &[("authorization", field)]);
        assert_eq!(sources(r#"[{"bearer": true}]"#).find(&head(&request)), found, "{}", field.escape_ascii());
    }
}

#[test]
fn two_tokens_are_never_one() {
    let bearer = ("authorization", &b"Bearer abc"[..]);
    for (target, fields) in [
        ("/", &[bearer, bearer][..]),
        ("/", &[bearer, ("authorization", b"Basic YTpi")]),
        ("/", &[bearer, ("x-token", b"abc")]),
        ("/", &[bearer, ("x-token", b"\xff")]),
        ("/?token=abc", &[bearer]),
        ("/", &[("x-token", b"a"), ("x-token", b"a")]),
        ("/", &[("cookie", b"token=a; token=a")]),
        ("/", &[("cookie", b"token=a"), ("cookie", b"b=c;token=")]),
        ("/?token=a&token=a", &[]),
        ("/?token=a&%74oken=b", &[]),
    ] {
        let request = request(target, fields);
        assert_eq!(sources(ALL).find(&head(&request)), Carried::Several, "{target} {fields:?}");
    }
}

#[test]
fn a_token_is_found_in_each_place_under_its_exact_name() {
    for (target, fields, found) in [
        ("/", &[("x-token", &b" abc:$ "[..])][..], Carried::One("abc:$")),
        ("/", &[("x-token", b"")], Carried::Broken),
        ("/", &[("x-token", b"a b")], Carried::Broken),
        ("/", &[("x-tokens", b"a")], Carried::Nothing),
        ("/", &[("cookie", b"a=\xc3\xa4;  token=abc ;b=c")], Carried::One("abc")),
        ("/", &[("cookie", b"a=b"), ("cookie", b"token=a=b")], Carried::One("a=b")),
        ("/", &[("cookie", b"token")], Carried::Nothing),
        ("/", &[("cookie", b"Token=a; xtoken=b")], Carried::Nothing),
        ("/", &[("cookie", b"token=")], Carried::Broken),
        ("/", &[("cookie", b"token=\"abc\"")], Carried::Broken),
        ("/?a=1&token=abc&b", &[], Carried::One("abc")),
        ("/?to%6ben=abc", &[], Carried::One("abc")),
        ("/?token=a%62c", &[], Carried::Broken),
        ("/?token=a+c", &[], Carried::Broken),
        ("/?token", &[], Carried::Broken),
        ("/?tokens=a&Token=b&a=token=c", &[], Carried::Nothing),
        ("/token=a", &[], Carried::Nothing),
        ("/", &[], Carried::Nothing),
    ] {
        let request = request(target, fields);
        assert_eq!(sources(ALL).find(&head(&request)), found, "{target} {fields:?}");
    }
}

#[test]
fn a_token_has_a_longest_length() {
    for (length, fits) in [(LONGEST, true), (LONGEST + 1, false)] {
        let token = "a".repeat(length);
        let request = request("/", &[("authorization", format!("Bearer {token}").as_bytes())]);
        let found = sources(ALL).find(&head(&request));
        assert_eq!(found, if fits { Carried::One(&token) } else { Carried::Broken });
    }
}

#[test]
fn a_place_that_can_not_be_is_refused() {
    for (yaml, message) in [
        ("[]", "no source: nothing would ever be found\nhelp: leave `sources` out for its default"),
        (r#"[{"bearer": true}, {"bearer": true}]"#, "[1]: the same source twice"),
        (r#"[{"header": "X-A"}, {"header": "x-a"}]"#, "[1]: the same source twice"),
        (r#"[{"header": "a b"}]"#, "[0].header: `a b` is no name of a field"),
        (r#"[{"header": ""}]"#, "[0].header: `` is no name of a field"),
        (
            r#"[{"header": "authorization"}]"#,
            "[0].header: `Authorization` has a scheme before the token\nhelp: write `bearer: true`",
        ),
        (r#"[{"header": "Cookie"}]"#, "[0].header: `Cookie` has more than a token in it\nhelp: write `cookie: <name>`"),
        (r#"[{"header": "Host"}]"#, "[0].header: `host` is about the message, and no place for a token"),
        (r#"[{"cookie": "a=b"}]"#, "[0].cookie: `a=b` is no name of a cookie"),
        (r#"[{"query": "a&b"}]"#, "[0].query: `a&b` is no name of a parameter"),
    ] {
        assert_eq!(Sources::of(&parsed(yaml)).expect_err(yaml).to_string(), message, "{yaml}");
    }
}

#[test]
fn exactly_the_token_is_taken_out() {
    type Fields = &'static [(&'static str, &'static [u8])];
    let cases: [(&str, Fields, &str, Fields); 9] = [
        ("/", &[("authorization", b"bearer  abc")], "/", &[]),
        ("/", &[("authorization", b"Basic YTpi")], "/", &[("authorization", b"Basic YTpi")]),
        ("/", &[("x-token", b"abc"), ("x-other", b"abc")], "/", &[("x-other", b"abc")]),
        ("/", &[("cookie", b"token=abc")], "/", &[]),
        ("/", &[("cookie", b"a=\xff;token=abc;  b=\"c\" ;d")], "/", &[("cookie", b"a=\xff;  b=\"c\" ;d")]),
        ("/", &[("cookie", b"token=abc; b=c")], "/", &[("cookie", b"b=c")]),
        ("/", &[("cookie", b"b=c ;"), ("cookie", b"token=a")], "/", &[("cookie", b"b=c ;")]),
        ("/a%2Fb//c?token=abc", &[], "/a%2Fb//c", &[]),
        ("/a?x=%20&&token=abc&%74oken=b&y=+&token", &[], "/a?x=%20&&y=+", &[]),
    ];
    for (target, fields, target_after, fields_after) in cases {
        let mut request = request(target, fields);
        sources(ALL).strip(&mut request);
        assert_eq!(request.uri.to_string(), target_after);
        let left: Vec<_> = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(left, fields_after, "{target} {fields:?}");
    }
}

#[test]
fn the_authority_of_http2_stays_when_a_parameter_goes() {
    let mut request = request("/", &[]);
    request.set_uri("https://a.test/x?token=abc&a=1".parse().expect("a URI"));
    sources(ALL).strip(&mut request);
    assert_eq!(request.uri.to_string(), "https://a.test/x?a=1");
}

/// Pieces of which requests are made that are nearly right.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("token".to_owned()),
        Just("%74oken".to_owned()),
        Just("=".to_owned()),
        Just(";".to_owned()),
        Just("&".to_owned()),
        Just(" ".to_owned()),
        Just("Bearer ".to_owned()),
        "[ -~]{0,4}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..12).prop_map(|pieces| pieces.concat())
}

fn fields() -> impl Strategy<Value = HeaderMap> {
    let name = prop::sample::select(vec!["authorization", "cookie", "x-token", "x-other", "accept"]);
    let value = prop_oneof![text().prop_map(String::into_bytes), prop::collection::vec(0x20..0xff_u8, 0..12)];
    prop::collection::vec((name, value), 0..6).prop_map(|fields| {
        let fields = fields
            .into_iter()
            .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_bytes(&value).ok()?)));
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(name, value);
        }
        map
    })
}

proptest! {
    #[test]
    fn whatever_comes_what_is_stripped_is_found_no_more_and_nothing_else_changes(
        query in prop::option::of(text()),
        fields in fields(),
    ) {
        let query: Option<String> = query.map(|query| query.replace([' ', '"', '#', '<', '>', '`'], ""));
        let target = query.as_ref().map_or("/p%2f/q".to_owned(), |query| format!("/p%2f/q?{query}"));
        prop_assume!(target.parse::<http::Uri>().is_ok());
        let mut request = request(&target, &[]);
        for (name, value) in &fields {
            request.append_header(name.clone(), value.clone()).expect("a field");
        }
        let before = request.clone();
        let found = sources(ALL).find(&head(&before));
        sources(ALL).strip(&mut request);
        let after = sources(ALL).find(&head(&request));
        // Fields of other schemes stay, and two of them stay two.
        let schemes = before.headers.get_all(header::AUTHORIZATION).iter().count();
        let left = request.headers.get_all(header::AUTHORIZATION).iter().count();
        prop_assert!(after == Carried::Nothing || schemes > 1 && left == schemes, "{after:?}");
        prop_assert_eq!(request.uri.path(), before.uri.path());
        for name in ["x-other", "accept"] {
            let of = |head: &RequestHeader| head.headers.get_all(name).iter().cloned().collect::<Vec<_>>();
            prop_assert_eq!(of(&request), of(&before));
        }
        if found == Carried::Nothing {
            prop_assert_eq!(&request.headers, &before.headers);
            prop_assert_eq!(&request.uri, &before.uri);
        }
        let others = |query: Option<&str>| -> Vec<String> {
            let pairs = query.unwrap_or_default().split('&').filter(|pair| find::parameter_named(pair, "token").is_none());
            pairs.map(str::to_owned).collect()
        };
        let (was, is) = (others(before.uri.query()), others(request.uri.query()));
        prop_assert!(was == is || was.is_empty() && is == [""], "{was:?} {is:?}");
    }

    #[test]
    fn a_token_that_is_found_is_visible_and_short(fields in fields()) {
        let mut request = request("/", &[]);
        for (name, value) in &fields {
            request.append_header(name.clone(), value.clone()).expect("a field");
        }
        if let Carried::One(token) = sources(ALL).find(&head(&request)) {
            prop_assert!(!token.is_empty() && token.len() <= LONGEST);
            prop_assert!(token.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }
}
