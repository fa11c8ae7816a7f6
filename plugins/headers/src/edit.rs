//! Fields removed, renamed, set and added.

use std::collections::{BTreeMap, HashSet};

use tidegate_core::{ConfigError, ConfigErrors, ConfigPath, Fact, HeaderName, HeaderValue, Result, Route, Template};

use crate::config;
use crate::editable::{Side, editable, editable_pattern};
use crate::field::{FieldName, Fields};
use crate::names::{Names, Spelling};

/// What one route does to the fields of its requests or of its responses.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    remove: Names,
    rename: Box<[(FieldName, FieldName)]>,
    /// The names in `set`, in every spelling, so that no copy of a client's own reaches the upstream.
    forgeable: Names,
    set: Box<[(FieldName, Value)]>,
    add: Box<[(FieldName, Value)]>,
}

/// A value as it is sent, or one that is made for each request.
#[derive(Debug)]
enum Value {
    Fixed(HeaderValue),
    Facts(Template),
}

impl Value {
    fn render(&self, facts: &impl Fn(&Template) -> Option<HeaderValue>) -> Option<HeaderValue> {
        match self {
            Value::Fixed(value) => Some(value.clone()),
            Value::Facts(template) => facts(template),
        }
    }
}

impl Edits {
    /// Does them: remove, rename, set, add. `facts` is what is known of the request; a value that needs a fact which
    /// is not known is not set, and what stood there is gone all the same.
    pub(crate) fn apply(&self, head: &mut impl Fields, facts: impl Fn(&Template) -> Option<HeaderValue>) -> Result<()> {
        self.remove.strip(head);
        self.rename(head)?;
        self.forgeable.strip(head);
        for (name, value) in &self.set {
            match value.render(&facts) {
                Some(value) => head.put(name, value)?,
                None => head.take(name.name()),
            }
        }
        let add = self.add.iter().filter_map(|(name, value)| Some((name, value.render(&facts)?)));
        add.into_iter().try_for_each(|(name, value)| head.push(name, value))
    }

    /// All old names are taken before any new one is put, so that two names can be swapped.
    fn rename(&self, head: &mut impl Fields) -> Result<()> {
        let mut moved = Vec::new();
        for (old, new) in self.rename.iter().filter(|(old, _)| head.fields().contains_key(old.name())) {
            moved.push((new, head.values(old.name())));
        }
        let olds = self.rename.iter().map(|(old, _)| old);
        olds.for_each(|old| head.take(old.name()));
        for (new, values) in moved {
            head.take(new.name());
            values.into_iter().try_for_each(|value| head.push(new, value))?;
        }
        Ok(())
    }
}

/// Reads the rules of one side, and finds all that is wrong with them.
pub(crate) struct Builder<'a> {
    side: Side,
    route: &'a Route,
    errors: ConfigErrors,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(side: Side, route: &'a Route) -> Self {
        Self { side, route, errors: ConfigErrors::new() }
    }

    /// Errors have paths relative to the rules.
    pub(crate) fn build(mut self, rules: &config::Edits) -> Result<Edits, ConfigErrors> {
        let edits = Edits {
            remove: self.remove(&rules.remove),
            rename: self.rename(&rules.rename),
            set: self.values("set", &rules.set),
            add: self.values("add", &rules.add),
            forgeable: Names::default(),
        };
        let forgeable = match self.side {
            Side::Request => edits.set.iter().map(|(name, _)| name.name().clone()).collect(),
            Side::Response => Vec::new(),
        };
        let forgeable = Names::new(forgeable, [], Spelling::AnySeparator);
        self.errors.into_result(Edits { forgeable, ..edits })
    }

    fn remove(&mut self, rules: &[String]) -> Names {
        let (mut exact, mut patterns) = (Vec::new(), Vec::new());
        for (index, text) in rules.iter().enumerate() {
            let path = ConfigPath::root().key("remove").index(index);
            match text.contains('*') {
                true => patterns.extend(self.errors.collect(editable_pattern(self.side, text, path))),
                false => exact.extend(self.errors.collect(editable(self.side, text, path))),
            }
        }
        let spelling = match self.side {
            Side::Request => Spelling::AnySeparator,
            Side::Response => Spelling::Exact,
        };
        Names::new(exact.into_iter().map(|name| name.name().clone()), patterns, spelling)
    }

    fn rename(&mut self, rules: &BTreeMap<String, String>) -> Box<[(FieldName, FieldName)]> {
        let (mut olds, mut news) = (HashSet::new(), HashSet::new());
        let mut renames = Vec::new();
        for (old, new) in rules {
            let path = ConfigPath::root().key("rename").key(old);
            let old = self.errors.collect(editable(self.side, old, path.clone()));
            let new = self.errors.collect(editable(self.side, new, path.clone()));
            if let (Some(old), Some(new)) = (old, new) {
                self.once(&mut olds, old.name(), &path);
                self.once(&mut news, new.name(), &path);
                renames.push((old, new));
            }
        }
        renames.into()
    }

    fn values(&mut self, rule: &str, rules: &BTreeMap<String, Template>) -> Box<[(FieldName, Value)]> {
        let mut names = HashSet::new();
        let mut values = Vec::new();
        for (name, template) in rules {
            let path = ConfigPath::root().key(rule).key(name);
            let name = self.errors.collect(editable(self.side, name, path.clone()));
            let value = self.value(template, &path);
            if let (Some(name), Some(value)) = (name, value) {
                self.once(&mut names, name.name(), &path);
                values.push((name, value));
            }
        }
        values.into()
    }

    fn value(&mut self, template: &Template, path: &ConfigPath) -> Option<Value> {
        template.facts().for_each(|fact| self.known(fact, path));
        let Some(text) = template.fixed() else {
            return Some(Value::Facts(template.clone()));
        };
        let value = HeaderValue::from_bytes(text.as_bytes());
        let value = value.map_err(|_| ConfigError::at(path, format!("{text:?} can't be sent in a header")));
        self.errors.collect(value).map(Value::Fixed)
    }

    /// A parameter that the route's path doesn't have would be missing from every request.
    fn known(&mut self, fact: &Fact, path: &ConfigPath) {
        let Fact::Param(name) = fact else { return };
        if self.route.params().contains(name) {
            return;
        }
        let help = match self.route.params() {
            [] => "the path of this route has no parameters; add one: match: { path: \"/users/{user}\" }".to_owned(),
            params => format!("the path of this route has: {}", params.join(", ")),
        };
        let message = format!("the route `{}` has no path parameter `{name}`", self.route.name());
        self.errors.push(ConfigError::at(path, message).help(help));
    }

    fn once(&mut self, seen: &mut HashSet<HeaderName>, name: &HeaderName, path: &ConfigPath) {
        if !seen.insert(name.clone()) {
            let message = format!("there is another rule of this kind for `{name}`; header names ignore case");
            self.errors.push(ConfigError::at(path, message).help("keep one of the two"));
        }
    }
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;
