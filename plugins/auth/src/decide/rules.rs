//! The rules of one route. All that are given must hold.

use std::borrow::Cow;
use std::sync::Arc;

use tidegate_core::facts::Identity;
use tidegate_core::{Asked, ConfigError, ConfigErrors, ConfigPath, Method, Route};

use super::acl::{AclCheck, Listed};
use super::cedar::{CedarCheck, Decided};
use super::claims::{Claims, Params};
use super::method::{Methods, Words};
use super::needs::{Needs, Unmet};
use super::statements::{Ruling, Statements};
use super::template::Template;
use super::{Decider, Decision};
use crate::config::{AclRule, MethodRule, Require};

/// The rules of one route, cheap ones first.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(super) needs: Needs,
    pub(super) claims: Claims,
    pub(super) params: Params,
    pub(super) methods: Box<[OfMethods]>,
    pub(super) acl: Option<AclCheck>,
    pub(super) statements: Option<Arc<Statements>>,
    pub(super) cedar: Option<CedarCheck>,
    pub(super) actions: Words,
}

/// What some methods need.
#[derive(Debug)]
pub(super) struct OfMethods {
    pub(super) methods: Methods,
    pub(super) needs: Needs,
}

impl Rules {
    /// Errors are relative to `require`.
    pub(super) fn build(require: &Require, route: &Route, decider: &Decider) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let needs = Needs::build(&require.roles, &require.permissions, &require.scopes, &decider.roles);
        let needs = errors.collect(needs).unwrap_or_default();
        let claims = Claims::build(&require.claims).map_err(|e| e.under(&"claims".into()));
        let claims = errors.collect(claims).unwrap_or_default();
        let params = Params::of_route(&require.params, route).map_err(|e| e.under(&"params".into()));
        let params = errors.collect(params).unwrap_or_default();
        let mut methods = Vec::new();
        for (index, rule) in require.methods.iter().enumerate() {
            let built = OfMethods::build(rule, decider);
            methods.extend(errors.collect(built.map_err(|e| e.under(&ConfigPath::from("methods").index(index)))));
        }
        let acl = require.acl.as_ref().map(|rule| acl(rule, route, decider)).transpose();
        let acl = errors.collect(acl.map_err(|e| e.under(&"acl".into()))).flatten();
        let statements = errors.collect(statements(require, decider)).flatten();
        let actions = Words::parse(&require.actions).map_err(|e| e.under(&"actions".into()));
        let actions = errors.collect(actions).unwrap_or_default();
        let cedar = errors.collect(cedar(require, route, decider)).flatten();
        errors.extend(unused_actions(require));
        errors.into_result(Self { needs, claims, params, methods: methods.into(), acl, statements, cedar, actions })
    }

    /// Decides. `asked.identity` is there; nobody in particular may nothing.
    pub(crate) async fn decide(&self, asked: &Asked<'_>) -> Decision {
        let Some(identity) = asked.identity else { return Decision::Deny(Cow::Borrowed("nobody is known")) };
        if let Some(no) = self.refuse(asked, identity) {
            return no;
        }
        if let Some(acl) = &self.acl {
            match acl.ask(asked, identity).await {
                Listed::Allowed => {}
                Listed::Denied => return deny(format!("acl {}", acl.acl.name)),
                Listed::Failed(failure) => return Decision::Failed(failure),
            }
        }
        if let Some(no) = self.statements.as_ref().and_then(|all| self.refuse_by(all, asked, identity)) {
            return no;
        }
        let Some(cedar) = &self.cedar else { return Decision::Allow };
        match cedar.ask(asked, identity, &self.actions.action(asked.head.method)).await {
            Decided::Allowed => Decision::Allow,
            Decided::Denied(by) => deny(by),
            Decided::Failed(failure) => Decision::Failed(failure),
        }
    }

    /// What the identity alone says. Scopes come last: who lacks more than those is not told to ask for them.
    fn refuse(&self, asked: &Asked<'_>, identity: &Identity) -> Option<Decision> {
        let no = |(place, unmet): (&'static str, Unmet<'_>)| match unmet {
            Unmet::Roles => Decision::Deny(Cow::Borrowed(place)),
            Unmet::Permission(name) => deny(format!("permission {name}")),
        };
        let mut of_method =
            self.of(asked.head.method).map(|needs| needs.unmet(identity).map(|unmet| ("roles of the method", unmet)));
        let unmet = self.needs.unmet(identity).map(|unmet| ("roles", unmet));
        (unmet.or_else(|| of_method.find_map(|unmet| unmet)).map(no))
            .or_else(|| self.claims.unmet(identity).map(|name| deny(format!("claim {name}"))))
            .or_else(|| self.params.unmet(asked, identity).map(|name| deny(format!("path parameter {name}"))))
            .or_else(|| self.refuse_scopes(asked.head.method, identity))
    }

    fn refuse_scopes(&self, method: &Method, identity: &Identity) -> Option<Decision> {
        let all = || std::iter::once(&self.needs).chain(self.of(method));
        if all().all(|needs| needs.has_scopes(identity)) {
            return None;
        }
        let scopes: Vec<&str> = all().flat_map(Needs::scopes).map(|scope| &**scope).collect();
        Some(Decision::Scope(scopes.join(" ")))
    }

    fn refuse_by(&self, statements: &Statements, asked: &Asked<'_>, identity: &Identity) -> Option<Decision> {
        match statements.rule(asked, identity, &self.actions.action(asked.head.method)) {
            Ruling::Allowed(_) => None,
            Ruling::Denied(name) => Some(deny(format!("statement {name}"))),
            Ruling::Silent => Some(Decision::Deny(Cow::Borrowed("statements: none allows it"))),
            Ruling::Unreadable => Some(Decision::Deny(Cow::Borrowed("statements: no such path"))),
        }
    }

    /// What is needed beside, for a method.
    fn of(&self, method: &Method) -> impl Iterator<Item = &Needs> {
        self.methods.iter().filter(|rule| rule.methods.contain(method)).map(|rule| &rule.needs)
    }
}

