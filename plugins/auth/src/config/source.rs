//! Where in a request a token is.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// A place in a request: exactly one of its fields.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "TokenSource")]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// `Authorization: Bearer …` (RFC 6750 section 2.1).
    Bearer(Yes),
    /// A header field of this name that has the token and nothing else.
    Header(String),
    /// A cookie of this name.
    Cookie(String),
    /// A parameter of the query (RFC 6750 section 2.3). Such tokens end up in logs and histories: for clients that can
    /// do nothing else, such as an `EventSource`. The gateway's own access log doesn't show it.
    Query(String),
}

/// `true`: the only thing there is to say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Yes;

impl<'de> Deserialize<'de> for Yes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match bool::deserialize(deserializer)? {
            true => Ok(Self),
            false => Err(serde::de::Error::custom("leave the source out instead")),
        }
    }
}

impl JsonSchema for Yes {
    fn schema_name() -> Cow<'static, str> {
        "Yes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "const": true })
    }
}
