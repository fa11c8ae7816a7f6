//! Values that are written as one text, and read by a parser of their own.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, Visitor};
use tidegate_core::config::UnitError;

/// What such a value says about itself.
pub(super) trait Text: FromStr<Err = UnitError> {
    /// With its article: `a key`.
    const KIND: &'static str;
}

/// Reads a [`Text`]; anything but a string is a wrong type.
pub(super) struct TextVisitor<T>(pub(super) PhantomData<T>);

impl<T: Text> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::KIND)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// Serde and JSON Schema for a [`Text`].
macro_rules! text_impls {
    ($type:ident, $schema:literal, $kind:literal, [$($example:literal),+], $description:literal) => {
        impl super::text::Text for $type {
            const KIND: &'static str = $kind;
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(super::text::TextVisitor::<Self>(std::marker::PhantomData))
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $schema.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "description": $description,
                    "examples": [$($example),+],
                })
            }
        }
    };
}
pub(super) use text_impls;

/// A text that can't be read, and how to write it.
pub(super) fn unreadable(message: impl Into<String>, help: impl Into<String>) -> UnitError {
    UnitError { message: message.into(), help: help.into() }
}

/// A text as an error shows it: short, and on one line.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 40;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("`{}…`", text[..end].escape_debug()),
        None => format!("`{}`", text.escape_debug()),
    }
}

/// A key that stands there with nothing after it is a slip, not a key that was left out.
pub(super) fn given<'de, D: de::Deserializer<'de>, T: de::Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
