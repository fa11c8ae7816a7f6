//! The schemas of a document as JSON Schema of draft 2020-12, for requests.

use serde_json::{Map, Value};
use tidegate_core::ConfigError;

/// Values of these keys are examples of data, and data is left alone.
const DATA: [&str; 5] = ["example", "examples", "default", "enum", "const"];
/// The keys of these are names.
const NAMED: [&str; 14] = [
    "properties",
    "patternProperties",
    "$defs",
    "definitions",
    "dependentSchemas",
    "schemas",
    "parameters",
    "requestBodies",
    "responses",
    "headers",
    "pathItems",
    "paths",
    "content",
    "callbacks",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V30,
    V31,
}

/// Rewrites what is said otherwise in OpenAPI than in JSON Schema.
pub(super) fn to_json_schema(document: &mut Value) -> Result<(), ConfigError> {
    let version = version(document)?;
    schemas(document, version);
    Ok(())
}

fn version(document: &Value) -> Result<Version, ConfigError> {
    let wrong = |what: &str| ConfigError::at("", what).help("documents of OpenAPI 3.0 and 3.1 can be read");
    let Some(says) = document.get("openapi").and_then(Value::as_str) else {
        return Err(wrong("not an OpenAPI document of version 3"));
    };
    let dialect = document.get("jsonSchemaDialect").and_then(Value::as_str);
    let known = |dialect: &str| {
        dialect.contains("json-schema.org/draft/2020-12") || dialect.contains("spec.openapis.org/oas/3.1")
    };
    if !dialect.is_none_or(known) {
        return Err(wrong("its schemas are of a dialect that can't be read (jsonSchemaDialect)"));
    }
    match says {
        says if says.starts_with("3.0.") => Ok(Version::V30),
        says if says.starts_with("3.1.") => Ok(Version::V31),
        _ => Err(wrong("a version of OpenAPI that can't be read")),
    }
}

fn schemas(value: &mut Value, version: Version) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| schemas(item, version)),
        Value::Object(members) => {
            one(members, version);
            for (key, member) in members.iter_mut().filter(|(key, _)| !DATA.contains(&key.as_str())) {
                match (NAMED.contains(&key.as_str()), member) {
                    (true, Value::Object(named)) => named.values_mut().for_each(|value| schemas(value, version)),
                    (_, member) => schemas(member, version),
                }
            }
        }
        _ => {}
    }
}

fn one(members: &mut Map<String, Value>, version: Version) {
    if version == Version::V30 {
        // What stands beside a reference is ignored (OpenAPI 3.0.4 section 4.7.23).
        if members.get("$ref").is_some_and(Value::is_string) {
            members.retain(|key, _| key == "$ref");
        }
        nullable(members);
        exclusive(members, "exclusiveMinimum", "minimum");
        exclusive(members, "exclusiveMaximum", "maximum");
    }
    // A client can't be required to send what only the server says (OpenAPI 3.1.1 section 4.8.24, readOnly).
    let read_only = |members: &Map<String, Value>, name: &Value| {
        let property = members.get("properties").zip(name.as_str()).and_then(|(all, name)| all.get(name));
        property.and_then(|property| property.get("readOnly")) == Some(&Value::Bool(true))
    };
    if let Some(Value::Array(required)) = members.get("required") {
        let kept = required.iter().filter(|name| !read_only(members, name)).cloned().collect();
        members.insert("required".to_owned(), Value::Array(kept));
    }
}

fn nullable(members: &mut Map<String, Value>) {
    if members.remove("nullable") != Some(Value::Bool(true)) {
        return;
    }
    if let Some(Value::String(kind)) = members.get("type") {
        let both = Value::from(vec![kind.as_str(), "null"]);
        members.insert("type".to_owned(), both);
    }
    if let Some(Value::Array(values)) = members.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
}

/// In version 3.0 a limit, and beside it whether it is excluded.
fn exclusive(members: &mut Map<String, Value>, key: &str, limit: &str) {
    match members.get(key) {
        Some(Value::Bool(true)) => match members.remove(limit) {
            Some(value) => drop(members.insert(key.to_owned(), value)),
            None => drop(members.remove(key)),
        },
        Some(Value::Bool(false)) => drop(members.remove(key)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rewritten(version: &str, schema: Value) -> Value {
        let mut document = json!({ "openapi": version, "components": { "schemas": { "X": schema } } });
        to_json_schema(&mut document).expect("read");
        document["components"]["schemas"]["X"].take()
    }

    #[test]
    fn schemas_of_3_0_become_json_schema() {
        for (schema, becomes) in [
            (json!({ "type": "string", "nullable": true }), json!({ "type": ["string", "null"] })),
            (json!({ "type": "string", "nullable": false }), json!({ "type": "string" })),
            (
                json!({ "type": "string", "nullable": true, "enum": ["a"] }),
                json!({ "type": ["string", "null"], "enum": ["a", null] }),
            ),
            (json!({ "minimum": 1, "exclusiveMinimum": true }), json!({ "exclusiveMinimum": 1 })),
            (json!({ "maximum": 1, "exclusiveMaximum": false }), json!({ "maximum": 1 })),
            (json!({ "$ref": "#/a", "type": "string" }), json!({ "$ref": "#/a" })),
            // Data is left alone, and names are names.
            (json!({ "example": { "nullable": true } }), json!({ "example": { "nullable": true } })),
            (
                json!({ "properties": { "enum": { "type": "string", "nullable": true } } }),
                json!({ "properties": { "enum": { "type": ["string", "null"] } } }),
            ),
        ] {
            assert_eq!(rewritten("3.0.3", schema.clone()), becomes, "{schema}");
        }
        let same = json!({ "$ref": "#/a", "type": ["string", "null"], "exclusiveMinimum": 1 });
        assert_eq!(rewritten("3.1.0", same.clone()), same);
    }

    #[test]
    fn clients_need_not_send_what_only_the_server_says() {
        let schema = json!({ "required": ["id", "name"], "properties": { "id": { "readOnly": true }, "name": {} } });
        assert_eq!(rewritten("3.1.0", schema)["required"], json!(["name"]));
    }

    #[test]
    fn other_documents_are_refused() {
        for document in [
            json!({ "swagger": "2.0" }),
            json!({ "openapi": "4.0.0" }),
            json!([]),
            json!({ "openapi": "3.1.0", "jsonSchemaDialect": "https://json-schema.org/draft-07/schema" }),
        ] {
            assert!(to_json_schema(&mut document.clone()).is_err(), "{document}");
        }
    }
}
