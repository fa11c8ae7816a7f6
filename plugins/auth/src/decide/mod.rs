//! May they: what a route requires of an identity.

mod acl;
mod cedar;
mod claims;
mod decode;
mod explain;
mod glob;
mod lint;
mod method;
mod needs;
mod roles;
mod rules;
mod statements;
mod template;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tidegate_core::{BuildCx, ConfigError, ConfigErrors, ConfigPath, Route};

use crate::config::{Config, Require};
use crate::verdict::Failure;
use acl::Acl;
use cedar::Engine;
use lint::Used;
use roles::Roles;
use statements::Statements;

pub(crate) use rules::Rules;

/// All rules of the section.
pub(crate) struct Decider {
    roles: Roles,
    lists: BTreeMap<Box<str>, Arc<Acl>>,
    statements: Arc<Statements>,
    cedar: Option<Arc<Engine>>,
    /// What routes have asked for, to tell what none has.
    used: Mutex<Used>,
}

/// What the rules say of a request by somebody who is known.
#[derive(Debug)]
pub(crate) enum Decision {
    /// They may.
    Allow,
    /// They may not: by which rule, for the log and `tidegate explain`.
    Deny(Cow<'static, str>),
    /// They might, with a proof for which more was granted: all scopes that are needed, with spaces between, for
    /// `error="insufficient_scope"` (RFC 6750 section 3.1). Nothing in them needs quoting.
    Scope(String),
    /// Whoever has to be asked did not answer: 503.
    Failed(Failure),
}

impl Decider {
    /// Errors are relative to the section.
    pub(crate) fn build(config: &Config, cx: &mut BuildCx<'_>) -> Result<Arc<Self>, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let roles = errors.collect(Roles::build(&config.roles).map_err(|e| e.under(&"roles".into())));
        let mut lists = BTreeMap::new();
        for (name, list) in &config.acl {
            let built = Acl::build(name, list, cx).map_err(|e| e.under(&ConfigPath::from("acl").key(name)));
            lists.extend(errors.collect(built).map(|list| (name.as_str().into(), list)));
        }
        let statements = Statements::build(&config.statements).map_err(|e| e.under(&"statements".into()));
        let statements = errors.collect(statements);
        let cedar = config.cedar.as_ref().map(|cedar| Engine::build(cedar, cx)).transpose();
        let cedar = errors.collect(cedar.map_err(|e| e.under(&"cedar".into())));
        let (Some(roles), Some(statements), Some(cedar)) = (roles, statements, cedar) else { return Err(errors) };
        errors.into_result(Arc::new(Self {
            roles,
            lists,
            statements: Arc::new(statements),
            cedar: cedar.map(Arc::new),
            used: Mutex::new(Used::default()),
        }))
    }

    /// The rules of one route; errors are relative to `require`.
    pub(crate) fn rules(self: &Arc<Self>, require: &Require, route: &Route) -> Result<Rules, ConfigErrors> {
        self.used.lock().note(require, route);
        Rules::build(require, route, self)
    }

    /// A list of the section. The error carries no path.
    fn list(&self, name: &str) -> Result<Arc<Acl>, ConfigError> {
        self.lists.get(name).cloned().ok_or_else(|| {
            let known = self.lists.keys().map(|name| &**name).collect::<Vec<_>>().join(", ");
            let help = match known.as_str() {
                "" => "add it to the section: auth: { acl: { docs: { file: acl.yaml } } }".to_owned(),
                known => format!("auth.acl has: {known}"),
            };
            ConfigError::at("", format!("no list is called `{}`", name.escape_debug())).help(help)
        })
    }
}
