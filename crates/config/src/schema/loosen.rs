//! `port: ${PORT}` is right, though it is a string: an editor must not mark it as an error.

use serde_json::{Map, Value, json};

/// What stays outside when a schema becomes one of two alternatives.
const ANNOTATIONS: [&str; 5] = ["title", "description", "default", "examples", "deprecated"];
const VARIABLE: &str = "\\$\\{";

/// Lets every scalar that is not free text be written with a variable in it, too.
pub(super) fn allow_variables(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            // What `properties` and the like hold are names, not keywords.
            for (keyword, value) in object.iter_mut() {
                match keyword.as_str() {
                    "properties" | "$defs" | "patternProperties" => each(value, allow_variables),
                    "default" | "examples" | "enum" | "const" | "required" => {}
                    _ => allow_variables(value),
                }
            }
            if is_strict_scalar(object) {
                loosen(object);
            }
        }
        Value::Array(schemas) => schemas.iter_mut().for_each(allow_variables),
        _ => {}
    }
}

fn each(value: &mut Value, change: fn(&mut Value)) {
    if let Value::Object(object) = value {
        object.values_mut().for_each(change);
    }
}

fn is_strict_scalar(object: &Map<String, Value>) -> bool {
    let is = |name: &str| match object.get("type") {
        Some(Value::String(one)) => one == name,
        Some(Value::Array(any)) => any.iter().any(|one| one == name),
        _ => false,
    };
    let strict_string = ["pattern", "enum", "const", "maxLength", "format"].iter().any(|k| object.contains_key(*k));
    is("integer") || is("number") || is("boolean") || (is("string") && strict_string)
}

fn loosen(object: &mut Map<String, Value>) {
    let strict = std::mem::take(object);
    let (outside, inside): (Map<_, _>, Map<_, _>) =
        strict.into_iter().partition(|(keyword, _)| ANNOTATIONS.contains(&keyword.as_str()));
    *object = outside;
    object.insert("anyOf".into(), json!([inside, { "type": "string", "pattern": VARIABLE }]));
}
