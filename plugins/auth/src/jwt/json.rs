//! JSON as tokens and sets of keys may have it: bounded in depth, and no member twice (RFC 7515 section 4, RFC 7519
//! section 4: two parsers must not read one token in two ways).

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Value};

/// How deep objects and lists may be in one another.
pub(super) const DEEPEST: u8 = 16;

const TWICE: &str = "a member stands in it twice";
const TOO_DEEP: &str = "it is nested too deep";

/// Reads an object, and nothing after it. The error never quotes what it is about.
pub(crate) fn object(text: &[u8]) -> Result<Map<String, Value>, &'static str> {
    match read(text, Strict(DEEPEST))? {
        Value::Object(object) => Ok(object),
        _ => Err("it is no JSON object"),
    }
}

/// Reads all of `text` as `seed` has it.
pub(super) fn read<'de, S: DeserializeSeed<'de>>(text: &'de [u8], seed: S) -> Result<S::Value, &'static str> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = seed.deserialize(&mut json).map_err(|error| why(&error))?;
    json.end().map_err(|_| "something stands after it")?;
    Ok(value)
}

/// Serde's own words quote what they are about; a token's parts don't belong in logs.
fn why(error: &serde_json::Error) -> &'static str {
    let text = error.to_string();
    [TWICE, TOO_DEEP].into_iter().find(|ours| text.starts_with(ours)).unwrap_or("it is not the JSON that it should be")
}

/// That a name stands in an object for the second time.
pub(super) fn twice<E: Error>() -> E {
    E::custom(TWICE)
}

/// Any value, so many levels deep at most.
pub(super) struct Strict(pub(super) u8);

impl Strict {
    fn below<E: Error>(&self) -> Result<u8, E> {
        self.0.checked_sub(1).ok_or_else(|| E::custom(TOO_DEEP))
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
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

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Strict(below))? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            match object.entry(name) {
                Entry::Occupied(_) => return Err(twice()),
                Entry::Vacant(place) => place.insert(members.next_value_seed(Strict(below))?),
            };
        }
        Ok(Value::Object(object))
    }
}

/// A text, borrowed where nothing in it is escaped.
pub(super) struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_parsers_could_read_in_two_ways_is_refused() {
        for (bad, why) in [
            (r#"{"a":1,"a":2}"#, TWICE),
            (r#"{"a":1,"\u0061":2}"#, TWICE),
            (r#"{"a":[{"b":{"c":1,"c":1}}]}"#, TWICE),
            (r#"{"a":1}{"#, "something stands after it"),
            (r#"{"a":1},"#, "something stands after it"),
            ("[]", "it is no JSON object"),
            ("null", "it is no JSON object"),
            ("\u{feff}{}", "it is not the JSON that it should be"),
            (r#"{"a":"\ud800"}"#, "it is not the JSON that it should be"),
            (r#"{"a":NaN}"#, "it is not the JSON that it should be"),
            (r#"{"a":1e999}"#, "it is not the JSON that it should be"),
            (r#"{'a':1}"#, "it is not the JSON that it should be"),
            ("{\"a\":\"\n\"}", "it is not the JSON that it should be"),
            ("", "it is not the JSON that it should be"),
        ] {
            assert_eq!(object(bad.as_bytes()), Err(why), "{bad}");
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_err());
        assert_eq!(object(br#" {"a":[1,-1,0.5,true,null,"x\u00e4"]} "#).map(|object| object.len()), Ok(1));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "{\"a\":".repeat(depth - 1) + "{", "}".repeat(depth));
        assert!(object(nested(usize::from(DEEPEST)).as_bytes()).is_ok());
        assert_eq!(object(nested(usize::from(DEEPEST) + 1).as_bytes()), Err(TOO_DEEP));
        let list = format!("{{\"a\":{}", "[".repeat(10_000));
        assert_eq!(object(list.as_bytes()), Err(TOO_DEEP));
    }
}
