//! What upstreams see.

use serde_json::{Map, json};
use tidegate_testkit::manual_clock;

use super::*;

fn forwarder(config: &str) -> Result<Forwarder, ConfigErrors> {
    let config: Forwarding = serde_yaml::from_str(config).expect("a configuration");
    let spoofable = vec![HeaderName::from_static("client-cert")];
    Forwarder::build(&config, spoofable, None, &Clock::new(manual_clock()))
}

fn head(fields: &[(&'static str, &'static str)]) -> RequestHeader {
    let mut head = RequestHeader::build("GET", b"/", None).expect("a head");
    for (name, value) in fields {
        head.append_header(*name, *value).expect("a field");
    }
    head
}

fn identity() -> Identity {
    let claims = json!({ "email": "a@b.example" });
    Identity::new("u1", "jwt", claims.as_object().cloned().unwrap_or_else(Map::new))
}

#[test]
fn the_clients_own_word_is_removed_whoever_asks() {
    let forwarder = forwarder("{ strip: [X-Tenant] }").expect("built");
    for who in [None, Some(identity())] {
        let mut head = head(&[
            ("X-User-ID", "admin"),
            ("x_user_id", "admin"),
            ("X-Tenant", "t"),
            ("Client-Cert", ":x:"),
            ("X-Other", "stays"),
        ]);
        forwarder.apply(who.as_ref(), &mut head).expect("applied");
        let said = who.map(|_| "u1");
        assert_eq!(head.headers.get("x-user-id").and_then(|value| value.to_str().ok()), said);
        assert_eq!(head.headers.get_all("x-user-id").iter().count(), usize::from(said.is_some()));
        let left = head.headers.keys().map(|name| name.as_str()).filter(|name| *name != "x-user-id");
        assert_eq!(left.collect::<Vec<_>>(), ["x-other"]);
    }
}

#[test]
fn a_field_for_which_there_is_nothing_to_say_is_not_written() {
    let forwarder = forwarder("{ headers: { X-User-ID: sub, X-Mail: email, X-None: none } }").expect("built");
    let mut head = head(&[("X-None", "spoofed")]);
    forwarder.apply(Some(&identity()), &mut head).expect("applied");
    let mut lines: Vec<_> = head.headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["x-mail: \"a@b.example\"", "x-user-id: \"u1\""]);
}

#[test]
fn what_cannot_work_is_refused_with_its_place() {
    for (config, place) in [
        ("{ headers: { Host: sub } }", "headers.Host: "),
        ("{ headers: { Authorization: sub } }", "headers.Authorization: "),
        ("{ headers: { X-A: '' } }", "headers.X-A: "),
        ("{ headers: { X-A: sub, X_A: roles } }", "headers.X_A: "),
        ("{ strip: [X-A, 'a b'] }", "strip[1]: "),
        ("{ strip: [Content-Length] }", "strip[0]: "),
        ("{ token: {} }", "token: "),
        ("{ token: { ttl: 1s } }", "token.ttl: "),
        ("{ token: { ttl: 11m } }", "token.ttl: "),
        ("{ token: { claims: [email, sub] } }", "token.claims[1]: "),
        ("{ token: { header: Cookie } }", "token.header: "),
        ("{ headers: { X-Identity-Token: sub }, token: {} }", "token.header: "),
    ] {
        let errors = forwarder(config).map(drop).expect_err(config).to_string();
        assert!(errors.contains(place), "{config}: {errors}");
    }
}
