//! A list in a file that others change.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use tidegate_core::{BuildCx, ConfigError};

use super::table::Table;
use crate::config::AclEntry;
use crate::credential::watched;

/// Reads the list called `name` now, and again when its file changes. What can't be used leaves the last good one in
/// place. The error carries no path.
pub(super) fn open(name: &str, path: &Path, cx: &mut BuildCx<'_>) -> Result<Arc<ArcSwap<Table>>, ConfigError> {
    let list = watched(path, &["acl.", name].concat(), table, |_| (), cx);
    list.map_err(|error| error.help("who may do what: `doc:123: { alice: [read] }`"))
}

fn table(text: &str) -> Result<Table, String> {
    let entries = parse(text).map_err(|error| format!("can't be used: {error}"))?;
    Table::build(&entries).map_err(|errors| format!("can't be used: {errors}"))
}

/// YAML, of which JSON is a part.
fn parse(text: &str) -> Result<BTreeMap<String, AclEntry>, serde_yaml::Error> {
    if text.trim().is_empty() {
        return Ok(BTreeMap::new());
    }
    let Once(entries) = serde_yaml::from_str::<Once<Once<Vec<String>>>>(text)?;
    Ok(entries.into_iter().map(|(resource, Once(entry))| (resource, entry)).collect())
}

/// A map in which no key stands twice: of two entries for one resource, one would be lost.
struct Once<V>(BTreeMap<String, V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Once<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OnceVisitor(PhantomData))
    }
}

struct OnceVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for OnceVisitor<V> {
    type Value = Once<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Once<V>, A::Error> {
        let mut all = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, V>()? {
            if all.contains_key(&key) {
                return Err(A::Error::custom(format_args!("`{}` stands here twice", key.escape_debug())));
            }
            all.insert(key, value);
        }
        Ok(Once(all))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::decide::tests::who;

    #[test]
    fn yaml_and_json_are_read_and_nothing_is_lost() {
        for text in ["'doc:1': { alice: [read] }", r#"{"doc:1": {"alice": ["read"]}}"#] {
            assert_eq!(parse(text).expect(text)["doc:1"]["alice"], ["read"]);
        }
        assert!(parse("").expect("nothing").is_empty());
        for twice in ["a: { x: [read] }\na: { y: [read] }", "a: { x: [read], x: [write] }"] {
            assert!(parse(twice).expect_err(twice).to_string().contains("twice"));
        }
        assert!(parse("a: [read]").is_err() && parse("- a").is_err());
    }

    #[test]
    fn a_text_is_a_list_or_says_why_not() {
        let list = table("doc: { alice: [read] }").expect("a list");
        assert!(list.allows("doc", &who("alice", &[], json!({})), "read"));
        assert!(table("doc: { alice: ['*'] }").expect_err("bad").contains("doc.alice[0]: `*` is not a verb"));
        assert!(table("doc: {").expect_err("bad").starts_with("can't be used: "));
    }
}
