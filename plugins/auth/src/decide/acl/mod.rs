//! Lists of who may do what with which resource.

mod file;
mod store;
mod table;

use std::sync::Arc;

use arc_swap::ArcSwap;
use tidegate_core::facts::Identity;
use tidegate_core::{Asked, BuildCx, ConfigError, ConfigErrors, Method};

use super::explain::{Says, Told};
use super::method::Words;
use super::template::Template;
use crate::config;
use crate::verdict::Failure;
use store::ListStore;
use table::Table;

/// One list of the section.
#[derive(Debug)]
pub(super) struct Acl {
    pub(super) name: Box<str>,
    verbs: Words,
    list: List,
}

#[derive(Debug)]
enum List {
    Here(Table),
    /// As its file said when it was last good.
    File(Arc<ArcSwap<Table>>),
    Store(ListStore),
}

/// What a route asks of a list.
#[derive(Debug)]
pub(super) struct AclCheck {
    pub(super) acl: Arc<Acl>,
    resource: Template,
}

/// What a list says.
#[derive(Debug)]
pub(super) enum Listed {
    Allowed,
    Denied,
    Failed(Failure),
}

impl Acl {
    /// Errors are relative to the list.
    pub(super) fn build(name: &str, config: &config::Acl, cx: &mut BuildCx<'_>) -> Result<Arc<Self>, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let verbs = errors.collect(Words::parse(&config.verbs).map_err(|e| e.under(&"verbs".into())));
        let list = match (config.entries.is_empty(), &config.file, &config.store) {
            (false, None, None) => {
                Table::build(&config.entries).map(List::Here).map_err(|e| e.under(&"entries".into()))
            }
            (true, Some(path), None) => {
                file::open(name, path, cx).map(List::File).map_err(|e| e.under(&"file".into()).into())
            }
            (true, None, Some(store)) => {
                ListStore::open(store, cx).map(List::Store).map_err(|e| e.under(&"store".into()))
            }
            _ => {
                let error = ConfigError::at("", "a list is exactly one of `entries`, `file` and `store`");
                Err(error.help("write entries: { \"doc:123\": { alice: [read, write] } }").into())
            }
        };
        let list = errors.collect(list);
        let (Some(verbs), Some(list)) = (verbs, list) else { return Err(errors) };
        errors.into_result(Arc::new(Self { name: name.into(), verbs, list }))
    }

    /// Verbs of the list itself that no method is. A file is looked at as it is now; nobody else is asked.
    pub(super) fn unused_verbs(&self) -> Vec<Box<str>> {
        let is_used = |verb: &str| matches!(verb, "read" | "write") || self.verbs.words().any(|(_, used)| used == verb);
        let unused = |table: &Table| table.verbs().filter(|verb| !is_used(verb)).map(Box::from).collect();
        match &self.list {
            List::Here(table) => unused(table),
            List::File(file) => unused(&file.load()),
            List::Store(_) => Vec::new(),
        }
    }

    pub(super) fn verb(&self, method: &Method) -> &str {
        self.verbs.verb(method)
    }
}

impl AclCheck {
    pub(super) fn new(acl: Arc<Acl>, resource: Template) -> Self {
        Self { acl, resource }
    }

    pub(super) async fn ask(&self, asked: &Asked<'_>, identity: &Identity) -> Listed {
        let Some(resource) = self.resource.render(asked) else { return Listed::Denied };
        let verb = self.acl.verb(asked.head.method);
        match &self.acl.list {
            List::Here(table) => Listed::from(table.allows(&resource, identity, verb)),
            List::File(file) => Listed::from(file.load().allows(&resource, identity, verb)),
            // It waits: out of line, so that those that don't wait stay small.
            List::Store(store) => Box::pin(store.ask(&resource, identity, verb)).await,
        }
    }

    /// The same for a person, without asking anybody.
    pub(super) fn explain(&self, asked: &Asked<'_>) -> Told {
        let acl = &self.acl;
        let verb = acl.verb(asked.head.method);
        let Some(resource) = self.resource.render(asked) else {
            return Told::new(format!("acl {}: {} has no single reading here", acl.name, self.resource), Says::No);
        };
        let line = format!("acl {}: {verb} on {resource:?}", acl.name);
        let says = |table: &Table| Says::of(asked.identity, |identity| table.allows(&resource, identity, verb));
        match &acl.list {
            List::Here(table) => Told::new(line, says(table)),
            List::File(file) => Told::new(line, says(&file.load())),
            List::Store(store) => Told::new(line, Says::WouldAsk(store.to_string())),
        }
    }
}

impl From<bool> for Listed {
    fn from(allowed: bool) -> Self {
        if allowed { Self::Allowed } else { Self::Denied }
    }
}
