//! The tree that a configuration file is read into before anyone knows its types.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// A value of the configuration. Cloning one copies no text.
///
/// `Debug` and `Display` write compact YAML in which every interpolated value is `***`.
#[derive(Clone, Default, PartialEq)]
pub enum Value {
    /// Nothing: `~`, `null`, or a key without a value.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number above the largest `i64`.
    UInt(u64),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// Text, as it stands in the file.
    Str(Arc<str>),
    /// Text that an environment variable or another file has a part in.
    Interpolated(Arc<Interpolated>),
    /// A list.
    Seq(Arc<[Value]>),
    /// A map.
    Map(Arc<Map>),
}

/// Text that came from outside of the configuration file, at least in part.
#[derive(Clone, PartialEq, Eq)]
pub struct Interpolated {
    /// The text meant: a secret, for all we know.
    pub text: Box<str>,
    /// The text as written, with its `${VAR}`s: fit to be shown.
    pub source: Box<str>,
}

impl fmt::Debug for Interpolated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Interpolated({})", self.source)
    }
}

impl Value {
    /// Text that came from outside of the file.
    pub fn interpolated(text: impl Into<Box<str>>, source: impl Into<Box<str>>) -> Self {
        Self::Interpolated(Arc::new(Interpolated { text: text.into(), source: source.into() }))
    }

    /// A map of these entries. Of two entries with the same key the first one counts.
    pub fn map<K: Into<Arc<str>>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        let mut kept: Vec<(Arc<str>, Value)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for (key, value) in entries {
            let key = key.into();
            if seen.insert(key.clone()) {
                kept.push((key, value));
            }
        }
        Self::Map(Arc::new(Map::of_distinct(kept)))
    }

    /// The text of a string, interpolated or not.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            Self::Interpolated(of) => Some(&of.text),
            _ => None,
        }
    }

    /// The elements of a list.
    pub fn as_seq(&self) -> Option<&[Value]> {
        match self {
            Self::Seq(elements) => Some(elements),
            _ => None,
        }
    }

    /// The entries of a map.
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The value under `key`, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_map()?.get(key)
    }
}

/// A map of the configuration: keys are strings, distinct, and keep the order of the file.
#[derive(Clone, Default)]
pub struct Map {
    entries: Vec<(Arc<str>, Value)>,
    /// Where each key is; only for a map that is too long to search.
    index: Option<HashMap<Arc<str>, usize>>,
}

/// Two entries of a map have the same key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key `{key}` is given twice")]
pub struct DuplicateKey {
    /// The key.
    pub key: Arc<str>,
}

/// Up to this many entries, looking at each is quicker than hashing.
const SEARCHED: usize = 16;

impl Map {
    /// A map of these entries, whose keys must differ.
    pub fn new(entries: Vec<(Arc<str>, Value)>) -> Result<Self, DuplicateKey> {
        let twice = |key: &Arc<str>| DuplicateKey { key: key.clone() };
        if entries.len() <= SEARCHED {
            for (place, (key, _)) in entries.iter().enumerate() {
                if entries[..place].iter().any(|(earlier, _)| earlier == key) {
                    return Err(twice(key));
                }
            }
            return Ok(Self { entries, index: None });
        }
        let mut index = HashMap::with_capacity(entries.len());
        for (place, (key, _)) in entries.iter().enumerate() {
            if index.insert(key.clone(), place).is_some() {
                return Err(twice(key));
            }
        }
        Ok(Self { entries, index: Some(index) })
    }

    fn of_distinct(entries: Vec<(Arc<str>, Value)>) -> Self {
        Self::new(entries).unwrap_or_default()
    }

    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match &self.index {
            Some(index) => self.entries.get(*index.get(key)?).map(|(_, value)| value),
            None => self.entries.iter().find(|(k, _)| &**k == key).map(|(_, value)| value),
        }
    }

    /// The entries, in the order of the file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Value)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    pub(super) fn entries(&self) -> &[(Arc<str>, Value)] {
        &self.entries
    }

    /// The same map without `key`.
    #[must_use]
    pub fn without(&self, key: &str) -> Self {
        Self::of_distinct(self.entries.iter().filter(|(k, _)| &**k != key).cloned().collect())
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_map(f, self)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(b) => b.fmt(f),
            Self::Int(n) => n.fmt(f),
            Self::UInt(n) => n.fmt(f),
            Self::Float(n) => write!(f, "{n:?}"),
            Self::Str(text) => write_text(f, text),
            Self::Interpolated(_) => f.write_str("***"),
            Self::Seq(elements) => write_seq(f, elements),
            Self::Map(map) => write_map(f, map),
        }
    }
}

fn write_seq(f: &mut fmt::Formatter<'_>, elements: &[Value]) -> fmt::Result {
    f.write_char('[')?;
    for (place, element) in elements.iter().enumerate() {
        if place > 0 {
            f.write_str(", ")?;
        }
        fmt::Display::fmt(element, f)?;
    }
    f.write_char(']')
}

fn write_map(f: &mut fmt::Formatter<'_>, map: &Map) -> fmt::Result {
    f.write_char('{')?;
    for (place, (key, value)) in map.iter().enumerate() {
        if place > 0 {
            f.write_str(", ")?;
        }
        write_text(f, key)?;
        f.write_str(": ")?;
        // A literal secret stands in the file, but has no place in a log.
        match value {
            Value::Str(_) if super::path::key_looks_secret(key) => f.write_str("***")?,
            value => fmt::Display::fmt(value, f)?,
        }
    }
    f.write_char('}')
}

/// Plain where YAML would read the same text back, else double-quoted.
fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c))
        && !["true", "false", "null"].iter().any(|word| word.eq_ignore_ascii_case(text));
    if plain { f.write_str(text) } else { write!(f, "{text:?}") }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Self::Int(n)
    }
}

impl From<u64> for Value {
    fn from(n: u64) -> Self {
        i64::try_from(n).map_or(Self::UInt(n), Self::Int)
    }
}

impl From<f64> for Value {
    fn from(n: f64) -> Self {
        Self::Float(n)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text.into())
    }
}

impl From<Vec<Value>> for Value {
    fn from(elements: Vec<Value>) -> Self {
        Self::Seq(elements.into())
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(Arc::new(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_prints_as_yaml_without_what_came_from_outside() {
        let value = Value::map([
            ("url", Value::interpolated("redis://hunter2@db", "redis://${PW}@db")),
            ("list", vec![Value::Null, Value::from(1_i64), Value::from(0.5), Value::from("a: b")].into()),
            ("password", Value::from("hunter2")),
            ("true", Value::from("true")),
        ]);
        assert_eq!(value.to_string(), r#"{url: ***, list: [null, 1, 0.5, "a: b"], password: ***, "true": "true"}"#);
        assert_eq!(format!("{value:?}"), value.to_string());
    }

    #[test]
    fn a_long_map_finds_its_keys_and_refuses_a_second_one() {
        let mut entries: Vec<(Arc<str>, Value)> =
            (0..100_i64).map(|n| (n.to_string().into(), Value::from(n))).collect();
        let map = Map::new(entries.clone()).unwrap();
        assert_eq!(map.get("73"), Some(&Value::Int(73)));
        assert_eq!(map.get("100"), None);
        assert_eq!(map.without("73").get("73"), None);
        entries.push(("5".into(), Value::Null));
        assert_eq!(Map::new(entries).unwrap_err().to_string(), "key `5` is given twice");
    }

    #[test]
    fn a_short_map_refuses_a_second_key() {
        let entries = vec![("a".into(), Value::Null), ("a".into(), Value::Null)];
        assert!(Map::new(entries).is_err());
    }
}
