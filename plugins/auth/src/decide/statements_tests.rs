use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::decide::tests::{Question, who};

fn statements(yaml: &str) -> Result<Statements, ConfigErrors> {
    Statements::build(&serde_yaml::from_str::<Vec<config::Statement>>(yaml).expect("YAML"))
}

fn rule<'s>(statements: &'s Statements, question: &Question<'_>) -> Ruling<'s> {
    let identity = question.identity.clone().expect("somebody asks");
    question.ask(|asked| statements.rule(asked, &identity, question.method.as_str().to_ascii_lowercase().as_str()))
}

/// IAM's evaluation: explicit deny, then explicit allow, then the default.
#[test]
fn a_deny_wins_and_what_nothing_allows_is_denied() {
    let allow = "{ name: a, effect: allow, actions: [get], resources: [/x] }";
    let deny = "{ name: d, effect: deny, actions: [get], resources: [/x] }";
    let other = "{ name: o, effect: allow, actions: [put], resources: [/x] }";
    for (list, expected) in [
        (vec![], Ruling::Silent),
        (vec![other], Ruling::Silent),
        (vec![allow], Ruling::Allowed("a")),
        (vec![deny], Ruling::Denied("d")),
        (vec![allow, deny], Ruling::Denied("d")),
        (vec![deny, allow], Ruling::Denied("d")),
        (vec![other, allow], Ruling::Allowed("a")),
        (vec![allow, other, deny], Ruling::Denied("d")),
    ] {
        let statements = statements(&format!("[{}]", list.join(", "))).expect("statements");
        assert_eq!(rule(&statements, &Question::get("/x").by(who("u1", &[], json!({})))), expected, "{list:?}");
    }
}

#[test]
fn principals_are_subjects_roles_and_everybody() {
    for (principals, subject, roles, expected) in [
        ("[]", "anna", &[][..], true),
        ("[\"*\"]", "anna", &[], true),
        ("[anna]", "anna", &[], true),
        ("[anna]", "ann", &[], false),
        ("[\"svc-*\"]", "svc-7", &[], true),
        ("[\"svc-*\"]", "anna", &["svc-7"], false),
        ("[\"role:admin\"]", "anna", &["user", "admin"], true),
        ("[\"role:admin\"]", "anna", &["user"], false),
        ("[\"role:adm*\"]", "anna", &["admin"], true),
        // A name can't be chosen so that it is a role.
        ("[\"role:admin\"]", "role:admin", &[], false),
        ("[\"role:*\"]", "role:admin", &[], false),
    ] {
        let yaml = format!("[{{ effect: allow, principals: {principals}, actions: [get], resources: [/x] }}]");
        let statements = statements(&yaml).expect("statements");
        let ruling = rule(&statements, &Question::get("/x").by(who(subject, roles, json!({}))));
        assert_eq!(ruling == Ruling::Allowed("1"), expected, "{principals} {subject} {roles:?}: {ruling:?}");
    }
}

#[test]
fn every_condition_must_hold() {
    let yaml = "[{ effect: allow, actions: ['*'], resources: ['*'], when: { client: [10.0.0.0/8, '2001:db8::/32'],
        claims: { tier: gold }, params: { user: sub } } }]";
    let statements = statements(yaml).expect("statements");
    let gold = || who("u1", &[], json!({ "tier": "gold" }));
    let question = |path, client: &str, identity| Question::get(path).from(client).param("user", 1..3).by(identity);
    for (path, client, identity, allowed) in [
        ("/u1", "10.1.2.3", gold(), true),
        ("/u1", "::ffff:10.1.2.3", gold(), true),
        ("/u1", "2001:db8::1", gold(), true),
        ("/u1", "192.0.2.1", gold(), false),
        ("/u2", "10.1.2.3", gold(), false),
        ("/u1", "10.1.2.3", who("u1", &[], json!({})), false),
    ] {
        let ruling = rule(&statements, &question(path, client, identity));
        assert_eq!(ruling == Ruling::Allowed("1"), allowed, "{path} {client}: {ruling:?}");
    }
}

#[test]
fn no_spelling_of_a_path_passes_by_a_deny() {
    let yaml = "[{ effect: allow, actions: ['*'], resources: ['*'] },
        { name: no, effect: deny, actions: ['*'], resources: [/v1/secret, '/v1/secret/*'] }]";
    let statements = statements(yaml).expect("statements");
    for path in [
        "/v1/secret",
        "/v1/secret/",
        "/v1/secret/x",
        "/v1%2Fsecret",
        "/v1/secret%2Fx",
        "/v1/secret;a=b",
        "/v1;a/secret",
        "/v1//secret",
        "/v1/%73ecret",
        "/v1\\secret",
        "/v1%5csecret",
        "/v1/x%2F..%2Fsecret",
    ] {
        let ruling = rule(&statements, &Question::get(path).by(who("u1", &[], json!({}))));
        assert_eq!(ruling, Ruling::Denied("no"), "{path}");
    }
    let ruling = rule(&statements, &Question::get("/v1/secrets").by(who("u1", &[], json!({}))));
    assert_eq!(ruling, Ruling::Allowed("1"));
    for path in ["/v1/%00", "/v1/%ff", "/v1/%zz"] {
        let ruling = rule(&statements, &Question::get(path).by(who("u1", &[], json!({}))));
        assert_eq!(ruling, Ruling::Unreadable, "{path}");
    }
}

