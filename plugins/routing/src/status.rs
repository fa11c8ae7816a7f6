//! Status codes of the configuration.

use std::borrow::Cow;

use http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// A status code of a final answer: 200 to 599.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(StatusCode);

impl Status {
    /// `None` for what is no status of a final answer.
    pub fn new(code: u16) -> Option<Self> {
        (200..600).contains(&code).then(|| StatusCode::from_u16(code).ok().map(Self)).flatten()
    }

    /// As `http` has it.
    pub fn get(self) -> StatusCode {
        self.0
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = u16::deserialize(deserializer)?;
        Self::new(code).ok_or_else(|| de::Error::custom("a status is a number from 200 to 599"))
    }
}

impl JsonSchema for Status {
    fn schema_name() -> Cow<'static, str> {
        "Status".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 200, "maximum": 599, "description": "A status code." })
    }
}
