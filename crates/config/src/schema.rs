//! One JSON Schema (draft 2020-12) of the whole file, made of the schemas of its sections.

use schemars::Schema;
use serde_json::{Map, Value, json};

mod loosen;
mod merge;

use merge::Definitions;

/// A schema that is being put together.
///
/// ```
/// use tidegate_config::schema::Assembly;
///
/// let mut assembly = Assembly::new();
/// assembly.section("threads", schemars::schema_for!(u16), true);
/// let schema = assembly.finish("Tidegate", "The configuration of Tidegate.");
/// assert_eq!(schema["required"], serde_json::json!(["threads"]));
/// assert_eq!(schema["additionalProperties"], false);
/// ```
#[derive(Default)]
pub struct Assembly {
    properties: Map<String, Value>,
    required: Vec<Value>,
    definitions: Definitions,
}

impl Assembly {
    /// The schema of a file that may only have an `include`.
    pub fn new() -> Self {
        let mut assembly = Self::default();
        assembly.properties.insert(crate::include::INCLUDE.into(), include_schema());
        assembly
    }

    /// Adds a top-level key.
    pub fn section(&mut self, name: &str, schema: Schema, required: bool) {
        let schema = self.embed(name, schema);
        self.properties.insert(name.into(), schema);
        if required {
            self.required.push(name.into());
        }
    }

    /// Takes the definitions of `schema` in, and returns what is left of it, to be put wherever it belongs.
    ///
    /// Definitions of the same name and different content get `owner.` put before theirs.
    pub fn embed(&mut self, owner: &str, schema: Schema) -> Value {
        self.definitions.take_in(owner, schema.to_value())
    }

    /// The schema of a key, to be changed: the policies of plugins belong into that of the router.
    pub fn section_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.properties.get_mut(name)
    }

    /// The definition of this name, to be changed.
    pub fn definition_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.definitions.get_mut(name)
    }

    /// The whole schema. A value that isn't a string may also be written as `${VAR}`.
    pub fn finish(self, title: &str, description: &str) -> Value {
        let mut schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": title,
            "description": description,
            "type": "object",
            "properties": self.properties,
            "required": self.required,
            "additionalProperties": false,
            "$defs": self.definitions.into_sorted(),
        });
        loosen::allow_variables(&mut schema);
        schema
    }
}

fn include_schema() -> Value {
    json!({
        "description": "More files to read along, relative to this one. Maps merge by key, lists follow one another in order; anything else may be set in one file only.",
        "type": "array",
        "items": { "type": "string" },
        "examples": [["routes/users.yaml"]],
    })
}

/// The schema of a file with these sections: name, schema, and whether it must be there.
pub fn assemble<'n>(
    title: &str,
    description: &str,
    sections: impl IntoIterator<Item = (&'n str, Schema, bool)>,
) -> Value {
    let mut assembly = Assembly::new();
    for (name, schema, required) in sections {
        assembly.section(name, schema, required);
    }
    assembly.finish(title, description)
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemars::{JsonSchema, schema_for};
    use tidegate_core::config::{Duration, Secret};

    mod one {
        /// How one does it.
        #[derive(schemars::JsonSchema)]
        #[expect(dead_code, reason = "only its schema matters")]
        pub(super) struct Policy {
            /// How long.
            wait: super::Duration,
        }
    }

    mod two {
        /// How the other does it.
        #[derive(schemars::JsonSchema)]
        #[expect(dead_code, reason = "only its schema matters")]
        pub(super) struct Policy {
            /// How secretly.
            token: super::Secret,
            wait: super::Duration,
        }
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    struct Section<P> {
        policies: Vec<P>,
        port: u16,
    }

    fn whole() -> Value {
        let sections =
            [("one", schema_for!(Section<one::Policy>), true), ("two", schema_for!(Section<two::Policy>), false)];
        assemble("T", "D", sections)
    }

    #[test]
    fn equal_definitions_are_shared_and_different_ones_keep_apart() {
        let schema = whole();
        let names: Vec<_> = schema["$defs"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(names, ["Duration", "Policy", "Secret", "two.Policy"]);
        let one = &schema["properties"]["one"]["properties"]["policies"]["items"]["$ref"];
        let two = &schema["properties"]["two"]["properties"]["policies"]["items"]["$ref"];
        assert_eq!((one, two), (&json!("#/$defs/Policy"), &json!("#/$defs/two.Policy")));
        assert_eq!(schema["$defs"]["two.Policy"]["description"], "How the other does it.");
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn check(value: &Value, definitions: &Map<String, Value>) {
            match value {
                Value::Object(object) => {
                    if let Some(Value::String(reference)) = object.get("$ref") {
                        let name = reference.strip_prefix("#/$defs/").unwrap();
                        assert!(definitions.contains_key(name), "{reference}");
                    }
                    object.values().for_each(|value| check(value, definitions));
                }
                Value::Array(values) => values.iter().for_each(|value| check(value, definitions)),
                _ => {}
            }
        }
        let schema = whole();
        check(&schema, schema["$defs"].as_object().unwrap());
    }

    #[test]
    fn the_top_of_the_file_is_closed() {
        let schema = whole();
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["required"], json!(["one"]));
        assert_eq!(schema["properties"]["include"]["type"], "array");
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    }

    #[test]
    fn a_number_may_be_a_variable() {
        let port = &whole()["properties"]["one"]["properties"]["port"];
        assert_eq!(port["anyOf"][0]["type"], "integer");
        assert_eq!(port["anyOf"][1]["pattern"], "\\$\\{");
    }
}
