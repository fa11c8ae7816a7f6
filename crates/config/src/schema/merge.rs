//! The definitions of several schemas in one place.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

const PREFIX: &str = "#/$defs/";

#[derive(Default)]
pub(super) struct Definitions(Map<String, Value>);

impl Definitions {
    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.0.get_mut(name)
    }

    pub(super) fn into_sorted(self) -> Value {
        let mut entries: Vec<_> = self.0.into_iter().collect();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        Value::Object(entries.into_iter().collect())
    }

    /// Moves the definitions of `schema` here; returns the rest of it.
    pub(super) fn take_in(&mut self, owner: &str, mut schema: Value) -> Value {
        let Some(object) = schema.as_object_mut() else { return schema };
        object.shift_remove("$schema");
        // Names of types: of no use to who writes the file.
        object.shift_remove("title");
        let Some(Value::Object(theirs)) = object.shift_remove("$defs") else { return schema };
        let renamed = self.conflicts(&theirs);
        let name_of = |name: &str| match renamed.contains(name) {
            true => format!("{owner}.{name}"),
            false => name.to_owned(),
        };
        for (name, mut definition) in theirs {
            rename(&mut definition, &name_of);
            self.0.insert(name_of(&name), definition);
        }
        rename(&mut schema, &name_of);
        schema
    }

    /// The names that mean something else here already, or whose definition leads to such a name.
    fn conflicts(&self, theirs: &Map<String, Value>) -> BTreeSet<String> {
        let differs =
            |(name, definition): &(&String, &Value)| self.0.get(*name).is_some_and(|ours| ours != *definition);
        let mut renamed: BTreeSet<String> = theirs.iter().filter(differs).map(|(name, _)| name.clone()).collect();
        loop {
            let leads_there =
                |(_, definition): &(&String, &Value)| references(definition).any(|to| renamed.contains(to));
            let more: Vec<String> = theirs
                .iter()
                .filter(leads_there)
                .map(|(name, _)| name.clone())
                .filter(|n| !renamed.contains(n))
                .collect();
            if more.is_empty() {
                return renamed;
            }
            renamed.extend(more);
        }
    }
}

fn references(value: &Value) -> Box<dyn Iterator<Item = &str> + '_> {
    match value {
        Value::Object(object) => {
            let own = object.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix(PREFIX));
            Box::new(own.into_iter().chain(object.values().flat_map(references)))
        }
        Value::Array(values) => Box::new(values.iter().flat_map(references)),
        _ => Box::new(std::iter::empty()),
    }
}

fn rename(value: &mut Value, name_of: &impl Fn(&str) -> String) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get_mut("$ref")
                && let Some(name) = reference.strip_prefix(PREFIX)
            {
                *reference = format!("{PREFIX}{}", name_of(name));
            }
            object.values_mut().for_each(|value| rename(value, name_of));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| rename(value, name_of)),
        _ => {}
    }
}
