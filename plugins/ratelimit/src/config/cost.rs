//! `cost:`, how much one request takes.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Unexpected, Visitor};
use tidegate_core::config::ByteSize;

use super::text::given;

/// How much one request takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cost {
    /// Always the same.
    Fixed(u64),
    /// By something of the request or of its answer.
    By(CostBy),
}

impl Default for Cost {
    fn default() -> Self {
        Self::Fixed(1)
    }
}

/// A cost that depends on the request or on its answer: one of `method`, `body` and `response_header`.
///
/// ```yaml
/// cost: { method: { POST: 5, OPTIONS: 0, otherwise: 1 } }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CostBy {
    /// By method, upper case: `{ POST: 5, OPTIONS: 0, otherwise: 1 }`. `otherwise` is for all others and is 1 where
    /// it is left out. 0 takes nothing, and passes only while something is left.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "BTreeMap<String, u64>")]
    pub method: Option<BTreeMap<String, u64>>,
    /// By the size of the request's body: 1 for each of this size, one that is only begun included, and at least 1.
    /// Taken at once by `Content-Length`; what was not announced is charged when the request is over. A request whose
    /// body costs more than the limit has room for is always refused.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "ByteSize")]
    pub body: Option<ByteSize>,
    /// By a field of the upstream's answer that holds a whole number: 1 is taken at first, the rest is charged when
    /// the answer is there, and may go beyond the limit: the next requests wait for it then. The field is removed
    /// from the answer. An answer without it costs 1.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub response_header: Option<String>,
    /// The most that `response_header` can cost, whatever the upstream says. Must be given with it.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "u64")]
    pub at_most: Option<u64>,
}

impl<'de> Deserialize<'de> for Cost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CostVisitor)
    }
}

struct CostVisitor;

impl<'de> Visitor<'de> for CostVisitor {
    type Value = Cost;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number or a map")
    }

    fn visit_u64<E: de::Error>(self, cost: u64) -> Result<Cost, E> {
        Ok(Cost::Fixed(cost))
    }

    fn visit_i64<E: de::Error>(self, cost: i64) -> Result<Cost, E> {
        u64::try_from(cost).map(Cost::Fixed).map_err(|_| E::invalid_value(Unexpected::Signed(cost), &self))
    }

    /// A number that comes out of an environment variable is a text.
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Cost, E> {
        text.parse().map(Cost::Fixed).map_err(|_| E::invalid_type(Unexpected::Str(text), &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Cost, A::Error> {
        CostBy::deserialize(MapAccessDeserializer::new(map)).map(Cost::By)
    }
}

impl JsonSchema for Cost {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Cost".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let by = generator.subschema_for::<CostBy>();
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 1 }, by] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_or_a_map_is_read() {
        let read = |json: &str| serde_json::from_str::<Cost>(json);
        assert_eq!(read("7").expect("valid"), Cost::Fixed(7));
        assert_eq!(read(r#""7""#).expect("valid"), Cost::Fixed(7));
        let by = read(r#"{ "response_header": "X-Cost", "at_most": 9 }"#).expect("valid");
        let expected = CostBy { response_header: Some("X-Cost".into()), at_most: Some(9), ..CostBy::default() };
        assert_eq!(by, Cost::By(expected));
        for bad in
            ["-1", "1.5", r#""many""#, "[]", r#"{ "methods": {} }"#, r#"{ "body": "10" }"#, r#"{ "body": null }"#]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
