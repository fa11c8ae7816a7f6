//! Quantities that carry their unit: `10s`, `64KiB`, `100/15m`, `50%`. A bare number is refused.

mod bytes;
mod duration;
mod percent;
mod rate;

pub use bytes::ByteSize;
pub use duration::Duration;
pub use percent::Percent;
pub use rate::Rate;

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, Unexpected, Visitor};

/// A quantity that cannot be read, and how to write it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}\nhelp: {help}")]
pub struct UnitError {
    /// What is wrong.
    pub message: String,
    /// How to write it.
    pub help: String,
}

impl UnitError {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

/// What a quantity says about itself.
trait Unit: FromStr<Err = UnitError> {
    /// With its article: `a duration`.
    const KIND: &'static str;

    /// How to write the bare number `n`.
    fn with_unit(n: &str) -> String;
}

/// Reads a quantity from text, and tells who wrote a bare number what is missing.
struct UnitVisitor<T>(PhantomData<T>);

impl<T: Unit> UnitVisitor<T> {
    fn bare<E: de::Error>(n: &str) -> E {
        E::custom(UnitError::new(format!("expected {}, found a number without a unit", T::KIND), T::with_unit(n)))
    }
}

impl<T: Unit> Visitor<'_> for UnitVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::KIND)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, n: u64) -> Result<T, E> {
        Err(Self::bare(&n.to_string()))
    }

    fn visit_i64<E: de::Error>(self, n: i64) -> Result<T, E> {
        match u64::try_from(n) {
            Ok(n) => self.visit_u64(n),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(n), &self)),
        }
    }

    fn visit_f64<E: de::Error>(self, n: f64) -> Result<T, E> {
        Err(Self::bare(&n.to_string()))
    }
}

/// Serde, Display-based Serialize and JSON Schema for a quantity.
macro_rules! unit_impls {
    ($unit:ident, $kind:literal, $pattern:literal, [$($example:literal),+], $description:literal) => {
        impl<'de> serde::Deserialize<'de> for $unit {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(super::UnitVisitor::<Self>(std::marker::PhantomData))
            }
        }

        impl serde::Serialize for $unit {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl schemars::JsonSchema for $unit {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($unit).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "pattern": $pattern,
                    "description": $description,
                    "examples": [$($example),+],
                })
            }
        }
    };
}
use unit_impls;

/// The digits at the start of `text`, as a number, and the rest. `None` if there are no digits or too many.
fn leading_number(text: &str) -> (Option<u64>, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].parse().ok(), &text[end..])
}

/// A text as an error shows it: what is typed wrongly is short, what is pasted wrongly may be anything.
fn shown(text: &str) -> String {
    const MOST: usize = 40;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("`{}…`", text[..end].escape_debug()),
        None => format!("`{}`", text.escape_debug()),
    }
}
