//! A value for a key that is missing.
//!
//! Serde reports one missing key and stops. To find the next one, the missing key gets a value of whatever type is
//! asked for. Nobody ever sees it: a reading with a stand-in in it is only good for its errors. Where none can be made
//! up (a type with a grammar of its own), the map is left out as a whole, and its other missing keys wait for the
//! next try.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, Expected, IntoDeserializer, VariantAccess, Visitor,
};

use super::error::DeError;
use crate::config::{ConfigPath, RawConfig, Value, raw, secret};

#[derive(Clone, Copy)]
pub(super) struct StandIn {
    /// Types may contain themselves.
    depth: u8,
}

const DEEPEST: u8 = 8;

impl StandIn {
    pub(super) fn new() -> Self {
        Self { depth: 0 }
    }

    fn deeper(self) -> Result<Self, DeError> {
        match self.depth {
            DEEPEST => Err(DeError::custom("too deep to make up")),
            depth => Ok(Self { depth: depth + 1 }),
        }
    }
}

/// A text that the visitor takes, judged by what it says it expects.
fn text(visitor: &dyn Expected) -> &'static str {
    match visitor.to_string().as_str() {
        "a duration" => "1s",
        "a size" => "1B",
        "a rate" => "1/s",
        "a percentage" => "1%",
        "socket address" | "an IPv4 or IPv6 socket address" => "127.0.0.1:1",
        "IP address" => "127.0.0.1",
        "a character" => "x",
        _ => "stand-in",
    }
}

macro_rules! made_up {
    ($($method:ident $visit:ident $value:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
            visitor.$visit($value)
        }
    )*};
}

impl<'de> IntoDeserializer<'de, DeError> for StandIn {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for StandIn {
    type Error = DeError;

    // One is a valid number for more types than zero.
    made_up! {
        deserialize_bool visit_bool false;
        deserialize_i8 visit_u64 1; deserialize_i16 visit_u64 1; deserialize_i32 visit_u64 1;
        deserialize_i64 visit_u64 1; deserialize_i128 visit_u64 1;
        deserialize_u8 visit_u64 1; deserialize_u16 visit_u64 1; deserialize_u32 visit_u64 1;
        deserialize_u64 visit_u64 1; deserialize_u128 visit_u64 1;
        deserialize_f32 visit_f64 1.0; deserialize_f64 visit_f64 1.0;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        let text = text(&visitor);
        visitor.visit_str(text)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_none()
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, DeError> {
        match name {
            raw::TOKEN => raw::hand_over(RawConfig::new(Value::Null, ConfigPath::root()), visitor),
            secret::TOKEN => visitor.visit_str("stand-in"),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_seq(SeqDeserializer::new(std::iter::empty::<Self>()))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_seq(SeqDeserializer::new(std::iter::repeat_n(self.deeper()?, length)))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_map(MapDeserializer::new(std::iter::empty::<(&str, Self)>()))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        let deeper = self.deeper()?;
        visitor.visit_map(MapDeserializer::new(fields.iter().map(|field| (*field, deeper))))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        let name = variants.first().copied().unwrap_or_default();
        visitor.visit_enum(StandInChoice { name, value: self.deeper()? })
    }

    serde::forward_to_deserialize_any! {
        char str string bytes byte_buf identifier ignored_any
    }
}

struct StandInChoice {
    name: &'static str,
    value: StandIn,
}

impl<'de> EnumAccess<'de> for StandInChoice {
    type Error = DeError;
    type Variant = StandIn;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, StandIn), DeError> {
        Ok((seed.deserialize(self.name.into_deserializer())?, self.value))
    }
}

impl<'de> VariantAccess<'de> for StandIn {
    type Error = DeError;

    fn unit_variant(self) -> Result<(), DeError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, DeError> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_struct("", fields, visitor)
    }
}
