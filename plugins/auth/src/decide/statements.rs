//! Statements that allow or deny actions on resources. A deny wins whatever the order; what nothing allows is denied.

use std::borrow::Cow;
use std::net::IpAddr;

use ipnet::IpNet;
use tidegate_core::facts::Identity;
use tidegate_core::{Asked, ConfigError, ConfigErrors, ConfigPath};

use super::claims::{Claims, Params};
use super::decode::Place;
use super::glob::{Beginning, Glob};
use crate::config::{self, Effect};

/// All statements of the section.
#[derive(Debug)]
pub(super) struct Statements(Box<[Statement]>);

/// One of them.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) name: Box<str>,
    pub(super) effect: Effect,
    /// None: everybody who is known.
    principals: Box<[Principal]>,
    pub(super) actions: Box<[Glob]>,
    pub(super) resources: Box<[Glob]>,
    when: When,
}

/// Who a statement is about. A role is never taken for a subject: `role:admin` may be somebody's name.
#[derive(Debug)]
enum Principal {
    Everybody,
    Role(Beginning),
    Subject(Beginning),
}

#[derive(Debug)]
struct When {
    client: Box<[IpNet]>,
    claims: Claims,
    params: Params,
}

/// What the statements say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ruling<'s> {
    /// By the first that does, with no deny anywhere.
    Allowed(&'s str),
    /// By the first that does.
    Denied(&'s str),
    /// None is about it.
    Silent,
    /// The path has no reading.
    Unreadable,
}

impl Statements {
    /// Errors are relative to `statements`.
    pub(super) fn build(statements: &[config::Statement]) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let mut all: Vec<Statement> = Vec::new();
        for (index, config) in statements.iter().enumerate() {
            let at = ConfigPath::root().index(index);
            let built = Statement::build(config, index).map_err(|e| e.under(&at));
            let Some(statement) = errors.collect(built) else { continue };
            if all.iter().any(|other| other.name == statement.name) {
                let error = ConfigError::at(at.key("name"), "two statements have one name");
                errors.push(error.help("the log has to tell them apart"));
            }
            all.push(statement);
        }
        errors.into_result(Self(all.into()))
    }

    pub(super) fn rule(&self, asked: &Asked<'_>, identity: &Identity, action: &str) -> Ruling<'_> {
        let Some(place) = Place::of(asked.head.path) else { return Ruling::Unreadable };
        let mut allowed = None;
        for statement in &self.0 {
            if !statement.is_about(asked, identity, action, &place) {
                continue;
            }
            match statement.effect {
                Effect::Deny => return Ruling::Denied(&statement.name),
                Effect::Allow => allowed = allowed.or(Some(&*statement.name)),
            }
        }
        allowed.map_or(Ruling::Silent, Ruling::Allowed)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Statement> {
        self.0.iter()
    }
}

impl Statement {
    /// Errors are relative to the statement.
    fn build(config: &config::Statement, index: usize) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let name = match &config.name {
            Some(name) => Cow::Borrowed(name.as_str()),
            None => Cow::Owned((index + 1).to_string()),
        };
        if name.is_empty() {
            errors.push(ConfigError::at("name", "an empty name").help("leave it out for its number"));
        }
        let principals = list(&config.principals, "principals", &mut errors, Principal::parse);
        let actions = list(&config.actions, "actions", &mut errors, action);
        let resources = list(&config.resources, "resources", &mut errors, resource);
        for (key, list) in [("actions", &config.actions), ("resources", &config.resources)] {
            if list.is_empty() {
                let error = ConfigError::at(key, "none, so the statement is about nothing");
                errors.push(error.help("name them, or write `*` for all"));
            }
        }
        let when = errors.collect(When::build(&config.when).map_err(|e| e.under(&"when".into())));
        let Some(when) = when else { return Err(errors) };
        let statement = Self { name: name.into(), effect: config.effect, principals, actions, resources, when };
        errors.into_result(statement)
    }

    fn is_about(&self, asked: &Asked<'_>, identity: &Identity, action: &str, place: &Place<'_>) -> bool {
        let all = self.principals.is_empty();
        (all || self.principals.iter().any(|principal| principal.is(identity)))
            && self.actions.iter().any(|pattern| pattern.matches(action))
            && self.covers(place)
            && self.when.holds(self.effect, asked, identity)
    }

    /// What denies looks at every reading of the path, what allows at the exact one alone.
    fn covers(&self, place: &Place<'_>) -> bool {
        let covers = |path: &str| self.resources.iter().any(|pattern| pattern.matches(path));
        match self.effect {
            Effect::Allow => covers(&place.exact),
            Effect::Deny => place.readings().any(covers),
        }
    }

    pub(super) fn is_conditional(&self) -> bool {
        !self.when.client.is_empty() || self.when.claims.iter().next().is_some() || self.params().next().is_some()
    }

    /// The path parameters that it looks at.
    pub(super) fn params(&self) -> impl Iterator<Item = &str> {
        self.when.params.iter().map(|(param, _)| param)
    }
}

impl Principal {
    fn parse(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("role:")) {
            ("*", _) => Ok(Self::Everybody),
            (_, Some(role)) => Beginning::parse(role).map(Self::Role),
            _ => Beginning::parse(text).map(Self::Subject),
        }
    }

    fn is(&self, identity: &Identity) -> bool {
        match self {
            Self::Everybody => true,
            Self::Subject(name) => name.matches(identity.subject()),
            Self::Role(name) => identity.roles().iter().any(|role| name.matches(role)),
        }
    }
}

