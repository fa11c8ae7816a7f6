//! A list in memory.

use std::collections::{BTreeMap, HashMap};

use tidegate_core::facts::Identity;
use tidegate_core::{ConfigError, ConfigErrors, ConfigPath};

use crate::config::AclEntry;

/// The subject that is everybody who is known.
pub(super) const EVERYBODY: &str = "*";

/// What subjects that are roles begin with.
pub(super) const ROLE: &str = "role:";

/// Who may do what, by resource.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Table(HashMap<Box<str>, Entry>);

/// Verbs. Subjects and roles are kept apart: somebody may be called `role:admin`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Entry {
    everybody: Verbs,
    roles: HashMap<Box<str>, Verbs>,
    subjects: HashMap<Box<str>, Verbs>,
}

type Verbs = Box<[Box<str>]>;

impl Table {
    /// Errors are relative to the entries.
    pub(super) fn build(entries: &BTreeMap<String, AclEntry>) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let mut table = HashMap::with_capacity(entries.len());
        for (resource, entry) in entries {
            let built = Entry::build(entry).map_err(|error| error.under(&ConfigPath::root().key(resource)));
            table.extend(errors.collect(built).map(|entry| (resource.as_str().into(), entry)));
        }
        errors.into_result(Self(table))
    }

    pub(super) fn allows(&self, resource: &str, identity: &Identity, verb: &str) -> bool {
        let Some(entry) = self.0.get(resource) else { return false };
        let has = |verbs: &Verbs| verbs.iter().any(|has| **has == *verb);
        has(&entry.everybody)
            || entry.subjects.get(identity.subject()).is_some_and(has)
            || identity.roles().iter().any(|role| entry.roles.get(role).is_some_and(has))
    }

    /// All verbs in it, each once.
    pub(super) fn verbs(&self) -> impl Iterator<Item = &str> {
        let entries = self.0.values();
        let lists = entries.flat_map(|entry| {
            std::iter::once(&entry.everybody).chain(entry.roles.values()).chain(entry.subjects.values())
        });
        let all: std::collections::BTreeSet<&str> = lists.flatten().map(|verb| &**verb).collect();
        all.into_iter()
    }
}

impl Entry {
    fn build(config: &AclEntry) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let mut entry = Self::default();
        for (subject, verbs) in config {
            let at = ConfigPath::root().key(subject);
            for (index, verb) in verbs.iter().enumerate().filter(|(_, verb)| !is_verb(verb)) {
                let error = ConfigError::at(at.index(index), format!("`{}` is not a verb", verb.escape_debug()));
                errors.push(error.help("one word in each place: [read, write]"));
            }
            let verbs: Verbs = verbs.iter().map(|verb| verb.as_str().into()).collect();
            match (subject.as_str(), subject.strip_prefix(ROLE)) {
                (EVERYBODY, _) => entry.everybody = verbs,
                ("", _) | (_, Some("")) => errors.push(ConfigError::at(at, "a subject without a name").about_key()),
                (_, Some(role)) => drop(entry.roles.insert(role.into(), verbs)),
                (subject, None) => drop(entry.subjects.insert(subject.into(), verbs)),
            }
        }
        errors.into_result(entry)
    }
}

/// What a store can keep between commas, too.
fn is_verb(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',' && byte != b'*')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::decide::tests::who;

    fn table(yaml: &str) -> Result<Table, ConfigErrors> {
        Table::build(&serde_yaml::from_str(yaml).expect("YAML"))
    }

    #[test]
    fn subjects_roles_and_everybody_have_their_verbs() {
        let table = table("doc: { alice: [read, write], 'role:staff': [read], '*': [list] }").expect("a table");
        let allows = |subject, roles: &[&str], verb| table.allows("doc", &who(subject, roles, json!({})), verb);
        assert!(allows("alice", &[], "read") && allows("alice", &[], "write") && allows("alice", &[], "list"));
        assert!(allows("bob", &["x", "staff"], "read") && !allows("bob", &["staff"], "write"));
        assert!(allows("carol", &[], "list") && !allows("carol", &[], "read"));
        assert!(!table.allows("other", &who("alice", &[], json!({})), "read"));
    }

    #[test]
    fn nobody_can_be_called_like_a_role_or_everybody() {
        let table = table("doc: { 'role:admin': [write], '*': [read] }").expect("a table");
        assert!(!table.allows("doc", &who("role:admin", &[], json!({})), "write"));
        assert!(!table.allows("doc", &who("admin", &[], json!({})), "write"));
        assert!(!table.allows("doc", &who("x", &["role:admin", "*"], json!({})), "write"));
    }

    #[test]
    fn faults_have_their_places() {
        let errors = table("doc: { alice: ['read,write', '*', ok], 'role:': [read] }").expect_err("bad").to_string();
        assert!(errors.contains("doc.alice[0]: `read,write` is not a verb"), "{errors}");
        assert!(errors.contains("doc.alice[1]: `*` is not a verb"), "{errors}");
        assert!(errors.contains("doc.\"role:\": a subject without a name"), "{errors}");
    }
}
