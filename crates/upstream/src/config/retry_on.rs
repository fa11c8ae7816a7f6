//! How reasons to try again are written.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::RetryOn;

/// The codes of gRPC that a server may answer, by their names (grpc.io/docs/guides/status-codes).
const GRPC: [&str; 17] = [
    "ok",
    "cancelled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
];

const WORDS: &str =
    "connect, refused_stream, reset, timeout, a status from 400 to 599, or grpc.unavailable and the like";

impl<'de> Deserialize<'de> for RetryOn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RetryOnVisitor)
    }
}

struct RetryOnVisitor;

impl Visitor<'_> for RetryOnVisitor {
    type Value = RetryOn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(WORDS)
    }

    fn visit_u64<E: de::Error>(self, status: u64) -> Result<RetryOn, E> {
        i64::try_from(status).map_or_else(|_| Err(no_status(status)), |status| self.visit_i64(status))
    }

    fn visit_i64<E: de::Error>(self, status: i64) -> Result<RetryOn, E> {
        let known = u16::try_from(status).ok().filter(|status| (400..=599).contains(status));
        known.map(RetryOn::Status).ok_or_else(|| no_status(status))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<RetryOn, E> {
        if let Some(name) = text.strip_prefix("grpc.") {
            // Not `ok`, which is no failure.
            let code = (1u16..).zip(GRPC.iter().skip(1)).find(|(_, known)| **known == name);
            let code = code.map(|(code, _)| RetryOn::Grpc(code));
            return code
                .ok_or_else(|| E::custom(format!("`{name}` is not a gRPC status: write one such as unavailable")));
        }
        Ok(match text {
            "connect" => RetryOn::Connect,
            "refused_stream" => RetryOn::RefusedStream,
            "reset" => RetryOn::Reset,
            "timeout" => RetryOn::Timeout,
            _ => return text.parse::<u64>().map_or_else(|_| Err(unknown(text)), |status| self.visit_u64(status)),
        })
    }
}

fn no_status<E: de::Error>(status: impl fmt::Display) -> E {
    E::custom(format!("{status} is not a reason to try again: write {WORDS}"))
}

fn unknown<E: de::Error>(text: &str) -> E {
    let shown: String = text.chars().take(40).collect();
    E::custom(format!("`{}` is not a reason to try again: write {WORDS}", shown.escape_debug()))
}

impl JsonSchema for RetryOn {
    fn schema_name() -> Cow<'static, str> {
        "RetryOn".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A reason to try again.",
            "anyOf": [
                { "enum": ["connect", "refused_stream", "reset", "timeout"] },
                { "type": "integer", "minimum": 400, "maximum": 599 },
                { "type": "string", "pattern": "^grpc\\.[a-z_]+$", "examples": ["grpc.unavailable"] },
            ],
        })
    }
}
