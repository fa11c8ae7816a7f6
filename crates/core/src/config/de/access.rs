//! Serde's views of a list, a map and an enum, each of which knows the place of what it hands on.

use std::sync::Arc;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

use super::error::DeError;
use super::node::Node;
use super::standin::StandIn;
use super::track::Track;
use crate::config::{Map, Value};

/// The elements of a list, without those that were at fault before.
pub(super) struct Elements<'a> {
    elements: &'a [Value],
    next: usize,
    track: &'a Track<'a>,
}

impl<'a> Elements<'a> {
    pub(super) fn new(elements: &'a [Value], track: &'a Track<'a>) -> Self {
        Self { elements, next: 0, track }
    }

    pub(super) fn unread(&self) -> usize {
        (self.next..self.elements.len()).filter(|&index| !self.track.index(index).is_removed()).count()
    }
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = DeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DeError> {
        while let Some(value) = self.elements.get(self.next) {
            let track = self.track.index(self.next);
            self.next += 1;
            if !track.is_removed() {
                let read = seed.deserialize(Node { value, track: &track });
                return read.map(Some).map_err(|error| error.or_at(|| track.path()));
            }
        }
        Ok(None)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.elements.len() - self.next)
    }
}

/// The entries of a map, without those that were at fault before, and with stand-ins for those that are missing.
pub(super) struct Entries<'a> {
    entries: &'a [(Arc<str>, Value)],
    next: usize,
    current: Option<Entry<'a>>,
    track: &'a Track<'a>,
}

#[derive(Clone, Copy)]
enum Entry<'a> {
    Given(&'a str, &'a Value),
    MadeUp(&'static str),
}

impl<'a> Entry<'a> {
    fn key(self) -> &'a str {
        match self {
            Self::Given(key, _) | Self::MadeUp(key) => key,
        }
    }
}

impl<'a> Entries<'a> {
    pub(super) fn new(map: &'a Map, track: &'a Track<'a>) -> Self {
        Self { entries: map.entries(), next: 0, current: None, track }
    }

    fn advance(&mut self) -> Option<Entry<'a>> {
        let at = self.next;
        self.next += 1;
        match self.entries.get(at) {
            Some((key, value)) => Some(Entry::Given(key, value)),
            None => self.track.supplied().get(at - self.entries.len()).map(|key| Entry::MadeUp(key)),
        }
    }

    /// A field given under two of its names is noticed between a key and its value, where serde knows no place.
    pub(super) fn blame_last_key(&self, error: DeError) -> DeError {
        match self.current {
            Some(entry) if error.is_repeated_key() => error.or_at(|| self.track.key(entry.key()).path()),
            _ => error,
        }
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = DeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DeError> {
        while let Some(entry) = self.advance() {
            self.current = Some(entry);
            let track = self.track.key(entry.key());
            if !track.is_removed() {
                return seed.deserialize(Key(entry.key())).map(Some).map_err(|error| error.or_at(|| track.path()));
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DeError> {
        let Some(entry) = self.current else {
            return Err(DeError::custom("a value was asked for before its key"));
        };
        let track = self.track.key(entry.key());
        let read = match entry {
            Entry::Given(_, value) => seed.deserialize(Node { value, track: &track }),
            Entry::MadeUp(_) => seed.deserialize(StandIn::new()),
        };
        read.map_err(|error| error.or_at(|| track.path()))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len().saturating_sub(self.next))
    }
}

/// A key of a map: text, or what the text reads as.
struct Key<'a>(&'a str);

macro_rules! parsed_keys {
    ($($method:ident $visit:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
            match self.0.parse() {
                Ok(n) => visitor.$visit(n),
                Err(_) => visitor.visit_str(self.0),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Key<'_> {
    type Error = DeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_str(self.0)
    }

    parsed_keys! {
        deserialize_bool visit_bool
        deserialize_i8 visit_i64 deserialize_i16 visit_i64 deserialize_i32 visit_i64 deserialize_i64 visit_i64
        deserialize_u8 visit_u64 deserialize_u16 visit_u64 deserialize_u32 visit_u64 deserialize_u64 visit_u64
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        visitor.visit_enum(NameOnly { name: self.0 })
    }

    serde::forward_to_deserialize_any! {
        i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

/// `name: value`, one of an enum.
pub(super) struct Choice<'a> {
    name: &'a str,
    value: &'a Value,
    track: &'a Track<'a>,
}

impl<'a> Choice<'a> {
    pub(super) fn of(map: &'a Map, track: &'a Track<'a>, variants: &'static [&'static str]) -> Result<Self, DeError> {
        let mut left = map.entries().iter().filter(|(key, _)| !track.key(key).is_removed());
        match (left.next(), left.next()) {
            (Some((name, value)), None) => Ok(Self { name, value, track }),
            (None, _) => Err(DeError::no_choice("an empty map", variants)),
            (Some(_), Some(_)) => Err(DeError::no_choice("several keys", variants)),
        }
    }
}

impl<'a, 'de> EnumAccess<'de> for Choice<'a> {
    type Error = DeError;
    type Variant = Chosen<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Chosen<'a>), DeError> {
        let read = seed.deserialize(self.name.into_deserializer());
        let variant = read.map_err(|error: DeError| error.or_at(|| self.track.key(self.name).path()))?;
        Ok((variant, Chosen(self)))
    }
}

/// The value of a [`Choice`], whose name is known to be valid.
pub(super) struct Chosen<'a>(Choice<'a>);

impl Chosen<'_> {
    fn read<T>(&self, read: impl FnOnce(Node<'_>) -> Result<T, DeError>) -> Result<T, DeError> {
        let track = self.0.track.key(self.0.name);
        read(Node { value: self.0.value, track: &track }).map_err(|error| error.or_at(|| track.path()))
    }
}

impl<'de> VariantAccess<'de> for Chosen<'_> {
    type Error = DeError;

    fn unit_variant(self) -> Result<(), DeError> {
        self.read(|node| match node.value {
            Value::Null => Ok(()),
            _ => Err(DeError::wrong_choice(
                format!("`{}` takes no value", self.0.name),
                format!("write just `{}`", self.0.name),
            )),
        })
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, DeError> {
        self.read(|node| seed.deserialize(node))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, DeError> {
        self.read(|node| node.deserialize_seq(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, DeError> {
        self.read(|node| node.deserialize_map(visitor))
    }
}

/// An enum given by its name alone.
pub(super) struct NameOnly<'a> {
    pub(super) name: &'a str,
}

impl<'a, 'de> EnumAccess<'de> for NameOnly<'a> {
    type Error = DeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), DeError> {
        Ok((seed.deserialize(self.name.into_deserializer())?, self))
    }
}

impl NameOnly<'_> {
    fn lacks_value(&self) -> DeError {
        DeError::wrong_choice(format!("`{}` needs a value", self.name), format!("write `{}: …`", self.name))
    }
}

impl<'de> VariantAccess<'de> for NameOnly<'_> {
    type Error = DeError;

    fn unit_variant(self) -> Result<(), DeError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, DeError> {
        Err(self.lacks_value())
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, DeError> {
        Err(self.lacks_value())
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, DeError> {
        Err(self.lacks_value())
    }
}
