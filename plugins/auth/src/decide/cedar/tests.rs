//! Policies, as routes ask them.

use std::fs::write;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::decide::tests::{Question, decider, rules, who};
use crate::decide::{Decision, Rules};

/// Owner, or admin, or of the same department and an editor (F25).
const ABAC: &str = "permit(principal, action, resource) when { resource.created_by == context.claims.sub };
    permit(principal in Role::\"admin\", action, resource);
    permit(principal in Role::\"editor\", action, resource)
        when { resource.department == context.claims.department };";

fn allows(rules: &Rules, question: &Question<'_>) -> bool {
    matches!(question.decide(rules), Decision::Allow)
}

fn denied_by(rules: &Rules, question: &Question<'_>) -> String {
    match question.decide(rules) {
        Decision::Deny(by) => by.into_owned(),
        other => panic!("{other:?}"),
    }
}

/// A section with these policies, and these files beside.
fn section(policies: &str, files: &[(&str, &str)]) -> (TempDir, String) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut more = String::new();
    for (name, text) in files {
        let path = dir.path().join(name);
        write(&path, text).expect("written");
        more += &format!(", {}: {path:?}", name.split('.').next().expect("a name"));
    }
    let inline = Value::from(policies);
    (dir, format!("{{ cedar: {{ inline: {inline}{more} }} }}"))
}

#[test]
fn owner_or_admin_or_editor_of_the_department_in_all_sixteen_cases() {
    let (_dir, section) = section(ABAC, &[]);
    let require = "{ cedar: { resource_type: Doc, resource: '{id}',
        attributes: { created_by: '{owner}', department: '{department}' } } }";
    let rules = rules(&section, require, &["id", "owner", "department"]).expect("rules");
    for case in 0..16_u8 {
        let [owner, admin, same, editor] = [0, 1, 2, 3].map(|bit| case >> bit & 1 == 1);
        let roles: Vec<_> =
            [(admin, "admin"), (editor, "editor")].iter().filter(|(is, _)| *is).map(|(_, r)| *r).collect();
        let department = if same { "it" } else { "hr" };
        let claims = json!({ "sub": if owner { "u1" } else { "u2" }, "department": department });
        let subject = if owner { "u1" } else { "u2" };
        let question = Question::get("/7/u1/it").param("id", 1..2).param("owner", 3..5).param("department", 6..8);
        let question = question.by(who(subject, &roles, claims));
        let expected = owner || admin || (same && editor);
        assert_eq!(allows(&rules, &question), expected, "owner {owner} admin {admin} same {same} editor {editor}");
    }
}

#[test]
fn a_missing_attribute_permits_nothing_and_takes_nothing_from_others() {
    let (_dir, section) = section(ABAC, &[]);
    let rules = rules(&section, "{ cedar: { resource_type: Doc } }", &[]).expect("rules");
    let ask = |roles: &[&str], claims| Question::get("/x").by(who("u1", roles, claims));
    assert!(allows(&rules, &ask(&["admin"], json!({}))), "another policy permits it");
    let by = denied_by(&rules, &ask(&["editor"], json!({ "department": "it", "sub": "u1" })));
    assert!(by.starts_with("cedar: no policy permits it; policy `inline#1` failed: "), "{by}");
    assert!(by.contains("created_by"), "{by}");
}

