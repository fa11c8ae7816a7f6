//! What is likely a mistake in rules, though it can be asked.

use std::collections::BTreeSet;

use tidegate_core::{ConfigError, ConfigErrors, ConfigPath, Route};

use super::Decider;
use super::glob::Glob;
use super::statements::Statement;
use crate::config::{Effect, Require};

/// What routes have asked for.
#[derive(Debug, Default)]
pub(super) struct Used {
    permissions: BTreeSet<String>,
    lists: BTreeSet<String>,
    /// Parameters of routes that ask statements; `None` where no route does.
    params: Option<BTreeSet<String>>,
    /// What those routes call their actions.
    actions: BTreeSet<String>,
    /// Types of resources of routes that ask Cedar; `None` where no route does.
    resources: Option<BTreeSet<String>>,
    /// Whether one of them asks a service for attributes.
    asks_service: bool,
}

impl Used {
    pub(super) fn note(&mut self, require: &Require, route: &Route) {
        let of_methods = require.methods.iter().flat_map(|rule| &rule.permissions);
        self.permissions.extend(require.permissions.iter().chain(of_methods).cloned());
        self.lists.extend(require.acl.iter().map(|rule| rule.list.clone()));
        if require.statements {
            self.params.get_or_insert_default().extend(route.params().iter().map(|param| param.to_string()));
            self.actions.extend(require.actions.values().cloned());
        }
        if let Some(rule) = &require.cedar {
            let kind = rule.resource_type.clone().unwrap_or_else(|| "Route".to_owned());
            self.resources.get_or_insert_default().insert(kind);
            self.asks_service |= rule.fetch.is_some();
        }
    }
}

impl Decider {
    /// What is likely a mistake, relative to the section. Asked when every route has its rules.
    pub(crate) fn warnings(&self) -> ConfigErrors {
        let used = self.used.lock();
        let mut found = ConfigErrors::new();
        self.about_roles(&used, &mut found);
        self.about_lists(&used, &mut found);
        self.about_statements(&used, &mut found);
        if let Some(engine) = &self.cedar {
            let resources = used.resources.as_ref().filter(|_| !used.asks_service);
            found.extend(engine.warnings(resources).under(&"cedar".into()));
            if used.resources.is_none() {
                found.push(unused("cedar", "no route asks these policies", "a route asks them with `cedar: {}`"));
            }
        }
        found
    }

    fn about_roles(&self, used: &Used, found: &mut ConfigErrors) {
        let at = ConfigPath::from("roles");
        for role in self.roles.iter() {
            if !used.permissions.iter().any(|permission| role.gives(permission)) {
                let help =
                    "a route requires one with `permissions: [users:read]`; a role by itself needs no entry here";
                found.push(unused(at.key(&role.name), "no route requires a permission that this role gives", help));
            }
        }
    }

    fn about_lists(&self, used: &Used, found: &mut ConfigErrors) {
        let at = ConfigPath::from("acl");
        for (name, list) in &self.lists {
            let at = at.key(name);
            if !used.lists.contains(&**name) {
                let help = "a route asks it with `acl: { list: …, resource: … }`";
                found.push(unused(&at, "no route asks this list", help));
            }
            for verb in list.unused_verbs() {
                let warning = ConfigError::at(&at, format!("no method is `{verb}`, so nobody is ever asked for it"));
                found.push(warning.help(format!("say which is: verbs: {{ DELETE: {verb} }}")));
            }
        }
    }

    fn about_statements(&self, used: &Used, found: &mut ConfigErrors) {
        let at = ConfigPath::from("statements");
        let mut all = self.statements.iter().enumerate().peekable();
        if all.peek().is_none() {
            return;
        }
        if !self.statements.iter().any(|statement| statement.effect == Effect::Allow) {
            let warning = ConfigError::at(&at, "no statement allows anything, so nobody gets through");
            found.push(warning.help("add what is allowed: { effect: allow, actions: [get], resources: [\"/v1/*\"] }"));
        }
        let Some(params) = &used.params else {
            found.push(unused(at, "no route asks these statements", "a route asks them with `statements: true`"));
            return;
        };
        for (index, statement) in all {
            found.extend(too_much(statement).map(|warning| warning.under(&at.index(index))));
            for (place, action) in statement.actions.iter().enumerate() {
                let named = used.actions.iter().any(|name| action.matches(name));
                if !named && !action.could_be(is_of_a_method) {
                    found.push(never_asked(at.index(index).key("actions").index(place), action));
                }
            }
            for param in statement.params().filter(|param| !params.contains(*param)) {
                let place = at.index(index).key("when").key("params").key(param);
                let warning = ConfigError::at(place, "no route that asks statements has this path parameter");
                found.push(warning.about_key().help("so the statement never holds; parameters are named by routes"));
            }
        }
    }
}

/// Least privilege: what allows any action on any resource allows what nobody thought of.
fn too_much(statement: &Statement) -> Option<ConfigError> {
    if statement.effect == Effect::Deny || statement.is_conditional() {
        return None;
    }
    let all_resources =
        statement.resources.iter().any(|pattern| pattern.is_everything() || *pattern == Glob::new("/*"));
    let (all, most) = (statement.actions.iter().any(Glob::is_everything), statement.actions.iter().any(Glob::is_open));
    let what = match (all, most, all_resources) {
        (true, _, true) => "it allows every action on every resource",
        (false, true, true) => "it allows all actions of a kind on every resource",
        _ => return None,
    };
    Some(ConfigError::at("", what).help("name what is needed: actions: [users:read], resources: [\"/v1/users/*\"]"))
}

/// Methods are tokens (RFC 9110 section 5.6.2), and actions are called by them in lower case.
fn is_of_a_method(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'+-.^_`|~".contains(&byte)
}

fn never_asked(at: ConfigPath, action: &Glob) -> ConfigError {
    let error = ConfigError::at(at, "no route that asks statements calls an action so, and no method is called so");
    let lower = action.to_string().to_ascii_lowercase();
    match Glob::new(&lower).could_be(is_of_a_method) {
        true => error.help(format!("methods are written in lower case here: `{lower}`")),
        false => error.help("a route says what its actions are called: actions: { GET: \"users:read\" }"),
    }
}

fn unused(at: impl Into<ConfigPath>, what: &str, help: &str) -> ConfigError {
    ConfigError::at(at, what).about_key().help(help)
}
