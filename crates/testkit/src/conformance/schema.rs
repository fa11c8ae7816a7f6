//! What a JSON Schema tells of the type it was made from.

use serde_json::{Map, Value as Json};

/// Paths of properties that have no description.
pub(super) fn undocumented(root: &Json) -> Vec<String> {
    let mut silent = Vec::new();
    walk(root, "", &mut |path, schema| {
        let Some(properties) = schema.get("properties").and_then(Json::as_object) else { return };
        // A variant with content is an object with one key, and its doc comment stands on the object.
        let variant = properties.len() == 1 && schema.contains_key("required") && schema.contains_key("description");
        let silent_ones = properties.iter().filter(|(_, property)| !variant && property.get("description").is_none());
        silent.extend(silent_ones.map(|(name, _)| format!("{path}.{name}")));
    });
    silent
}

/// Paths of objects with named properties that take others, too.
pub(super) fn open_objects(root: &Json) -> Vec<String> {
    let mut open = Vec::new();
    walk(root, "", &mut |path, schema| {
        let named = schema.get("properties").and_then(Json::as_object).is_some_and(|properties| !properties.is_empty());
        let closed = schema.get("additionalProperties") == Some(&Json::Bool(false))
            || schema.get("unevaluatedProperties") == Some(&Json::Bool(false));
        if named && !closed {
            open.push(if path.is_empty() { "(the whole)".to_owned() } else { path.to_owned() });
        }
    });
    open
}

/// Visits every schema in `schema`, definitions included, each where it stands.
fn walk(schema: &Json, path: &str, visit: &mut impl FnMut(&str, &Map<String, Json>)) {
    let Some(map) = schema.as_object() else { return };
    visit(path, map);
    for key in ["properties", "$defs", "patternProperties"] {
        for (name, inner) in map.get(key).and_then(Json::as_object).into_iter().flatten() {
            walk(inner, &format!("{path}.{name}"), visit);
        }
    }
    for key in ["oneOf", "anyOf", "allOf", "prefixItems"] {
        for inner in map.get(key).and_then(Json::as_array).into_iter().flatten() {
            walk(inner, path, visit);
        }
    }
    for (key, step) in [("items", "[]"), ("additionalProperties", ".*")] {
        if let Some(inner) = map.get(key) {
            walk(inner, &format!("{path}{step}"), visit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::schema_of;
    use schemars::JsonSchema;
    use std::collections::BTreeMap;

    #[derive(JsonSchema, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "its schema is what counts")]
    struct Good {
        /// Said.
        a: u8,
        /// Said.
        inner: Option<Inner>,
        /// Said.
        map: BTreeMap<String, Inner>,
        /// Said.
        either: Either,
    }

    #[derive(JsonSchema, serde::Deserialize)]
    #[expect(dead_code, reason = "its schema is what counts")]
    struct Inner {
        silent: u8,
    }

    #[derive(JsonSchema, serde::Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "snake_case")]
    #[expect(dead_code, reason = "its schema is what counts")]
    enum Either {
        /// Said.
        This(u8),
        That {
            unsaid: u8,
        },
    }

    #[test]
    fn silent_fields_and_open_objects_are_found_however_deep() {
        let schema = schema_of::<Good>();
        let mut silent = undocumented(&schema);
        silent.sort();
        assert_eq!(silent, [".Either.that", ".Either.that.unsaid", ".Inner.silent"]);
        assert_eq!(open_objects(&schema), [".Inner"]);
    }
}
