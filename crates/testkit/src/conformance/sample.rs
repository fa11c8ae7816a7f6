//! Values that fit a schema.

use serde_json::{Map, Value as Json, json};

/// Deeper than any configuration of ours; types may contain themselves.
const DEEPEST: usize = 12;

/// Values that each have one secret in them, which is `canary`: together, every secret of the schema.
pub(super) fn with_secret(root: &Json, canary: &str) -> Vec<Json> {
    Sampler { root, canary }.secrets(root, 0)
}

struct Sampler<'a> {
    root: &'a Json,
    canary: &'a str,
}

impl Sampler<'_> {
    fn secrets(&self, schema: &Json, depth: usize) -> Vec<Json> {
        let schema = self.resolve(schema);
        let Some(map) = schema.as_object().filter(|_| depth < DEEPEST) else { return Vec::new() };
        if map.get("writeOnly") == Some(&Json::Bool(true)) {
            return vec![json!(self.canary)];
        }
        let mut found = Vec::new();
        for (name, property) in map.get("properties").and_then(Json::as_object).into_iter().flatten() {
            let inner = self.secrets(property, depth + 1);
            found.extend(inner.into_iter().map(|value| self.object_with(map, name, value, depth)));
        }
        for key in ["oneOf", "anyOf", "allOf"] {
            let inner = map.get(key).and_then(Json::as_array).into_iter().flatten();
            found.extend(inner.flat_map(|schema| self.secrets(schema, depth + 1)));
        }
        if let Some(items) = map.get("items") {
            found.extend(self.secrets(items, depth + 1).into_iter().map(|value| json!([value])));
        }
        if let Some(values) = map.get("additionalProperties") {
            found.extend(self.secrets(values, depth + 1).into_iter().map(|value| json!({ "example": value })));
        }
        found
    }

    /// The smallest object of the schema in which `name` has this value.
    fn object_with(&self, schema: &Map<String, Json>, name: &str, value: Json, depth: usize) -> Json {
        let mut object = self.smallest(schema, depth);
        object.insert(name.to_owned(), value);
        Json::Object(object)
    }

    fn smallest(&self, schema: &Map<String, Json>, depth: usize) -> Map<String, Json> {
        let required = schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
        let sample = |name: &str| {
            let property = schema.get("properties").and_then(|properties| properties.get(name));
            property.map_or(Json::Null, |property| self.sample(property, depth + 1))
        };
        required.map(|name| (name.to_owned(), sample(name))).collect()
    }

    fn sample(&self, schema: &Json, depth: usize) -> Json {
        let schema = self.resolve(schema);
        let Some(map) = schema.as_object().filter(|_| depth < DEEPEST) else { return Json::Null };
        if let Some(value) = map.get("const").or_else(|| first(map, "examples")).or_else(|| first(map, "enum")) {
            return value.clone();
        }
        for key in ["oneOf", "anyOf", "allOf"] {
            if let Some(inner) = first(map, key) {
                return self.sample(inner, depth + 1);
            }
        }
        let kind = match map.get("type") {
            Some(Json::Array(kinds)) => kinds.first(),
            kind => kind,
        };
        match kind.and_then(Json::as_str) {
            Some("object") => Json::Object(self.smallest(map, depth)),
            Some("array") => json!([]),
            Some("integer" | "number") => map.get("minimum").cloned().unwrap_or(json!(1)),
            Some("boolean") => json!(true),
            Some("null") => Json::Null,
            _ => json!("example"),
        }
    }

    fn resolve<'a>(&'a self, schema: &'a Json) -> &'a Json {
        let pointer = schema.get("$ref").and_then(Json::as_str).and_then(|reference| reference.strip_prefix('#'));
        pointer.and_then(|pointer| self.root.pointer(pointer)).unwrap_or(schema)
    }
}

fn first<'a>(map: &'a Map<String, Json>, key: &str) -> Option<&'a Json> {
    map.get(key)?.as_array()?.first()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::schema_of;
    use schemars::JsonSchema;
    use tidegate_core::config::{Duration, Secret};

    #[derive(JsonSchema, serde::Deserialize)]
    #[expect(dead_code, reason = "its schema is what counts")]
    struct Keys {
        every: Duration,
        key: Option<Secret>,
        providers: Vec<Provider>,
        plain: Option<String>,
    }

    #[derive(JsonSchema, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    #[expect(dead_code, reason = "its schema is what counts")]
    enum Provider {
        Hmac { secret: Secret },
        Open,
    }

    #[test]
    fn every_secret_is_found_and_what_is_required_around_it() {
        let samples = with_secret(&schema_of::<Keys>(), "canary");
        let every = samples[0]["every"].as_str().expect("a duration").to_owned();
        assert_eq!(
            samples,
            [
                json!({ "every": every, "providers": [], "key": "canary" }),
                json!({ "every": every, "providers": [{ "hmac": { "secret": "canary" } }] }),
            ]
        );
    }
}
