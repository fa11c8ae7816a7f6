use proptest::prelude::*;

use super::*;

fn refused(text: &str) -> String {
    text.parse::<Joined>().expect_err(text).to_string()
}

#[test]
fn every_key_is_read_and_prints_the_same() {
    for text in [
        "client",
        "identity",
        "api_key",
        "header.x-tenant",
        "cookie.SID",
        "query.api_key",
        "param.project",
        "claim.realm.tenant",
        "route",
        "host",
        "country",
        "identity+param.project",
        "route+client+header.x-a",
    ] {
        assert_eq!(text.parse::<Joined>().expect(text).to_string(), text);
    }
    assert_eq!("header.X-Tenant".parse::<Joined>().expect("valid").to_string(), "header.x-tenant");
    assert_eq!("identity + route".parse::<Joined>().expect("valid").to_string(), "identity+route");
}

#[test]
fn what_is_no_key_is_refused_word_for_word() {
    let keys = format!("keys are: {KEYS}");
    for (text, message) in [
        ("", format!("unknown key ``\nhelp: {keys}")),
        ("ip", format!("unknown key `ip`\nhelp: did you mean `client`? {keys}")),
        ("user", format!("unknown key `user`\nhelp: did you mean `identity`? {keys}")),
        ("session", format!("unknown key `session`\nhelp: {keys}")),
        ("client+", format!("unknown key ``\nhelp: {keys}")),
        ("header", "`header` needs a name\nhelp: write header.<name>".into()),
        ("claim.", "`claim` needs a name\nhelp: write claim.<name>".into()),
        ("route.name", "`route` takes no name\nhelp: write just route".into()),
        (
            "header.a(b",
            "`header.a(b` is not the name of a header\n\
             help: a name is made of letters, digits, `-` and few other signs"
                .into(),
        ),
        ("cookie.a=b", "`cookie.a=b` is not the name of a cookie\nhelp: a name has no `=`, `;` or quotes".into()),
        (
            "query.a b",
            "`query.a b` has a space in its name\n\
             help: write the name as the request has it, without spaces"
                .into(),
        ),
        ("client+client", "`client` is in the key twice\nhelp: keep one of the two".into()),
        (
            "client+identity+api_key+route+host+country+header.a+header.b+header.c",
            "a key of 9 parts\nhelp: join at most 8".into(),
        ),
    ] {
        assert_eq!(refused(text), message);
    }
    let long = format!("query.{}", "n".repeat(101));
    assert!(refused(&long).ends_with("has a name of more than 100 bytes\nhelp: write a shorter name"));
}

#[test]
fn a_plan_comes_from_a_claim_and_from_nothing_that_a_client_could_send() {
    assert_eq!("claim.plan".parse::<ClaimName>().expect("valid").name(), "plan");
    for text in ["plan", "header.X-Plan", "query.plan", "claim", ""] {
        assert_eq!(
            text.parse::<ClaimName>().expect_err(text).to_string(),
            format!(
                "`{text}` is not a claim\n\
                 help: write claim.<name>: what a client sends by itself would let it choose its own limit"
            )
        );
    }
}

#[test]
fn one_key_or_a_list_is_read() {
    let keys = |json: &str| serde_json::from_str::<Per>(json).map(|per| per.keys().len());
    assert_eq!(keys(r#""client""#).expect("valid"), 1);
    assert_eq!(keys(r#"["identity", "client"]"#).expect("valid"), 2);
    let error = keys("[]").expect_err("empty").to_string();
    assert!(error.starts_with("a list of no keys\nhelp: write a key, such as per: client"), "{error}");
    let error = keys("5").expect_err("a number").to_string();
    assert!(error.contains("expected a key, or a list of keys"), "{error}");
    assert!(keys(r#"["client", 5]"#).is_err());
}

proptest! {
    #[test]
    fn what_is_shown_reads_back(text in "(client|identity|header\\.[a-zA-Z-]{1,8}|query\\.[^\\s+]{1,8}|claim\\.[a-z.]{1,9})(\\+(route|host|cookie\\.[a-z]{1,5})){0,3}") {
        if let Ok(joined) = text.parse::<Joined>() {
            prop_assert_eq!(joined.to_string().parse(), Ok(joined));
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,40}|[a-z.+]{0,20}") {
        let _ = (text.parse::<Joined>(), text.parse::<ClaimName>());
    }
}
