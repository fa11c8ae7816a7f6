//! What a schema may cost: known from the schema alone, before any value comes.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

/// The most evaluations that telling all faults of a value may take of a schema that refers to itself.
const MOST: u32 = 512;

/// What a schema is made of, as far as it refers to itself and to others of its document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    /// Of a value that has none of several forms, the library collects what is wrong with it in each of them, whether
    /// anybody wants to know or not.
    pub(crate) has_choices: bool,
    /// A reference leads back to where it stands, or to somewhere unknown.
    leads_back: bool,
    references: u32,
}

impl Survey {
    /// Of the schema at `pointer` in `document`.
    pub(crate) fn of(document: &Value, pointer: &str) -> Self {
        let graph = Graph::of(document, pointer);
        let circular = graph.circular();
        Self {
            has_choices: graph.has_choices,
            leads_back: graph.is_partly_unknown || circular > 0,
            references: u32::try_from(if graph.is_partly_unknown { graph.len() } else { circular }).unwrap_or(u32::MAX),
        }
    }

    /// Whether all faults of a value can be told. Whether it has any is found out once for each part of it; but what is
    /// wrong with a part is collected anew for each way that leads there, and their number grows by the references of a
    /// schema with each level: 200 bytes would keep a thread for hours.
    pub(crate) fn can_tell_all(&self, value: &Value) -> bool {
        let ways = || self.references.checked_pow(depth(value)).is_some_and(|ways| ways <= MOST);
        !self.leads_back || self.references <= 1 || ways()
    }
}

/// The places that a schema refers to, and those that these refer to.
#[derive(Default)]
struct Graph {
    /// By place: which references are in it, by where they stand, and to which place each leads.
    places: HashMap<String, Vec<(String, String)>>,
    has_choices: bool,
    is_partly_unknown: bool,
}

impl Graph {
    fn of(document: &Value, pointer: &str) -> Self {
        let (mut graph, mut todo) = (Self::default(), vec![pointer.to_owned()]);
        while let Some(place) = todo.pop() {
            if graph.places.contains_key(&place) {
                continue;
            }
            let mut references = Vec::new();
            match document.pointer(&place) {
                Some(schema) => graph.look(&place, schema, &mut references),
                None => graph.is_partly_unknown = true,
            }
            todo.extend(references.iter().map(|(_, to)| to.clone()));
            graph.places.insert(place, references);
        }
        graph
    }

    fn look(&mut self, at: &str, schema: &Value, references: &mut Vec<(String, String)>) {
        match schema {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.look(&[at, "/", &index.to_string()].concat(), item, references);
                }
            }
            Value::Object(members) => {
                for (key, value) in members {
                    self.has_choices |= matches!(key.as_str(), "anyOf" | "oneOf" | "propertyNames");
                    match (key.as_str(), value) {
                        ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(reference)) => {
                            // Names of anchors, and what is relative to an `$id`, are places that are not there.
                            let to = reference.strip_prefix('#').unwrap_or(reference);
                            let to = percent_encoding::percent_decode_str(to).decode_utf8_lossy().into_owned();
                            references.push((at.to_owned(), to));
                        }
                        (key, value) => self.look(&[at, "/", key].concat(), value, references),
                    }
                }
            }
            _ => {}
        }
    }

    fn len(&self) -> usize {
        self.places.values().flatten().map(|(at, _)| at).collect::<HashSet<_>>().len()
    }

    /// How many references lead, by however many others, back to a place that they are in.
    fn circular(&self) -> usize {
        let edges = self.places.iter().flat_map(|(from, all)| all.iter().map(move |(at, to)| (from, at, to)));
        edges.filter(|(from, _, to)| self.leads(to, from)).map(|(_, at, _)| at).collect::<HashSet<_>>().len()
    }

    fn leads(&self, from: &str, to: &str) -> bool {
        let (mut todo, mut seen) = (vec![from], HashSet::new());
        while let Some(place) = todo.pop() {
            if place == to {
                return true;
            }
            if seen.insert(place) {
                todo.extend(self.places.get(place).into_iter().flatten().map(|(_, to)| to.as_str()));
            }
        }
        false
    }
}

/// How many levels of arrays and objects there are. Values were read with a limit of these.
fn depth(value: &Value) -> u32 {
    let deepest = match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Object(members) => members.values().map(depth).max(),
        _ => return 0,
    };
    1 + deepest.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_leads_back_if_a_reference_does_by_however_many_steps() {
        let node = json!({ "properties": { "nodes": { "items": { "$ref": "#/$defs/node" } } } });
        for (schema, references) in [
            (json!({ "anyOf": [{ "type": "string" }] }), 0),
            (json!({ "$ref": "#/$defs/a", "$defs": { "a": { "items": { "$ref": "#/$defs/b" } }, "b": {} } }), 0),
            (json!({ "properties": { "$ref": { "type": "string" } } }), 0),
            (json!({ "properties": { "a": { "$ref": "#" } } }), 1),
            (json!({ "properties": { "a": { "items": { "$ref": "#/properties/a" } } } }), 1),
            (json!({ "$ref": "#/$defs/node", "$defs": { "node": node } }), 1),
            (json!({ "anyOf": [{ "items": { "$ref": "#" } }, { "properties": { "a": { "$ref": "#" } } }] }), 2),
        ] {
            let found = Survey::of(&schema, "");
            assert_eq!((found.leads_back, found.references), (references > 0, references), "{schema}");
        }
        for unknown in ["#here", "https://example.test/x", "x"] {
            assert!(Survey::of(&json!({ "properties": { "a": { "$ref": unknown } } }), "").leads_back, "{unknown}");
        }
        let document = json!({
            "a": { "$ref": "#/b" }, "b": { "items": { "$ref": "#/c" } }, "c": {},
            "d": { "oneOf": [{ "$ref": "#/e" }, { "$ref": "#/f" }, { "$ref": "#/c" }] },
            "e": { "$ref": "#/f" }, "f": { "items": { "$ref": "#/d" } }
        });
        assert_eq!(Survey::of(&document, "/a"), Survey::default());
        assert_eq!(Survey::of(&document, "/d"), Survey { has_choices: true, leads_back: true, references: 4 });
    }

    #[test]
    fn all_is_told_of_what_is_flat_or_of_schemas_that_end() {
        let deep = |levels| (0..levels).fold(json!(1), |value, _| json!({ "n": value }));
        let survey = |references, leads_back| Survey { references, leads_back, has_choices: true };
        assert!(survey(2, true).can_tell_all(&deep(9)) && !survey(2, true).can_tell_all(&deep(10)));
        assert!(survey(30, true).can_tell_all(&deep(1)) && !survey(30, true).can_tell_all(&deep(2)));
        assert!(survey(1, true).can_tell_all(&deep(100)) && survey(9, false).can_tell_all(&deep(100)));
        assert!(!survey(2, true).can_tell_all(&json!([[], deep(30)])));
    }
}