impl OfMethods {
    /// Errors are relative to the rule.
    fn build(rule: &MethodRule, decider: &Decider) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let methods = errors.collect(Methods::parse(&rule.methods).map_err(|e| e.under(&"methods".into())));
        let needs = errors.collect(Needs::build(&rule.roles, &rule.permissions, &rule.scopes, &decider.roles));
        if needs.as_ref().is_some_and(Needs::is_empty) {
            let error = ConfigError::at("", "a rule that requires nothing");
            errors.push(error.help("say what: { methods: [DELETE], roles: [admin] }"));
        }
        let (Some(methods), Some(needs)) = (methods, needs) else { return Err(errors) };
        errors.into_result(Self { methods, needs })
    }
}

fn deny(by: String) -> Decision {
    Decision::Deny(Cow::Owned(by))
}

/// Errors are relative to `acl`.
fn acl(rule: &AclRule, route: &Route, decider: &Decider) -> Result<AclCheck, ConfigErrors> {
    let mut errors = ConfigErrors::new();
    let list = errors.collect(decider.list(&rule.list).map_err(|error| error.under(&"list".into())));
    let resource = Template::parse(&rule.resource, route).map_err(|error| error.under(&"resource".into()));
    let resource = errors.collect(resource);
    let (Some(list), Some(resource)) = (list, resource) else { return Err(errors) };
    errors.into_result(AclCheck::new(list, resource))
}

fn statements(require: &Require, decider: &Decider) -> Result<Option<Arc<Statements>>, ConfigError> {
    match (require.statements, decider.statements.iter().next()) {
        (false, _) => Ok(None),
        (true, Some(_)) => Ok(Some(decider.statements.clone())),
        (true, None) => {
            let error = ConfigError::at("statements", "the section has none, so nobody could get through");
            Err(error
                .help("add them: auth: { statements: [{ effect: allow, actions: [get], resources: [\"/v1/*\"] }] }"))
        }
    }
}

/// Errors are relative to `require`.
fn cedar(require: &Require, route: &Route, decider: &Decider) -> Result<Option<CedarCheck>, ConfigErrors> {
    let Some(rule) = &require.cedar else { return Ok(None) };
    let Some(engine) = &decider.cedar else {
        let error = ConfigError::at("cedar", "the section has no Cedar policies");
        return Err(error.help("add them: auth: { cedar: { policies: [policies.cedar] } }").into());
    };
    let actions: Vec<_> = require.actions.iter().map(|(method, action)| (method.clone(), action.clone())).collect();
    CedarCheck::build(rule, &actions, engine, route).map(Some)
}

fn unused_actions(require: &Require) -> Option<ConfigError> {
    let unused = !require.actions.is_empty() && !require.statements && require.cedar.is_none();
    unused.then(|| {
        let error = ConfigError::at("actions", "nobody asks for actions here").about_key();
        error.help("add `statements: true` or `cedar: {}`, or leave them out")
    })
}