#[test]
fn no_spelling_of_a_parameter_passes_by_a_deny() {
    let yaml = "[{ effect: allow, actions: ['*'], resources: ['*'] },
        { name: own, effect: deny, actions: ['*'], resources: ['*'], when: { params: { user: sub } } }]";
    let statements = statements(yaml).expect("statements");
    let ask = |path: &str| {
        rule(&statements, &Question::get(path).param("user", 1..path.len()).by(who("u1", &[], json!({}))))
            == Ruling::Denied("own")
    };
    assert!(ask("/u1") && ask("/%751") && ask("/u1;x") && !ask("/u2"));
    let elsewhere = rule(&statements, &Question::get("/u1").by(who("u1", &[], json!({}))));
    assert_eq!(elsewhere, Ruling::Allowed("1"), "a path without the parameter");
}

#[test]
fn an_encoded_slash_makes_no_path_an_allowed_one() {
    let yaml = "[{ effect: allow, actions: ['*'], resources: [/v1/open/x] }]";
    let statements = statements(yaml).expect("statements");
    for path in ["/v1/open%2Fx", "/v1/open;y/x", "/v1/open//x"] {
        let ruling = rule(&statements, &Question::get(path).by(who("u1", &[], json!({}))));
        assert_eq!(ruling, Ruling::Silent, "{path}");
    }
}

#[test]
fn every_fault_is_told_with_its_place() {
    let yaml = "
- { effect: allow, principals: ['a*b', ''], actions: [], resources: [v1] }
- { effect: allow, name: x, actions: [''], resources: [], when: { client: [10.0.0.1/8, nobody], claims: { a: null } } }
- { effect: deny, name: x, actions: [a], resources: [/a], when: { params: { user: '' } } }
- { effect: deny, name: y, actions: [a], resources: [/a] }
- { effect: deny, name: y, actions: [a], resources: [/a] }
";
    let errors = statements(yaml).expect_err("bad").to_string();
    for fault in [
        "[0].principals[0]: `*` stands at the end only",
        "[0].principals[1]: an empty",
        "[0].actions: none",
        "[0].resources[0]: paths begin with a slash",
        "[1].actions[0]: no action is called nothing",
        "[1].resources: none",
        "[1].when.client[0]: it has bits set beyond its prefix; write 10.0.0.0/8",
        "[1].when.client[1]: this is neither",
        "[1].when.claims.a: no claim is nothing",
        "[2].when.params.user: a path parameter and a claim",
        "[4].name: two statements have one name",
    ] {
        assert!(errors.contains(fault), "{fault} is missing:\n{errors}");
    }
}

fn any_statement() -> impl Strategy<Value = config::Statement> {
    let word = |words: &'static [&'static str]| prop::sample::select(words).prop_map(str::to_owned);
    let effect = prop_oneof![Just(Effect::Allow), Just(Effect::Deny)];
    let actions = prop::collection::vec(word(&["get", "put", "g*", "*"]), 1..3);
    let resources = prop::collection::vec(word(&["/a", "/a/*", "/b", "*", "/*/x"]), 1..3);
    let principals = prop::collection::vec(word(&["u1", "u2", "role:r", "*"]), 0..3);
    (effect, actions, resources, principals).prop_map(|(effect, actions, resources, principals)| config::Statement {
        name: None,
        effect,
        principals,
        actions,
        resources,
        when: config::When::default(),
    })
}

proptest! {
    #[test]
    fn a_deny_wins_whatever_the_order(
        list in prop::collection::vec(any_statement(), 0..6).prop_shuffle(),
        path in prop::sample::select(&["/a", "/a/x", "/b", "/c/x"][..]),
        put in any::<bool>(),
    ) {
        let method = if put { "PUT" } else { "GET" };
        let question = Question::get(path).method(method).by(who("u1", &["r"], json!({})));
        let ruled = |list: &[config::Statement]| {
            let ruling = Statements::build(list).expect("statements");
            match rule(&ruling, &question) {
                Ruling::Allowed(_) => Some(true),
                Ruling::Denied(_) => Some(false),
                Ruling::Silent | Ruling::Unreadable => None,
            }
        };
        // Each by itself says what it is about.
        let alone: Vec<_> = list.iter().map(|one| ruled(std::slice::from_ref(one))).collect();
        let expected = match (alone.contains(&Some(false)), alone.contains(&Some(true))) {
            (true, _) => Some(false),
            (false, true) => Some(true),
            (false, false) => None,
        };
        prop_assert_eq!(ruled(&list), expected);
    }
}
