//! A list of targets as text: JSON or YAML, as `targets:` takes it, by itself or under the key `targets`.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::SourceError;
use crate::config::TargetConfig;

/// The largest text that is read.
pub(super) const MOST_BYTES: usize = 4 << 20;
/// One more than a pool takes, which then says so.
const MOST_TARGETS: usize = 10_001;
/// The longest name of a host has 253 bytes, the longest path of a socket 107.
const LONGEST_ADDRESS: usize = 300;
const LONGEST_ZONE: usize = 256;

/// Reads the list, beside the runtime's own threads: a long one takes a while.
pub(super) async fn read(text: Vec<u8>) -> Result<Vec<TargetConfig>, SourceError> {
    let read = tokio::task::spawn_blocking(move || parse(&text)).await;
    read.unwrap_or_else(|_| Err(SourceError::new("the list can't be read")))
}

fn parse(text: &[u8]) -> Result<Vec<TargetConfig>, SourceError> {
    if text.len() > MOST_BYTES {
        return Err(SourceError::new(format!("the list is larger than {MOST_BYTES} bytes")));
    }
    let json = match serde_json::from_slice::<Targets>(text) {
        Ok(Targets(targets)) => return Ok(targets),
        Err(error) => error,
    };
    // It is JSON that says something else.
    if json.is_data() {
        return Err(told(&json));
    }
    match serde_yaml::from_slice::<Targets>(text) {
        Ok(Targets(targets)) => Ok(targets),
        Err(error) => Err(told(&error)),
    }
}

/// The error may quote the text, however long a piece of it.
fn told(error: &dyn fmt::Display) -> SourceError {
    const LONGEST: usize = 300;
    SourceError(crate::client::clip(&error.to_string(), LONGEST))
}

struct Targets(Vec<TargetConfig>);

impl<'de> Deserialize<'de> for Targets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TargetsVisitor)
    }
}

struct TargetsVisitor;

impl<'de> Visitor<'de> for TargetsVisitor {
    type Value = Targets;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of targets, or `targets` with one under it")
    }

    /// Element by element: an alias of YAML may stand for a long text, and ten thousand of them must not fill the
    /// memory.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Targets, A::Error> {
        let mut targets = Vec::new();
        while let Some(target) = seq.next_element::<TargetConfig>()? {
            if target.address.len() > LONGEST_ADDRESS {
                return Err(de::Error::custom(format_args!("targets[{}] has too long an address", targets.len())));
            }
            if target.zone.as_ref().is_some_and(|zone| zone.len() > LONGEST_ZONE) {
                return Err(de::Error::custom(format_args!("targets[{}] has too long a zone", targets.len())));
            }
            targets.push(target);
            if targets.len() == MOST_TARGETS {
                return Err(de::Error::custom(format_args!("more than {} targets", MOST_TARGETS - 1)));
            }
        }
        Ok(Targets(targets))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Targets, A::Error> {
        match map.next_key::<String>()?.as_deref() {
            Some("targets") => {}
            Some(_) | None => return Err(de::Error::custom("the only key is `targets`")),
        }
        let targets = map.next_value::<OnlyList>()?;
        match map.next_key::<String>()? {
            None => Ok(targets.0),
            Some(_) => Err(de::Error::custom("the only key is `targets`, once")),
        }
    }
}

/// A list by itself: one under `targets` isn't in another `targets`.
struct OnlyList(Targets);

impl<'de> Deserialize<'de> for OnlyList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not `deserialize_seq`: for YAML nothing at all would be a list without elements.
        deserializer.deserialize_any(OnlyListVisitor).map(Self)
    }
}

struct OnlyListVisitor;

impl<'de> Visitor<'de> for OnlyListVisitor {
    type Value = Targets;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of targets")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Targets, A::Error> {
        TargetsVisitor.visit_seq(seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &str) -> Result<Vec<String>, String> {
        let targets = parse(text.as_bytes()).map_err(|error| error.to_string())?;
        Ok(targets.into_iter().map(|target| target.address).collect())
    }

    #[test]
    fn lists_are_json_or_yaml_bare_or_under_targets() {
        for text in [
            r#"["a:1", {"address": "b:2", "weight": 3}]"#,
            r#"{"targets": ["a:1", {"address": "b:2"}]}"#,
            "- a:1\n- { address: 'b:2', priority: 1 }\n",
            "targets:\n  - 'a:1'\n  - address: 'b:2'\n    zone: eu\n",
            "[a:1, b:2]",
        ] {
            assert_eq!(addresses(text).unwrap(), ["a:1", "b:2"], "{text}");
        }
        assert!(addresses("[]").unwrap().is_empty());
        assert!(addresses("targets: []").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for (text, cause) in [
            ("", "list of targets"),
            ("null", "list of targets"),
            ("{}", "only key"),
            ("hello", "list of targets"),
            ("targets:", "a list of targets"),
            ("targets: { targets: [] }", "invalid type"),
            (r#"{"targets": [], "more": 1}"#, "only key"),
            (r#"{"targets": [], "targets": ["a:1"]}"#, "once"),
            (r#"[{"address": "a:1", "wieght": 2}]"#, "wieght"),
            (r#"[{"address": "a:1", "address": "b:1"}]"#, "duplicate"),
            (r#"[{"weight": 2}]"#, "address"),
            ("[1]", "invalid type"),
            ("- a:1\n- [b:2", "line"),
            ("- a:1\n---\n- b:2\n", "more than one document"),
            ("\u{0}", "control"),
        ] {
            let error = addresses(text).expect_err(text);
            assert!(error.contains(cause), "{text:?}: {error}");
        }
        assert!(parse(b"- \xff\n").is_err());
    }

    #[test]
    fn neither_size_nor_aliases_nor_depth_fill_the_memory() {
        let many = "- a:1\n".repeat(10_001);
        assert!(addresses(&many).unwrap_err().contains("more than 10000 targets"));
        assert!(addresses(&" ".repeat(MOST_BYTES + 1)).unwrap_err().contains("larger than"));
        let long = format!("- &a {}\n{}", "x".repeat(1 << 20), "- *a\n".repeat(9_000));
        assert!(addresses(&long).unwrap_err().contains("too long an address"));
        let zone = format!("- {{ address: 'a:1', zone: &a {} }}\n", "x".repeat(1 << 20));
        assert!(addresses(&zone).unwrap_err().contains("too long a zone"));
        let laughs = "a: &a [x]\nb: &b [*a, *a, *a]\ntargets: [*b, *b]\n";
        assert!(addresses(laughs).is_err());
        assert!(addresses(&"[".repeat(100_000)).is_err());
        let deep = format!("- {}", "&a [".repeat(50_000));
        assert!(addresses(&deep).is_err());
    }
}
