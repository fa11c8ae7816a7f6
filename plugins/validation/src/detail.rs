//! What a schema says of a value, in words. The schema's own limits are told, the value never is.

use std::borrow::Cow;

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::{JsonType, ValidationError};

use crate::fault::{At, Fault, member};

/// Adds what an error stands for: a missing member is at fault itself, not the object that lacks it.
pub(crate) fn faults_of(error: &ValidationError<'_>, faults: &mut Vec<Fault>) {
    let at = error.instance_path().as_str();
    let of = |name: &str| At::Body(member(at, name));
    match error.kind() {
        Kind::Required { property } => {
            faults.push(Fault::new(of(property.as_str().unwrap_or_default()), "it is missing"));
        }
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            faults.extend(unexpected.iter().take(100).map(|name| Fault::new(of(name), "there is no such member")));
        }
        kind => faults.push(Fault::new(At::Body(at.to_owned()), detail(kind))),
    }
}

fn detail(kind: &Kind) -> Cow<'static, str> {
    match kind {
        Kind::Type { kind } => must_be(kind).into(),
        Kind::MinLength { limit } => format!("it must have at least {limit} characters").into(),
        Kind::MaxLength { limit } => format!("it must have at most {limit} characters").into(),
        Kind::Minimum { limit } => format!("it must be at least {limit}").into(),
        Kind::Maximum { limit } => format!("it must be at most {limit}").into(),
        Kind::ExclusiveMinimum { limit } => format!("it must be more than {limit}").into(),
        Kind::ExclusiveMaximum { limit } => format!("it must be less than {limit}").into(),
        Kind::MultipleOf { multiple_of } => format!("it must be a multiple of {multiple_of}").into(),
        Kind::MinItems { limit } => format!("it must have at least {limit} items").into(),
        Kind::MaxItems { limit } => format!("it must have at most {limit} items").into(),
        Kind::AdditionalItems { limit } => format!("it must have at most {limit} items").into(),
        Kind::MinProperties { limit } => format!("it must have at least {limit} members").into(),
        Kind::MaxProperties { limit } => format!("it must have at most {limit} members").into(),
        Kind::Format { format } => format!("it is no valid {format}").into(),
        Kind::Pattern { .. } => "it does not have the form that it must have".into(),
        Kind::Enum { .. } => "it is none of the values that it may have".into(),
        Kind::Constant { .. } => "it is not the one value that it may have".into(),
        Kind::UniqueItems => "it has an item twice".into(),
        Kind::Contains => "it lacks an item that it must have".into(),
        Kind::FalseSchema => "it must not be there".into(),
        Kind::UnevaluatedItems { .. } => "it has items that it may not have".into(),
        Kind::PropertyNames { .. } => "it has a member whose name is not allowed".into(),
        Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } => "it has none of the forms that it may have".into(),
        Kind::OneOfMultipleValid { .. } => "it has several of the forms of which it may have one".into(),
        Kind::Not { .. } => "it has a form that it may not have".into(),
        _ => "it is not what it must be".into(),
    }
}

fn must_be(kind: &TypeKind) -> String {
    let mut names: Vec<&str> = match kind {
        TypeKind::Single(one) => vec![named(*one)],
        TypeKind::Multiple(several) => several.iter().map(named).collect(),
    };
    // What is usual first.
    names.sort_by_key(|name| *name == "null");
    ["it must be ", &names.join(" or ")].concat()
}

fn named(kind: JsonType) -> &'static str {
    match kind {
        JsonType::Array => "an array",
        JsonType::Boolean => "true or false",
        JsonType::Integer => "a whole number",
        JsonType::Null => "null",
        JsonType::Number => "a number",
        JsonType::Object => "an object",
        JsonType::String => "a string",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::config::Schema as Config;
    use crate::schema::Schema;

    fn faults(schema: Value, value: Value) -> Vec<String> {
        let schema = Schema::build(&Config::Inline(schema)).expect("a schema");
        schema.faults(&value, 0, 100).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn faults_are_told_in_words_and_by_pointers() {
        let schema = json!({
            "type": "object",
            "required": ["name", "email"],
            "additionalProperties": false,
            "properties": {
                "name": { "type": "string", "minLength": 3, "maxLength": 5 },
                "email": { "type": "string", "format": "email" },
                "age": { "type": ["integer", "null"], "minimum": 18 },
                "tags": { "type": "array", "items": { "enum": ["a", "b"] }, "uniqueItems": true, "maxItems": 2 },
                "code": { "pattern": "^[A-Z]+$" }
            }
        });
        assert!(faults(schema.clone(), json!({ "name": "Anna", "email": "a@b.test", "age": null })).is_empty());
        let mut found =
            faults(schema.clone(), json!({ "age": 17, "x/y": 1, "tags": ["a", "c", "a"], "code": "hunter2" }));
        found.sort();
        assert_eq!(
            found,
            [
                "/age: it must be at least 18",
                "/code: it does not have the form that it must have",
                "/email: it is missing",
                "/name: it is missing",
                "/tags/1: it is none of the values that it may have",
                "/tags: it has an item twice",
                "/tags: it must have at most 2 items",
                "/x~1y: there is no such member",
            ]
        );
        let mut found = faults(schema.clone(), json!({ "name": "An", "email": "hunter2", "age": "hunter2" }));
        found.sort();
        assert_eq!(
            found,
            [
                "/age: it must be a whole number or null",
                "/email: it is no valid email",
                "/name: it must have at least 3 characters",
            ]
        );
        assert_eq!(faults(schema, json!([])), ["the body: it must be an object"]);
        assert_eq!(faults(json!(false), json!(1)), ["the body: it must not be there"]);
    }

    #[test]
    fn no_kind_of_error_tells_the_value() {
        let value = json!("hunter2");
        for schema in [
            json!({ "type": "integer" }),
            json!({ "const": 1 }),
            json!({ "enum": [1, 2] }),
            json!({ "pattern": "^x" }),
            json!({ "format": "uuid" }),
            json!({ "maxLength": 1 }),
            json!({ "minLength": 100 }),
            json!({ "not": { "type": "string" } }),
            json!({ "anyOf": [{ "type": "integer" }, { "maxLength": 1 }] }),
            json!({ "oneOf": [{ "type": "string" }, { "minLength": 1 }] }),
            json!({ "oneOf": [{ "type": "integer" }] }),
            json!({ "$ref": "#/$defs/a", "$defs": { "a": { "type": "null" } } }),
        ] {
            let found = faults(schema.clone(), value.clone());
            assert!(!found.is_empty() && !found.concat().contains("hunter2"), "{schema}: {found:?}");
        }
        let found = faults(json!({ "items": { "type": "integer" }, "contains": { "const": 7 } }), json!(["hunter2"]));
        assert!(found.len() == 2 && !found.concat().contains("hunter2"), "{found:?}");
        let found = faults(json!({ "propertyNames": { "maxLength": 2 }, "minProperties": 2 }), json!({ "abc": 1 }));
        assert_eq!(found.len(), 2);
    }
}
