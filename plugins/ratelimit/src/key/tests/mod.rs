mod properties;
mod someone;

use serde_json::json;
use sha2::{Digest, Sha256};
use tidegate_testkit::allocations;

pub(crate) use someone::Someone;

use super::*;
use crate::config::{ClientPrefix, Missing, Per};

tidegate_testkit::count_allocations!();

fn keys(per: &str, missing: Missing) -> Keys {
    let json = if per.starts_with('[') { per.to_owned() } else { format!("\"{per}\"") };
    let per: Per = serde_json::from_str(&json).expect(per);
    Keys::new(per, missing, ClientPrefix::default())
}

fn found(per: &str, someone: &Someone) -> Found {
    keys(per, Missing::Skip).find(1, someone)
}

#[track_caller]
fn key(per: &str, someone: &Someone) -> Key {
    match found(per, someone) {
        Found::Key(key) => key,
        other => panic!("{per}: {other:?}"),
    }
}

fn hashed(value: &str) -> String {
    Sha256::digest(value).iter().take(8).fold("#".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

#[test]
fn every_source_is_found_and_shown() {
    let someone = Someone::default()
        .field("X-API-Key", "secret")
        .field("X-Tenant", "acme")
        .field("Cookie", "a=1; sid=\"s3\"; b=2")
        .query("q=1&api%5Fkey=k%2b1&flag")
        .param("project", "p%2C1")
        .identity("alice", json!({ "plan": "pro", "realm": { "tenant": 7 } }))
        .country("de");
    for (per, shown) in [
        ("client", "client=192.0.2.7".to_owned()),
        ("identity", "identity=jwt:alice".into()),
        ("api_key", format!("api_key={}", hashed("secret"))),
        ("header.X-Tenant", format!("header.x-tenant={}", hashed("acme"))),
        ("cookie.sid", format!("cookie.sid={}", hashed("s3"))),
        ("query.api_key", format!("query.api_key={}", hashed("k+1"))),
        ("param.project", "param.project=p,1".into()),
        ("claim.plan", format!("claim.plan={}", hashed("pro"))),
        ("claim.realm.tenant", format!("claim.realm.tenant={}", hashed("7"))),
        ("route", "route=users".into()),
        ("host", "host=api.example.com".into()),
        ("country", "country=DE".into()),
        ("identity+param.project+route", "identity=jwt:alice+param.project=p,1+route=users".into()),
        (r#"["header.X-None", "identity", "client"]"#, "identity=jwt:alice".into()),
    ] {
        assert_eq!(key(per, &someone).shown(), shown, "{per}");
    }
}

#[test]
fn what_is_not_there_or_empty_is_no_key() {
    let someone = Someone::default()
        .field("X-Empty", "")
        .field("X-Blank", "  ")
        .field("Cookie", "sid=; other; =x; quoted=\"\"")
        .query("empty=&flag")
        .param("project", "")
        .host("")
        .identity("", json!({ "none": null, "empty": "" }));
    for per in [
        "api_key",
        "header.X-Empty",
        "header.X-Blank",
        "cookie.sid",
        "cookie.other",
        "cookie.quoted",
        "cookie.none",
        "query.empty",
        "query.flag",
        "query.none",
        "param.project",
        "param.none",
        "identity",
        "claim.none",
        "claim.empty",
        "claim.other",
        "host",
        "country",
        "client+header.X-Empty",
    ] {
        assert_eq!(found(per, &someone), Found::Skip, "{per}");
    }
    assert_eq!(found("identity", &Someone::default()), Found::Skip);
    assert_eq!(found("query.q", &Someone::default()), Found::Skip);
}

#[test]
fn a_request_without_the_key_is_counted_by_its_client_or_skipped_or_refused() {
    let someone = Someone::default().from("2001:db8:1:2:3:4:5:6");
    let find = |missing| keys("header.X-Tenant", missing).find(1, &someone);
    assert_eq!(find(Missing::Client), Found::Key(key("client", &someone)));
    assert_eq!((find(Missing::Skip), find(Missing::Refuse)), (Found::Skip, Found::Refuse));
    // Half of a joined key leaves nothing behind.
    let half = keys("route+header.X-Tenant", Missing::Client).find(1, &someone);
    assert_eq!(half, Found::Key(key("client", &someone)));
}

#[test]
fn two_values_are_none_since_the_upstream_might_take_the_other() {
    let someone = Someone::default()
        .field("X-Tenant", "a")
        .field("X-Tenant", "b")
        .field("X-Same", "a")
        .field("X-Same", "a")
        .field("Cookie", "sid=a")
        .field("Cookie", "x=1; sid=b; same=1; same=1")
        .query("k=a&%6b=b&same=1&same=1");
    for per in ["header.X-Tenant", "cookie.sid", "query.k"] {
        assert_eq!(found(per, &someone), Found::Skip, "{per}");
    }
    for per in ["header.X-Same", "cookie.same", "query.same"] {
        assert!(matches!(found(per, &someone), Found::Key(_)), "{per}");
    }
}

#[test]
fn one_value_has_one_key_however_it_is_spelled() {
    let same = |per: &str, a: Someone, b: Someone| assert_eq!(key(per, &a), key(per, &b), "{per}");
    let someone = Someone::default;
    same("host", someone().host("API.example.com.:443"), someone().host("api.example.com"));
    same("query.k", someone().query("k=a%62c"), someone().query("x=1&%6B=abc"));
    same("query.k", someone().query("k=a+b"), someone().query("k=a%20b"));
    same("param.p", someone().param("p", "a%2c"), someone().param("p", "a,"));
    same("cookie.c", someone().field("cookie", "c=\"v\""), someone().field("cookie", "c=v "));
    same("header.h", someone().field("h", " v "), someone().field("H", "v"));
    same("client", someone().from("::ffff:192.0.2.7"), someone());
    assert_ne!(key("param.p", &someone().param("p", "a+b")), key("param.p", &someone().param("p", "a b")));
    assert_ne!(key("query.k", &someone().query("k=%zz")), key("query.k", &someone().query("k=zz")));
}

#[test]
fn clients_of_one_network_share_a_key() {
    let per = |v4, v6| {
        Keys::new(
            serde_json::from_str("\"client\"").expect("a key"),
            Missing::Skip,
            ClientPrefix { ipv4: v4, ipv6: v6 },
        )
    };
    let shown = |keys: &Keys, client: &str| match keys.find(1, &Someone::default().from(client)) {
        Found::Key(key) => key.shown(),
        other => panic!("{other:?}"),
    };
    let usual = per(32, 64);
    assert_eq!(shown(&usual, "192.0.2.7"), "client=192.0.2.7");
    assert_eq!(shown(&usual, "2001:db8:1:2:3:4:5:6"), "client=2001:db8:1:2::/64");
    assert_eq!(shown(&per(24, 48), "192.0.2.7"), "client=192.0.2.0/24");
    assert_eq!(shown(&per(24, 48), "2001:db8:1:2::1"), "client=2001:db8:1::/48");
    assert_eq!(shown(&per(1, 128), "192.0.2.7"), "client=128.0.0.0/1");
    assert_eq!(shown(&per(1, 128), "::1"), "client=::1");
    let (network, address) = (per(24, 64), per(32, 64));
    let someone = Someone::default().from("192.0.2.0");
    assert_ne!(network.find(1, &someone), address.find(1, &someone), "a network is not its first address");
}

#[test]
fn keys_that_look_alike_are_not_the_same() {
    let someone = Someone::default()
        .field("A", "v")
        .field("AB", "v")
        .field("Cookie", "a=v")
        .query("a=v")
        .param("a", "v")
        .identity("v", json!({ "a": "1", "b": 1 }));
    let all = [
        "header.a",
        "header.ab",
        "cookie.a",
        "query.a",
        "param.a",
        "identity",
        "claim.a",
        "claim.b",
        "route+header.a",
        "header.a+route",
    ];
    for (nth, a) in all.iter().enumerate() {
        for b in &all[..nth] {
            assert_ne!(key(a, &someone).bytes, key(b, &someone).bytes, "{a} {b}");
        }
    }
    let (jwt, basic) = (someone.clone().known_to("jwt", "1", json!({})), someone.known_to("basic", "1", json!({})));
    assert_ne!(key("identity", &jwt), key("identity", &basic), "two providers may know a user of one name");
    // What one value holds does not run into the next.
    let split = |a: &str, b: &str| key("header.x+header.y", &Someone::default().field("x", a).field("y", b));
    assert_ne!(split("ab", "c"), split("a", "bc"));
}

#[test]
fn any_bytes_of_any_length_are_a_key_of_bounded_length() {
    let of = |value: &[u8]| key("header.x+route", &Someone::default().field("x", value));
    let values: Vec<Vec<u8>> = [1, 127, 128, 129, 255, 256, 65_536].iter().map(|length| vec![b'x'; *length]).collect();
    for (nth, value) in values.iter().enumerate() {
        let key = of(value);
        assert!(key.bytes.len() <= Key::LONGEST, "{}", value.len());
        for other in &values[..nth] {
            assert_ne!(of(other), key);
        }
    }
    assert_ne!(of(b"\xff\xfe"), of(b"\xff"), "no UTF-8, and still two keys");
    assert_eq!(of(&[b'x'; 65_536]).shown(), format!("header.x={}+route=users", hashed(&"x".repeat(65_536))));
    let long = Someone::default().field("x", "a".repeat(100)).field("y", "b".repeat(100)).field("z", "c".repeat(100));
    let whole = key("header.x+header.y+header.z", &long);
    assert_eq!((whole.bytes.len(), whole.shown().len()), (33, 17));
    let other = Someone::default().field("x", "a".repeat(100)).field("y", "b".repeat(100)).field("z", "d".repeat(100));
    assert_ne!(whole, key("header.x+header.y+header.z", &other));
}

#[test]
fn nothing_secret_is_printed() {
    let someone = Someone::default()
        .field("X-API-Key", "sk_live_1")
        .field("cookie", "sid=s3cr3t")
        .identity("a\u{1b}[2J", json!({}));
    let text = format!("{:?} {:?}", key("api_key", &someone), key("cookie.sid", &someone));
    assert!(!text.contains("sk_live_1") && !text.contains("s3cr3t"), "{text}");
    assert_eq!(key("identity", &someone).shown(), "identity=jwt:a\\u{1b}[2J");
}

#[test]
fn common_keys_cost_no_allocation() {
    let uuid = "0190163d-8694-739b-aea5-966c26f8ad91";
    let someone = Someone::default()
        .field("X-Request-Tenant", "acme")
        .field("X-API-Key", uuid)
        .field("cookie", "sid=0123456789abcdef")
        .query("key=a%62c")
        .param("project", "p1")
        .identity(uuid, json!({ "tenant": 7 }))
        .from("2001:db8::1")
        .country("de");
    for per in [
        "client",
        "identity",
        "api_key",
        "header.X-Request-Tenant",
        "cookie.sid",
        "query.key",
        "route",
        "host",
        "country",
        "claim.tenant",
        "client+route",
        "param.project+host",
    ] {
        let keys = keys(per, Missing::Client);
        let mut found = Found::Skip;
        assert_eq!(allocations(|| found = keys.find(1, &someone)), 0, "{per}");
        assert!(matches!(found, Found::Key(_)), "{per}");
    }
}

#[test]
fn an_operator_names_the_same_key_as_the_request() {
    let someone = Someone::default()
        .field("X-Tenant", "acme")
        .identity("alice:1", json!({ "plan": "pro" }))
        .param("project", "p1")
        .host("API.example.com")
        .country("de");
    for (per, given) in [
        ("client", &[("client", "192.0.2.7")][..]),
        ("identity", &[("identity", "jwt:alice:1")]),
        ("header.X-Tenant", &[("header.x-tenant", "acme")]),
        ("claim.plan", &[("claim.plan", "pro")]),
        ("host", &[("host", "api.EXAMPLE.com")]),
        ("country", &[("country", "de")]),
        ("route", &[("route", "users")]),
        ("identity+param.project", &[("param.project", "p1"), ("identity", "jwt:alice:1")]),
        (r#"["api_key", "client"]"#, &[("client", "192.0.2.7")]),
    ] {
        let look = |name: &str| given.iter().find(|(of, _)| *of == name).map(|(_, text)| *text);
        assert_eq!(keys(per, Missing::Skip).given(1, look), Ok(key(per, &someone)), "{per}");
    }
    let nothing = |_: &str| None::<&str>;
    let refused = |per: &str, given: &dyn Fn(&str) -> Option<&'static str>| {
        keys(per, Missing::Client).given(1, given).expect_err(per)
    };
    assert_eq!(
        refused(r#"["identity+route", "api_key"]"#, &nothing),
        "this limit counts by identity+route, api_key: give all parts of one of them"
    );
    assert_eq!(refused("identity", &|_| Some("alice")), "write identity as <provider>:<subject>");
    assert_eq!(refused("client", &|_| Some("here")), "client is not an IP address");
    assert_eq!(refused("host", &|_| Some("")), "host is empty");
    let fallback = keys("api_key", Missing::Client).given(1, |name| (name == "client").then_some("192.0.2.7"));
    assert_eq!(fallback, Ok(key("client", &someone)));
}
