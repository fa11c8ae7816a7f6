//! From YAML text to a [`Value`], as fast as `serde_yaml` goes.
//!
//! What is wrong is told without its place; [`syntax`](crate::syntax) finds that.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};
use tidegate_core::config::{Map, Value};

use crate::limits;

/// Reads a file's text.
pub(crate) fn parse(text: &str) -> Result<Value, serde_yaml::Error> {
    let reader = Reader { nodes: Cell::new(0), keys: RefCell::default() };
    Node { reader: &reader, depth: 0 }.deserialize(serde_yaml::Deserializer::from_str(text))
}

/// What the reading of one file has in common.
struct Reader {
    nodes: Cell<usize>,
    /// Every key once: a file of ten thousand routes has few different ones.
    keys: RefCell<HashSet<Arc<str>>>,
}

const KEYS_KEPT: usize = 4096;

impl Reader {
    fn count<E: Error>(&self) -> Result<(), E> {
        self.nodes.set(self.nodes.get() + 1);
        if self.nodes.get() > limits::NODES {
            return Err(E::custom(format_args!("more than {} values, with every alias written out", limits::NODES)));
        }
        Ok(())
    }

    fn key(&self, key: &str) -> Arc<str> {
        let mut keys = self.keys.borrow_mut();
        if let Some(known) = keys.get(key) {
            return known.clone();
        }
        let new: Arc<str> = key.into();
        if keys.len() < KEYS_KEPT {
            keys.insert(new.clone());
        }
        new
    }
}

#[derive(Clone, Copy)]
struct Node<'r> {
    reader: &'r Reader,
    depth: usize,
}

impl Node<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == limits::DEPTH {
            return Err(E::custom(format_args!("more than {} lists and maps inside one another", limits::DEPTH)));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    fn leaf<E: Error>(self, value: Value) -> Result<Value, E> {
        self.reader.count()?;
        Ok(value)
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.leaf(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        self.leaf(Value::Null)
    }

    fn visit_bool<E: Error>(self, b: bool) -> Result<Value, E> {
        self.leaf(Value::Bool(b))
    }

    fn visit_i64<E: Error>(self, n: i64) -> Result<Value, E> {
        self.leaf(Value::from(n))
    }

    fn visit_u64<E: Error>(self, n: u64) -> Result<Value, E> {
        self.leaf(Value::from(n))
    }

    /// Too large for any quantity we know: let the type that is asked for refuse it.
    fn visit_i128<E: Error>(self, n: i128) -> Result<Value, E> {
        self.visit_f64(n as f64)
    }

    fn visit_u128<E: Error>(self, n: u128) -> Result<Value, E> {
        self.visit_f64(n as f64)
    }

    fn visit_f64<E: Error>(self, n: f64) -> Result<Value, E> {
        self.leaf(Value::Float(n))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        self.leaf(Value::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.reader.count()?;
        let deeper = self.deeper()?;
        let mut elements = Vec::new();
        while let Some(element) = access.next_element_seed(deeper)? {
            elements.push(element);
        }
        Ok(Value::from(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.reader.count()?;
        let deeper = self.deeper()?;
        let mut entries = Vec::new();
        let mut merged = Vec::new();
        while let Some(key) = access.next_key_seed(Key(self.reader))? {
            let value = access.next_value_seed(deeper)?;
            match &*key {
                "<<" => merged.push(value),
                _ => entries.push((key, value)),
            }
        }
        let mut map = Map::new(entries).map_err(Error::custom)?;
        for value in merged {
            map = merge_in(map, &value).map_err(Error::custom)?;
        }
        Ok(Value::from(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Value, A::Error> {
        Err(Error::custom("YAML tags mean nothing here"))
    }
}

/// YAML's `<<: *defaults`, or a list of such: what `map` has itself counts, then the first.
fn merge_in(map: Map, value: &Value) -> Result<Map, &'static str> {
    match value {
        Value::Map(more) => {
            let own = map.iter().map(|(key, value)| (key.clone(), value.clone()));
            let new = more.iter().filter(|(key, _)| map.get(key).is_none()).map(|(k, v)| (k.clone(), v.clone()));
            let entries: Vec<_> = own.chain(new).collect();
            Map::new(entries).map_err(|_| MERGES_ONLY_MAPS)
        }
        Value::Seq(maps) if maps.iter().all(|map| map.as_map().is_some()) => maps.iter().try_fold(map, merge_in),
        _ => Err(MERGES_ONLY_MAPS),
    }
}

pub(crate) const MERGES_ONLY_MAPS: &str = "only a map, or a list of maps, can be merged with `<<`";

struct Key<'r>(&'r Reader);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Arc<str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Arc<str>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Arc<str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key that is a string")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Arc<str>, E> {
        Ok(self.0.key(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value_is_read() {
        let value = parse("a: ~\nb: true\nc: -1\nd: 18446744073709551615\ne: 0.5\nf: yes\ng: [x, \"1\"]\nh: {}\n");
        assert_eq!(
            value.unwrap().to_string(),
            "{a: null, b: true, c: -1, d: 18446744073709551615, e: 0.5, f: yes, g: [x, \"1\"], h: {}}"
        );
    }

    #[test]
    fn merge_keys_add_what_is_not_there() {
        let text = "d: &d {x: 1, y: 2}\ne: &e {y: 3, z: 3}\na: {<<: *d, y: 9}\nb: {<<: [*d, *e]}\n";
        let value = parse(text).unwrap();
        assert_eq!(value.get("a").unwrap().to_string(), "{y: 9, x: 1}");
        assert_eq!(value.get("b").unwrap().to_string(), "{x: 1, y: 2, z: 3}");
        assert!(parse("a: {<<: 1}").is_err());
    }

    #[test]
    fn an_alias_bomb_is_defused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let before = format!("*a{}, ", n - 1).repeat(10);
            bomb.push_str(&format!("a{n}: &a{n} [{}]\n", before.trim_end_matches(", ")));
        }
        assert!(parse(&bomb).is_err());
    }

    #[test]
    fn depth_is_limited() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(limits::DEPTH)).is_ok());
        assert!(parse(&nested(limits::DEPTH + 1)).is_err());
        assert!(parse(&nested(100_000)).is_err());
    }
}
