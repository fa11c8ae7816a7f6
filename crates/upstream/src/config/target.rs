//! A target, as people write it: an address, or a map.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize as DeserializeFields;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

/// A server: its address, or `{ address, weight, zone, priority, max_in_flight }`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TargetConfig {
    /// `host:port` or `unix:/path`.
    pub address: String,
    /// Its share of the requests, relative to the other targets' weights.
    pub weight: u32,
    /// Where it is, for `lb.zone_aware`.
    pub zone: Option<String>,
    /// Its tier: those of a higher number serve only while none of a lower one is usable.
    pub priority: u32,
    /// The most requests in flight on it; one that is full is passed over.
    pub max_in_flight: Option<u32>,
}

/// A server and its share of the requests.
#[derive(DeserializeFields, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TargetFields {
    /// `host:port` or `unix:/path`.
    address: String,
    /// The target's share of the requests, relative to the other targets' weights; each address of a name has this
    /// weight. From 1 to 256. Default: 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 256))]
    weight: u32,
    /// The zone that the target is in, for `lb.zone_aware`. Default: none.
    #[serde(default)]
    zone: Option<String>,
    /// The target's tier: targets of a higher number serve only while none of a lower one is usable. From 0 to 15.
    /// Default: 0.
    #[serde(default)]
    #[schemars(range(max = 15))]
    priority: u32,
    /// The most requests in flight on it at a time; a target that is full is passed over. Default:
    /// `limits.per_target`.
    #[serde(default)]
    #[schemars(range(min = 1))]
    max_in_flight: Option<u32>,
}

fn one() -> u32 {
    1
}

impl<'de> Deserialize<'de> for TargetConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TargetVisitor)
    }
}

struct TargetVisitor;

impl<'de> Visitor<'de> for TargetVisitor {
    type Value = TargetConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address, or { address, weight, zone, priority, max_in_flight }")
    }

    fn visit_str<E: de::Error>(self, address: &str) -> Result<TargetConfig, E> {
        Ok(TargetConfig { address: address.to_owned(), weight: one(), ..TargetConfig::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TargetConfig, A::Error> {
        let TargetFields { address, weight, zone, priority, max_in_flight } =
            TargetFields::deserialize(MapAccessDeserializer::new(map))?;
        Ok(TargetConfig { address, weight, zone, priority, max_in_flight })
    }
}

impl JsonSchema for TargetConfig {
    fn schema_name() -> Cow<'static, str> {
        "Target".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A server: its address, or `{ address, weight, zone, priority, max_in_flight }`.",
            "anyOf": [
                { "type": "string", "examples": ["10.0.0.1:3000", "users.internal:3002", "unix:/run/app.sock"] },
                generator.subschema_for::<TargetFields>(),
            ],
        })
    }
}