fn action(text: &str) -> Result<Glob, String> {
    match text {
        "" => Err("no action is called nothing".to_owned()),
        _ => Ok(Glob::new(text)),
    }
}

fn resource(text: &str) -> Result<Glob, String> {
    match text.starts_with(['/', '*']) {
        true => Ok(Glob::new(text)),
        false => Err("paths begin with a slash, so it is about none; write `/v1/users/*`".to_owned()),
    }
}

fn list<T>(
    texts: &[String],
    key: &str,
    errors: &mut ConfigErrors,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Box<[T]> {
    let at = ConfigPath::root().key(key);
    let mut all = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        all.extend(errors.collect(parse(text).map_err(|why| ConfigError::at(at.index(index), why))));
    }
    all.into()
}

impl When {
    /// Errors are relative to `when`.
    fn build(config: &config::When) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let client = list(&config.client, "client", &mut errors, network);
        let claims = errors.collect(Claims::build(&config.claims).map_err(|e| e.under(&"claims".into())));
        let params = errors.collect(Params::build(&config.params).map_err(|e| e.under(&"params".into())));
        errors.into_result(Self { client, claims: claims.unwrap_or_default(), params: params.unwrap_or_default() })
    }

    /// What denies holds for a path parameter with several readings, too: one of them may be the one that it is about.
    fn holds(&self, effect: Effect, asked: &Asked<'_>, identity: &Identity) -> bool {
        let client = asked.head.client.to_canonical();
        let params = match effect {
            Effect::Allow => self.params.unmet(asked, identity).is_none(),
            Effect::Deny => self.params.may_hold(asked, identity),
        };
        (self.client.is_empty() || self.client.iter().any(|net| net.contains(&client)))
            && self.claims.unmet(identity).is_none()
            && params
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.to_canonical().into());
    }
    let unknown = |_| "this is neither an address nor a network such as 10.0.0.0/8".to_owned();
    let net: IpNet = text.parse().map_err(unknown)?;
    match net.trunc() == net {
        true => Ok(net),
        false => Err(format!("it has bits set beyond its prefix; write {}", net.trunc())),
    }
}

#[cfg(test)]
#[path = "statements_tests.rs"]
mod tests;
