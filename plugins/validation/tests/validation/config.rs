//! What is refused when the configuration is read.

use super::*;

fn refused(section: &str, policy: &str) -> String {
    let yaml = format!(
        "validation: {section}\nrouting: {{ routes: [{{ name: app, match: {{ path: \"/a/{{id}}\" }}, \
         reply: {{ body: x }}, plugins: {{ validation: {policy} }} }}] }}\n"
    );
    builder().check(&yaml).expect_err("it is refused")
}

#[test]
fn what_can_not_work_is_refused_with_its_place() {
    for (policy, expected) in [
        ("{ max_body: 65MiB }", "must be from 1B to 64MiB"),
        ("{ max_body: 0B }", "must be from 1B to 64MiB"),
        ("{ max_depth: 101 }", "must be from 1 to 100"),
        ("{ mode: maybe }", "mode"),
        ("{ body: { content_types: [json] } }", "no media type"),
        ("{ body: { content_types: [] } }", "a body has a type"),
        ("{ body: { json_schema: { inline: { type: strin } } } }", "not a JSON Schema that can be used"),
        (
            "{ body: { json_schema: { inline: { \"$ref\": \"https://other.test/x.json\" } } } }",
            "not a JSON Schema that can be used",
        ),
        (
            "{ body: { json_schema: { inline: { \"$ref\": \"file:///etc/hostname\" } } } }",
            "not a JSON Schema that can be used",
        ),
        ("{ body: { json_schema: { inline: { pattern: \"(a)\\\\1\" } } } }", "not a JSON Schema that can be used"),
        ("{ body: { json_schema: { inline: 7 } } }", "a JSON Schema is an object"),
        ("{ body: { json_schema: { file: not-there.json } } }", "can't read not-there.json"),
        ("{ openapi: { file: not-there.yaml } }", "can't read not-there.yaml"),
        ("{ openapi: { file: not-there.yaml }, body: {} }", "the OpenAPI document says what a body must be"),
        ("{ query: [{ name: a }, { name: a }] }", "listed twice"),
        ("{ headers: [{ name: X-A }, { name: x-a }] }", "listed twice"),
        ("{ headers: [{ name: \"a b\" }] }", "no name of a header field"),
        ("{ query: [{ name: a, min: 1 }] }", "says nothing of a parameter of this type"),
        ("{ query: [{ name: a, pattern: \"(\" }] }", "not a JSON Schema that can be used"),
    ] {
        let error = refused("{}", policy);
        assert!(error.contains(expected), "{policy}: {error}");
    }
    assert!(refused("{ status: 500 }", "{}").contains("must be 400 or 422"));
    assert!(refused("{ max_errors: 0 }", "{}").contains("must be from 1 to 100"));
}

#[test]
fn a_parameter_of_the_path_must_be_one() {
    let builder = tidegate_testkit::gateway().router::<crate::shops::Shops>().plugin::<Validation>();
    let check = |name: &str| {
        builder.check(&format!("routing: {{ plugins: {{ validation: {{ path: [{{ name: {name} }}] }} }} }}\n"))
    };
    check("shop").expect("good");
    let error = check("shops").expect_err("unknown");
    assert!(error.contains("did you mean `shop`?"), "{error}");
}

#[test]
fn a_schema_is_read_from_json_and_from_yaml() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [("a.json", "{\"type\":\"object\"}"), ("a.yaml", "type: object\n")] {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("written");
        let yaml = format!(
            "routing: {{ routes: [{{ name: app, reply: {{ body: x }}, plugins: {{ validation: {{ body: {{ json_schema: \
             {{ file: {file:?} }} }} }} }} }}] }}\n"
        );
        builder().check(&yaml).expect("good");
    }
}
