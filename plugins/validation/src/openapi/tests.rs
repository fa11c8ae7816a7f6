use serde_json::json;

use super::*;

fn document(paths: Value) -> Value {
    json!({ "openapi": "3.1.0", "servers": [{ "url": "https://api.test/v1" }], "paths": paths })
}

fn found(document: &Document, method: &Method, path: &str) -> String {
    match document.find(method, path) {
        Found::Operation(operation, captured) => format!("{} {captured:?}", operation.parameters.query.len()),
        Found::Method(allowed) => format!("{allowed:?}"),
        Found::Nothing => "nothing".to_owned(),
    }
}

#[test]
fn operations_are_found_by_method_and_path() {
    let marked = |count: usize| {
        let parameters: Vec<_> = (0..count).map(|nth| json!({ "in": "query", "name": nth.to_string() })).collect();
        json!({ "parameters": parameters })
    };
    let paths = json!({
        "/users/{id}": { "get": marked(1), "delete": marked(2) },
        "/users/me": { "get": marked(3) },
        "/": { "get": marked(4) },
        "x-own": 7
    });
    let document = Document::read(document(paths), None).expect("read");
    assert_eq!(document.len(), 4);
    for (method, path, expected) in [
        (Method::GET, "/v1/users/7", "1 [(\"id\", \"7\")]"),
        (Method::HEAD, "/v1/users/7", "1 [(\"id\", \"7\")]"),
        (Method::DELETE, "/v1/users/me", "2 [(\"id\", \"me\")]"),
        (Method::GET, "/v1/users/me", "3 []"),
        (Method::GET, "/v1/users/m%65", "3 []"),
        (Method::GET, "/v1/", "4 []"),
        (Method::POST, "/v1/users/7", "Some(\"DELETE, GET\")"),
        (Method::GET, "/v1/users", "nothing"),
        (Method::GET, "/v1/users/", "nothing"),
        (Method::GET, "/v1/users/7/", "nothing"),
        (Method::GET, "/v1", "nothing"),
        (Method::GET, "/users/7", "nothing"),
        (Method::GET, "/v12/users/7", "nothing"),
    ] {
        assert_eq!(found(&document, &method, path), expected, "{method} {path}");
    }
}

#[test]
fn the_base_is_that_of_the_first_server_unless_it_is_said() {
    let paths = json!({ "/a": { "get": {} } });
    for (url, base, path) in [
        ("https://api.test", None, "/a"),
        ("https://api.test/", None, "/a"),
        ("/v2/", None, "/v2/a"),
        ("https://{host}/v3", None, "/v3/a"),
        ("https://api.test/{version}", Some("/v4"), "/v4/a"),
        ("https://api.test/v1", Some("/"), "/a"),
    ] {
        let document = json!({ "openapi": "3.0.3", "servers": [{ "url": url }], "paths": paths });
        let document = Document::read(document, base).expect("read");
        assert_eq!(found(&document, &Method::GET, path), "0 []", "{url}");
    }
    let document = json!({ "openapi": "3.0.3", "servers": [{ "url": "/{version}" }], "paths": paths });
    assert!(Document::read(document, None).is_err());
}

#[test]
fn what_can_not_be_used_is_refused_with_its_place() {
    let body = |schema: Value| json!({ "/a/{id}": { "post": { "requestBody": { "content": { "application/json": { "schema": schema } } } } } });
    for (paths, error) in [
        (json!({}), "it has no paths"),
        (body(json!({ "$ref": "other.yaml#/X" })), "/a/{id}: post: not a JSON Schema that can be used"),
        (body(json!({ "$ref": "https://other.test/X" })), "/a/{id}: post: not a JSON Schema that can be used"),
        (body(json!({ "$ref": "#/components/schemas/Missing" })), "/a/{id}: post: not a JSON Schema that can be used"),
        (body(json!({ "type": "strin" })), "/a/{id}: post: not a JSON Schema that can be used"),
        (body(json!({ "pattern": "(?=x)" })), "/a/{id}: post: not a JSON Schema that can be used"),
        (json!({ "/a": { "post": { "requestBody": { "$ref": "other.yaml" } } } }), "refers to another document"),
        (json!({ "/a": { "get": { "parameters": [{ "$ref": "#/components/x" }] } } }), "which isn't there"),
        (json!({ "/a": { "get": { "parameters": [{ "name": "x", "in": "body" }] } } }), "neither in query"),
        (
            json!({ "/a": { "get": { "parameters": [{ "name": "x", "in": "path" }] } } }),
            "its path has no parameter `x`",
        ),
        (json!({ "/{a}{b}": { "get": {} } }), "one parameter at most"),
        (json!({ "/a": { "$ref": "#/paths/~1a" } }), "a reference leads to another one"),
    ] {
        let refused = Document::read(document(paths.clone()), None).map(drop).expect_err(error);
        assert!(refused.message.contains(error), "{refused}");
    }
}
