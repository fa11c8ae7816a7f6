//! JSON that everybody reads in the same way: no member twice, not too deep.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::fault::{At, Fault, member};

/// What the text says, or what is wrong with it. Of two members of one name, one reader takes the first and another the
/// last (RFC 8259 section 4): what was checked would not be what the upstream sees.
pub(crate) fn parse(text: &[u8], deepest: usize) -> Result<Value, Fault> {
    let fault = RefCell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let reader = Reader { at: &Place::Root, left: deepest, fault: &fault };
    let read = reader.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    read.map_err(|error| {
        let found = fault.take();
        found.unwrap_or_else(|| {
            Fault::body(format!("it is no well-formed JSON (line {}, column {})", error.line(), error.column()))
        })
    })
}

/// Where in the text the reader is.
enum Place<'a> {
    Root,
    Member(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl Place<'_> {
    fn pointer(&self) -> String {
        match self {
            Place::Root => String::new(),
            Place::Member(parent, name) => member(&parent.pointer(), name),
            Place::Item(parent, index) => member(&parent.pointer(), &index.to_string()),
        }
    }
}

/// Reads one value.
#[derive(Clone, Copy)]
struct Reader<'a> {
    at: &'a Place<'a>,
    /// How many levels there may be from here on.
    left: usize,
    fault: &'a RefCell<Option<Fault>>,
}

impl<'a> Reader<'a> {
    fn refuse<E: Error>(&self, at: &Place<'_>, detail: &'static str) -> E {
        *self.fault.borrow_mut() = Some(Fault::new(At::Body(at.pointer()), detail));
        E::custom(detail)
    }

    fn deeper<E: Error>(&self) -> Result<usize, E> {
        self.left.checked_sub(1).ok_or_else(|| self.refuse(self.at, "it is nested too deeply"))
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let left = self.deeper()?;
        let mut values = Vec::new();
        loop {
            let at = Place::Item(self.at, values.len());
            match items.next_element_seed(Reader { at: &at, left, ..self })? {
                Some(value) => values.push(value),
                None => return Ok(Value::Array(values)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let left = self.deeper()?;
        let mut values = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let at = Place::Member(self.at, &name);
            if values.contains_key(&name) {
                return Err(self.refuse(&at, "it is there twice"));
            }
            let value = members.next_value_seed(Reader { at: &at, left, ..self })?;
            values.insert(name, value);
        }
        Ok(Value::Object(values))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fault(text: &str) -> String {
        parse(text.as_bytes(), 4).expect_err(text).to_string()
    }

    #[test]
    fn what_two_readers_could_read_in_two_ways_is_refused() {
        assert_eq!(fault(r#"{"a":{"b":[{"c":1,"c":2}]}}"#), "/a/b/0/c: it is there twice");
        assert_eq!(fault(r#"{"a":1,"\u0061":2}"#), "/a: it is there twice");
        assert_eq!(fault(r#"{"a/b~":1,"a/b~":2}"#), "/a~1b~0: it is there twice");
        assert_eq!(fault("[[[[[1]]]]]"), "/0/0/0/0: it is nested too deeply");
        assert!(parse(b"[[[[1]]]]", 4).is_ok());
        for text in [
            "",
            " ",
            "{",
            "[1,]",
            "{'a':1}",
            "{\"a\":1} x",
            "NaN",
            "01",
            "\u{feff}{}",
            "\"\\ud800\"",
            "1e999",
            "// x\n{}",
        ] {
            assert!(fault(text).starts_with("the body: it is no well-formed JSON (line "), "{text}");
        }
        assert!(parse(b"\"\xff\"", 4).is_err());
        let deep = "[".repeat(100_000);
        assert!(parse(deep.as_bytes(), 100).is_err());
    }

    #[test]
    fn no_value_is_told() {
        for text in [r#"{"name":"hunter2","name":"hunter2"}"#, r#"{"name":"hunter2" "#, r#"hunter2"#] {
            assert!(!fault(text).contains("hunter2"), "{text}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..8)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_reads_what_everybody_reads(value in any_json()) {
            let text = value.to_string();
            let theirs: Value = serde_json::from_str(&text).expect("written by the same library");
            prop_assert_eq!(parse(text.as_bytes(), 100).expect("read"), theirs);
        }

        #[test]
        fn it_takes_no_bytes_that_are_not_json(text in prop::collection::vec(any::<u8>(), 0..64)) {
            if parse(&text, 100).is_ok() {
                prop_assert!(serde_json::from_slice::<Value>(&text).is_ok());
            }
        }
    }
}
