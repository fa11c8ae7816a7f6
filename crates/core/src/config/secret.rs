//! Text that is never shown.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// A password, key or token of the configuration. It prints and serializes as `***`.
///
/// An empty one is refused: it is what a forgotten variable leaves behind.
/// Comparing two takes the same time wherever they differ.
#[derive(Clone)]
pub struct Secret(Box<str>);

impl Secret {
    /// Takes `text` into custody.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself. Not for logs, errors or metrics.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.0.as_bytes(), other.0.as_bytes());
        let differing = ours.iter().zip(theirs).fold(0, |all, (a, b)| all | (a ^ b));
        ours.len() == theirs.len() && std::hint::black_box(differing) == 0
    }
}

impl Eq for Secret {}

/// The name by which our deserializer knows not to say what it found instead.
pub(super) const TOKEN: &str = "$tidegate::Secret";

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(TOKEN, SecretVisitor)
    }
}

struct SecretVisitor;

impl<'de> Visitor<'de> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
        match text {
            "" => Err(E::custom("the secret is empty")),
            text => Ok(Secret::new(text)),
        }
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Secret, D::Error> {
        // Another format's own type error would quote the value it found.
        match String::deserialize(deserializer) {
            Ok(text) => self.visit_str(&text),
            Err(_) => Err(de::Error::custom("expected a string")),
        }
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 1,
            "writeOnly": true,
            "description": "A secret. Better `${VAR}` or `${file:/run/secrets/name}` than the text itself. Never shown anywhere.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{RawConfig, Value};

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"***\"");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn a_secret_of_the_wrong_type_is_not_quoted() {
        let errors = RawConfig::new(Value::from(7777_i64), "db.pin").read::<Secret>().unwrap_err();
        assert_eq!(errors.to_string(), "db.pin: expected a string, found a number\nhelp: write it in quotes");
        let error = serde_json::from_str::<Secret>("7777").unwrap_err();
        assert!(!error.to_string().contains("7777"), "{error}");
    }

    #[test]
    fn an_empty_secret_is_refused() {
        let errors = RawConfig::new(Value::interpolated("", "${PW:-}"), "db.pw").read::<Secret>().unwrap_err();
        assert_eq!(errors.to_string(), "db.pw: the secret is empty");
    }

    #[test]
    fn secrets_are_equal_when_their_texts_are() {
        assert_eq!(Secret::new("a"), Secret::new("a"));
        assert_ne!(Secret::new("a"), Secret::new("b"));
        assert_ne!(Secret::new("a"), Secret::new("ab"));
    }
}