#[test]
fn a_policy_that_forbids_and_can_not_be_evaluated_forbids() {
    let policies = "@id(\"all\") permit(principal, action, resource);
        @id(\"suspended\") forbid(principal, action, resource) when { context.claims.suspended };";
    let (_dir, section) = section(policies, &[]);
    let rules = rules(&section, "{ cedar: {} }", &[]).expect("rules");
    let ask = |claims| Question::get("/x").by(who("u1", &[], claims));
    assert!(allows(&rules, &ask(json!({ "suspended": false }))));
    assert_eq!(denied_by(&rules, &ask(json!({ "suspended": true }))), "cedar: forbidden by policy `suspended`");
    let by = denied_by(&rules, &ask(json!({})));
    assert!(by.starts_with("cedar: policy `suspended`, which forbids, failed: "), "{by}");
    let by = denied_by(&rules, &ask(json!({ "suspended": "yes" })));
    assert!(by.contains("which forbids, failed"), "{by}");
}

#[test]
fn the_context_has_claims_client_method_path_time_and_proof() {
    let holds = |condition: &str| {
        let (_dir, section) = section(&format!("permit(principal, action, resource) when {{ {condition} }};"), &[]);
        let rules = rules(&section, "{ cedar: {}, actions: { GET: \"docs:read\" } }", &["id"]).expect(condition);
        let claims = json!({ "tier": "gold", "groups": ["a", "b"], "level": 3, "rate": 1.5, "none": null,
            "org": { "unit": "x" }, "fake": { "__entity": { "type": "Role", "id": "admin" } } });
        let question = Question::get("/jos%C3%A9/x").param("id", 1..10).from("::ffff:10.0.0.7");
        allows(&rules, &question.by(who("u1", &["staff"], claims)))
    };
    for yes in [
        "principal == User::\"u1\" && principal in Role::\"staff\"",
        "action == Action::\"docs:read\" && resource == Route::\"users\"",
        "context.claims.tier == \"gold\" && context.claims.level == 3",
        "context.claims.groups.contains(\"b\") && context.claims.org.unit == \"x\"",
        "context.client == ip(\"10.0.0.7\") && context.client.isInRange(ip(\"10.0.0.0/8\"))",
        "context.method == \"GET\" && context.path == \"/josé/x\" && context.proof == \"other\"",
        "context.time == 1700000000000",
        "!(context.claims has rate) && !(context.claims has none) && !(context.claims has sub)",
        "context.claims.fake has __entity",
    ] {
        assert!(holds(yes), "{yes}");
    }
    for no in ["principal in Role::\"admin\"", "context.claims.rate == 1", "context.claims.tier == 1"] {
        assert!(!holds(no), "{no}");
    }
}

#[test]
fn no_spelling_of_a_path_passes_by_a_policy_that_forbids() {
    let policies = "@id(\"all\") permit(principal, action, resource) when { context.path like \"*\" };
        @id(\"admin\") forbid(principal, action, resource) when { context.path like \"/admin/*\" };
        @id(\"slash\") forbid(principal, action, resource) when { context.path == \"/other\" };";
    let (_dir, section) = section(policies, &[]);
    let rules = rules(&section, "{ cedar: {} }", &[]).expect("rules");
    let ask = |path| Question::get(path).by(who("u1", &[], json!({})));
    for path in ["/admin/x", "//admin/x", "/admin%2Fx", "/admin;a/x"] {
        assert_eq!(denied_by(&rules, &ask(path)), "cedar: forbidden by policy `admin`", "{path}");
    }
    assert!(allows(&rules, &ask("/other//x")) && allows(&rules, &ask("/other/")));
}

#[test]
fn head_is_asked_as_get() {
    let (_dir, section) = section("permit(principal, action == Action::\"get\", resource);", &[]);
    let rules = rules(&section, "{ cedar: {} }", &[]).expect("rules");
    let ask = |method| allows(&rules, &Question::get("/x").method(method).by(who("u1", &[], json!({}))));
    assert!(ask("GET") && ask("HEAD") && !ask("POST"));
}

const ENTITIES: &str = r#"[
    { "uid": { "type": "Role", "id": "lead" }, "attrs": {}, "parents": [{ "type": "Role", "id": "editor" }] },
    { "uid": { "type": "Role", "id": "editor" }, "attrs": { "level": 2 }, "parents": [] },
    { "uid": { "type": "User", "id": "anna" }, "attrs": { "city": "x" }, "parents": [{ "type": "Team", "id": "t1" }],
      "tags": { "badge": "blue" } },
    { "uid": { "type": "Team", "id": "t1" }, "attrs": {}, "parents": [{ "type": "Org", "id": "o1" }] },
    { "uid": { "type": "Org", "id": "o1" }, "attrs": { "open": true }, "parents": [] },
    { "uid": { "type": "Doc", "id": "7" }, "parents": [{ "type": "Folder", "id": "f" }],
      "attrs": { "owner": { "__entity": { "type": "User", "id": "anna" } }, "state": "draft" } },
    { "uid": { "type": "Folder", "id": "f" }, "attrs": { "locked": false }, "parents": [] }
]"#;

#[test]
fn entities_of_the_file_are_part_of_the_request() {
    let holds = |subject: &str, roles: &[&str], condition: &str| {
        let policy = format!("permit(principal, action, resource) when {{ {condition} }};");
        let (_dir, section) = section(&policy, &[("entities.json", ENTITIES)]);
        let require =
            "{ cedar: { resource_type: Doc, resource: '{id}', attributes: { state: '{id}', more: '{id}' } } }";
        let rules = rules(&section, require, &["id"]).expect(condition);
        allows(&rules, &Question::get("/7").param("id", 1..2).by(who(subject, roles, json!({}))))
    };
    for (subject, roles, condition) in [
        ("anna", &[][..], "resource.owner == principal && resource.owner.city == \"x\""),
        ("anna", &[], "principal in Team::\"t1\" && principal in Org::\"o1\" && Org::\"o1\".open"),
        ("anna", &["lead"], "principal in Role::\"editor\" && principal in Org::\"o1\" && principal.city == \"x\""),
        ("anna", &["lead"], "principal.hasTag(\"badge\") && principal.getTag(\"badge\") == \"blue\""),
        ("bob", &["lead"], "principal in Role::\"editor\" && !(principal in Org::\"o1\")"),
        ("bob", &[], "resource in Folder::\"f\" && !Folder::\"f\".locked && resource.owner in Org::\"o1\""),
        // What is known of a resource wins over what the path says of it.
        ("bob", &[], "resource.state == \"draft\" && resource.more == \"7\""),
    ] {
        assert!(holds(subject, roles, condition), "{subject} {roles:?} {condition}");
    }
    for (subject, roles, condition) in [
        ("bob", &[][..], "principal in Org::\"o1\""),
        ("bob", &["editor"], "principal in Role::\"lead\""),
        ("anna", &[], "principal in Role::\"editor\""),
    ] {
        assert!(!holds(subject, roles, condition), "{subject} {roles:?} {condition}");
    }
}

#[test]
fn who_asks_for_what_is_known_of_themselves_keeps_their_roles() {
    let policies = "@id(\"own\") permit(principal, action, resource) when { principal == resource };
        @id(\"suspended\") forbid(principal in Role::\"suspended\", action, resource);
        @id(\"team\") permit(principal in Team::\"t1\", action, resource) when { resource.path == principal.path };";
    let (_dir, section) = section(policies, &[("entities.json", ENTITIES)]);
    let require = "{ cedar: { resource_type: User, resource: '{id}', attributes: { path: '{id}' } } }";
    let rules = rules(&section, require, &["id"]).expect("rules");
    let ask = |roles: &[&str]| Question::get("/anna").param("id", 1..5).by(who("anna", roles, json!({})));
    assert!(allows(&rules, &ask(&["staff"])));
    assert_eq!(denied_by(&rules, &ask(&["suspended"])), "cedar: forbidden by policy `suspended`");
}

#[test]
fn roles_that_go_round_in_circles_are_refused_at_load() {
    let circle = r#"[{ "uid": { "type": "Role", "id": "a" }, "attrs": {}, "parents": [{ "type": "Role", "id": "b" }] },
        { "uid": { "type": "Role", "id": "b" }, "attrs": {}, "parents": [{ "type": "Role", "id": "a" }] }]"#;
    let (_dir, section) = section("permit(principal, action, resource);", &[("entities.json", circle)]);
    let errors = decider(&section).err().expect("a circle").to_string();
    assert!(errors.starts_with("cedar.entities: ") && errors.contains("entities.json"), "{errors}");
}

const SCHEMA: &str = "entity Role; entity User in [Role]; entity Doc { department?: String };
    action get, remove appliesTo { principal: User, resource: Doc,
        context: { claims: { department?: String }, client: ipaddr, method: String, path: String, time: Long, proof: String } };";

#[test]
fn policies_are_checked_against_the_schema() {
    let good = "permit(principal in Role::\"staff\", action == Action::\"get\", resource)
        when { resource has department && context.claims has department &&
            resource.department == context.claims.department };";
    let (_dir, text) = section(good, &[("schema.cedarschema", SCHEMA)]);
    let require = "{ cedar: { resource_type: Doc, attributes: { department: '{d}' } }, actions: { DELETE: remove } }";
    let rules = rules(&text, require, &["d"]).expect("rules");
    let ask = |claims| Question::get("/it").param("d", 1..3).by(who("u1", &["staff"], claims));
    assert!(allows(&rules, &ask(json!({ "department": "it", "not in the schema": 1 }))));
    assert!(!allows(&rules, &ask(json!({ "department": "hr" }))) && !allows(&rules, &ask(json!({}))));
    for (bad, fault) in [
        ("permit(principal, action, resource) when { resource.departmnt == \"x\" };", "departmnt"),
        ("permit(principal, action, resource) when { resource.department == \"x\" };", "department"),
        ("permit(principal, action == Action::\"gte\", resource);", "gte"),
        ("permit(principal in Rol::\"x\", action, resource);", "Rol"),
        ("permit(principal, action, resource) when { context.time == \"now\" };", "inline:1:"),
    ] {
        let (_dir, section) = section(bad, &[("schema.cedarschema", SCHEMA)]);
        let errors = decider(&section).err().expect(bad).to_string();
        assert!(errors.starts_with("cedar.inline: inline:") && errors.contains(fault), "{bad}: {errors}");
    }
}

#[test]
fn schema_entities_and_routes_must_go_together() {
    let permit = "permit(principal, action, resource);";
    for (files, place) in [
        (&[("schema.cedarschema", "entity User in [Role];")][..], "cedar.schema: "),
        (&[("schema.cedarschema", "entity Person;")], "cedar.schema: it has no entity type `User`"),
        (&[("schema.cedarschema", "entity User\nentity")], "schema.cedarschema:2:1: "),
        (&[("schema.json", "{")], "cedar.schema: "),
        (&[("entities.json", "[{]")], "cedar.entities: "),
        (
            &[
                ("schema.cedarschema", SCHEMA),
                (
                    "entities.json",
                    "[{ \"uid\": { \"type\": \"Doc\", \"id\": \"7\" },
            \"attrs\": { \"department\": 3 }, \"parents\": [] }]",
                ),
            ],
            "cedar.entities: ",
        ),
    ] {
        let (_dir, section) = section(permit, files);
        let errors = decider(&section).err().expect(place).to_string();
        assert!(errors.contains(place), "{place} is missing:\n{errors}");
    }
    let (_dir, section) = section(permit, &[("schema.cedarschema", SCHEMA)]);
    let require = "{ cedar: { resource: '{x}', attributes: { a: '{' } }, actions: { GET: read } }";
    let errors = rules(&section, require, &[]).expect_err("bad").to_string();
    assert!(errors.contains("cedar.resource: no path parameter is called `x`"), "{errors}");
    assert!(errors.contains("cedar.attributes.a: `{` without the other"), "{errors}");
    let require = "{ cedar: {}, actions: { GET: read } }";
    let errors = rules(&section, require, &[]).expect_err("bad").to_string();
    assert!(errors.contains("cedar.resource_type: the schema has no entity type `Route`"), "{errors}");
    assert!(errors.contains("actions.GET: the schema has no Action::\"read\""), "{errors}");
    assert!(errors.contains("it has: Action::\"get\", Action::\"remove\""), "{errors}");
    let errors = rules(&section, "{ cedar: { resource_type: 'a b' } }", &[]).expect_err("bad").to_string();
    assert!(errors.contains("cedar.resource_type: \"a b\" is not the name of a type"), "{errors}");
}

#[test]
fn where_attributes_are_asked_for_is_not_for_clients_to_say() {
    let (_dir, section) = section("permit(principal, action, resource);", &[]);
    for (url, fault) in [
        ("http://{id}/x", "where the server's name does"),
        ("http://a{id}.test/x", "where the server's name does"),
        ("{id}", "cedar.fetch.url: "),
        ("ftp://a.test/{id}", "neither an http nor an https URL"),
        ("http://u:p@a.test/{id}", "no user, password"),
        ("http://a.test/{other}", "no path parameter is called `other`"),
    ] {
        let require = format!("{{ cedar: {{ fetch: {{ url: '{url}' }} }} }}");
        let errors = rules(&section, &require, &["id"]).expect_err(url).to_string();
        assert!(errors.contains(fault), "{url}: {errors}");
    }
}

#[test]
fn what_is_likely_a_mistake_in_policies_is_warned_about() {
    let policies = "@id(\"all\") permit(principal, action, resource);
        @id(\"slip\") permit(principal in Rol::\"admin\", action, resource);
        @id(\"when\") permit(principal, action, resource) when { context.time > 0 };
        @id(\"some\") permit(principal, action, resource is Doc);";
    let (_dir, text) = section(policies, &[]);
    let decider = decider(&text).expect("good");
    let policy = serde_yaml::from_str::<crate::config::Policy>("{ require: { cedar: {} } }").expect("a policy");
    decider.rules(&policy.require, &crate::decide::tests::route(&[])).expect("rules");
    assert_eq!(
        decider.warnings().to_string(),
        "cedar.inline: inline: policy `all` permits everything to everybody
help: say to whom, what, or when: permit(principal in Role::\"admin\", action, resource);
cedar.inline: inline: policy `slip` speaks of `Rol`, and nothing is of that type
help: principals are `User`s in `Role`s; resources are of the type that routes name, else `Route`"
    );
}

#[test]
fn policies_that_nobody_asks_or_that_permit_nothing_are_warned_about() {
    let (_dir, text) = section("forbid(principal, action, resource);", &[]);
    let warnings = decider(&text).expect("good").warnings().to_string();
    assert!(warnings.contains("cedar: no policy permits anything"), "{warnings}");
    assert!(warnings.contains("cedar: no route asks these policies"), "{warnings}");
}
