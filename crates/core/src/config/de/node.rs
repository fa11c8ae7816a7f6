//! The serde deserializer of one value.

use serde::de::{Deserializer, Error as _, Expected, Unexpected, Visitor};

use super::access::{Choice, Elements, Entries, NameOnly};
use super::error::DeError;
use super::track::Track;
use crate::config::{Interpolated, Map, RawConfig, Value, raw, secret};

pub(super) struct Node<'a> {
    pub(super) value: &'a Value,
    pub(super) track: &'a Track<'a>,
}

impl<'a> Node<'a> {
    fn unexpected(&self) -> Unexpected<'a> {
        match self.value {
            Value::Null => Unexpected::Unit,
            Value::Bool(b) => Unexpected::Bool(*b),
            Value::Int(n) => Unexpected::Signed(*n),
            Value::UInt(n) => Unexpected::Unsigned(*n),
            Value::Float(n) => Unexpected::Float(*n),
            Value::Str(text) => Unexpected::Str(text),
            Value::Interpolated(of) => Unexpected::Str(&of.text),
            Value::Seq(_) => Unexpected::Seq,
            Value::Map(_) => Unexpected::Map,
        }
    }

    fn refuse<T>(&self, expected: &dyn Expected) -> Result<T, DeError> {
        Err(DeError::invalid_type(self.unexpected(), expected))
    }

    /// Nothing stands where a list or map is wanted: say how to write an empty one, rather than guess it.
    fn refuse_container<T>(&self, expected: &dyn Expected, empty: &'static str) -> Result<T, DeError> {
        match self.value {
            Value::Null => Err(DeError::wrong_type(&Unexpected::Unit, &expected.to_string(), Some(empty))),
            _ => self.refuse(expected),
        }
    }

    fn visit_seq<'de, V: Visitor<'de>>(self, elements: &[Value], visitor: V) -> Result<V::Value, DeError> {
        let mut access = Elements::new(elements, self.track);
        let value = visitor.visit_seq(&mut access)?;
        match access.unread() {
            0 => Ok(value),
            _ => Err(DeError::invalid_length(elements.len(), &"fewer elements")),
        }
    }

    fn visit_map<'de, V: Visitor<'de>>(self, map: &Map, visitor: V) -> Result<V::Value, DeError> {
        let mut access = Entries::new(map, self.track);
        visitor.visit_map(&mut access).map_err(|error| access.blame_last_key(error))
    }
}

/// An interpolated scalar has no type of its own: it is what is asked for, if it reads as such.
fn visit_number<'de, V: Visitor<'de>>(of: &Interpolated, visitor: V) -> Result<V::Value, DeError> {
    let text = of.text.trim();
    if let Ok(n) = text.parse() {
        visitor.visit_u64(n)
    } else if let Ok(n) = text.parse() {
        visitor.visit_i64(n)
    } else {
        Err(DeError::invalid_type(Unexpected::Str(&of.text), &visitor))
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
            match self.value {
                Value::Interpolated(of) => visit_number(of, visitor),
                _ => self.deserialize_any(visitor),
            }
        }
    )*};
}

macro_rules! floats {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
            match self.value {
                Value::Interpolated(of) => match of.text.trim().parse::<f64>() {
                    Ok(n) => visitor.visit_f64(n),
                    Err(_) => self.refuse(&visitor),
                },
                _ => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Node<'_> {
    type Error = DeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(b) => visitor.visit_bool(*b),
            Value::Int(n) => visitor.visit_i64(*n),
            Value::UInt(n) => visitor.visit_u64(*n),
            Value::Float(n) => visitor.visit_f64(*n),
            Value::Str(text) => visitor.visit_str(text),
            Value::Interpolated(of) => visitor.visit_str(&of.text),
            Value::Seq(elements) => self.visit_seq(elements, visitor),
            Value::Map(map) => self.visit_map(map, visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.value {
            Value::Interpolated(of) => match of.text.trim().parse() {
                Ok(b) => visitor.visit_bool(b),
                Err(_) => self.refuse(&visitor),
            },
            _ => self.deserialize_any(visitor),
        }
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }
    floats! { deserialize_f32 deserialize_f64 }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, DeError> {
        match name {
            raw::TOKEN => {
                let part = RawConfig::part(self.value.clone(), self.track.path(), self.track.secrets().clone());
                raw::hand_over(part, visitor)
            }
            secret::TOKEN => {
                self.track.secrets().note(self.track.path());
                match self.value.as_str() {
                    Some(text) => visitor.visit_str(text),
                    None => Err(DeError::wrong_secret(&self.unexpected())),
                }
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.value {
            Value::Seq(elements) => self.visit_seq(elements, visitor),
            _ => self.refuse_container(&visitor, "for an empty list, write []"),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.value {
            Value::Map(map) => self.visit_map(map, visitor),
            _ => self.refuse_container(&visitor, "for an empty map, write {}"),
        }
    }

    /// A list is not taken for a struct: which element is which field would depend on the order in the code.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        match self.value {
            Value::Map(map) => visitor.visit_enum(Choice::of(map, self.track, variants)?),
            _ => match self.value.as_str() {
                Some(name) => visitor.visit_enum(NameOnly { name }),
                None => Err(DeError::no_choice(kind(self.value), variants)),
            },
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct identifier
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.deserialize_seq(visitor)
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Int(_) | Value::UInt(_) | Value::Float(_) => "a number",
        Value::Str(_) | Value::Interpolated(_) => "a string",
        Value::Seq(_) => "a list",
        Value::Map(_) => "a map",
    }
}
