//! What one route asks the policies.

use std::sync::Arc;

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use serde_json::Value;
use tidegate_core::facts::Identity;
use tidegate_core::{Asked, ConfigError, ConfigErrors, ConfigPath, Route};

use super::engine::{Engine, Question, Ruling};
use super::entities::{Said, Seen};
use super::fetch::Service;
use crate::config::CedarRule;
use crate::decide::decode::Place;
use crate::decide::explain::{Says, Told};
use crate::decide::template::Template;
use crate::verdict::Failure;

/// What one route asks the policies: about which resource, and what is known of it.
#[derive(Debug)]
pub(in crate::decide) struct CedarCheck {
    engine: Arc<Engine>,
    kind: EntityTypeName,
    id: Id,
    attributes: Box<[(Box<str>, Template)]>,
    service: Option<Service>,
}

#[derive(Debug)]
enum Id {
    Fixed(Box<str>),
    Of(Template),
}

/// What became of it.
#[derive(Debug)]
pub(in crate::decide) enum Decided {
    Allowed,
    /// For the log.
    Denied(String),
    Failed(Failure),
}

impl CedarCheck {
    /// Errors are relative to `require`.
    pub(in crate::decide) fn build(
        rule: &CedarRule,
        actions: &[(String, String)],
        engine: &Arc<Engine>,
        route: &Route,
    ) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let at = ConfigPath::from("cedar");
        let kind = errors.collect(kind(rule.resource_type.as_deref()).map_err(|e| e.under(&at.key("resource_type"))));
        let id = match &rule.resource {
            Some(text) => Template::parse(text, route).map(Id::Of).map_err(|e| e.under(&at.key("resource"))),
            None => Ok(Id::Fixed((&**route.name()).into())),
        };
        let id = errors.collect(id);
        let mut attributes = Vec::new();
        for (name, text) in &rule.attributes {
            let template = Template::parse(text, route).map_err(|e| e.under(&at.key("attributes").key(name)));
            attributes.extend(errors.collect(template).map(|template| (name.as_str().into(), template)));
        }
        let service = rule.fetch.as_ref().map(|fetch| Service::build(fetch, route, &engine.tools)).transpose();
        let service = errors.collect(service.map_err(|e| e.under(&at.key("fetch"))));
        let (Some(kind), Some(id), Some(service)) = (kind, id, service) else { return Err(errors) };
        if let Some(checked) = &engine.checked {
            let actions: Vec<_> =
                actions.iter().map(|(method, action)| (method.clone(), engine.action(action))).collect();
            errors.extend(checked.misses(&kind, &actions));
        }
        errors.into_result(Self { engine: engine.clone(), kind, id, attributes: attributes.into(), service })
    }

    pub(in crate::decide) async fn ask(&self, asked: &Asked<'_>, identity: &Identity, action: &str) -> Decided {
        let Some(mut resource) = self.resource(asked) else { return Decided::Denied("cedar: no such resource".into()) };
        let Some(place) = Place::of(asked.head.path) else { return Decided::Denied("cedar: no such path".into()) };
        if let Some(service) = &self.service {
            let Some(url) = service.url(asked) else { return Decided::Denied("cedar: no such resource".into()) };
            // It waits: out of line, so that those that don't wait stay small.
            match Box::pin(service.ask(url)).await {
                Ok(said) => resource.said = said.map(|said| Said::clone(&said)),
                Err(failure) => return Decided::Failed(failure),
            }
        }
        let rule = |path, resource| self.engine.rule(Question { asked, identity, action, path, resource });
        // With a slash at the end it may be another resource, and what is forbidden but there would be it here, too.
        let is_other = |path: &&str| place.exact.trim_end_matches('/') != *path;
        let lenient = place.lenient.as_deref().filter(is_other).filter(|_| self.engine.looks_at_path());
        let again = lenient.map(|path| (path, resource.clone()));
        match (rule(&place.exact, resource), again) {
            (Ruling::Permitted(_), None) => Decided::Allowed,
            // What forbids looks at every reading of the path.
            (Ruling::Permitted(_), Some((path, resource))) => match rule(path, resource) {
                Ruling::Permitted(_) | Ruling::Silent(_) => Decided::Allowed,
                other => Decided::Denied(format!("cedar: {other}")),
            },
            (other, _) => Decided::Denied(format!("cedar: {other}")),
        }
    }

    /// The same for a person, without asking anybody.
    pub(in crate::decide) fn explain(&self, asked: &Asked<'_>, action: &str) -> Told {
        let Some((resource, place)) = self.resource(asked).zip(Place::of(asked.head.path)) else {
            return Told::new("cedar: the path has no single reading", Says::No);
        };
        let question = format!("cedar: {} on {}", self.engine.action(action), resource.uid);
        let Some(identity) = asked.identity else { return Told::new(question, Says::Needed) };
        let ruling = self.engine.would_rule(Question { asked, identity, action, path: &place.exact, resource });
        let question = format!("{question}: {ruling}");
        match (&self.service, ruling) {
            (Some(service), _) => {
                let url = service.url(asked).unwrap_or_else(|| "nobody, as the URL has no single reading".to_owned());
                Told::new(format!("{question}, without the attributes"), Says::WouldAsk(url))
            }
            (None, Ruling::Permitted(_)) => Told::new(question, Says::Yes),
            (None, _) => Told::new(question, Says::No),
        }
    }

    fn resource(&self, asked: &Asked<'_>) -> Option<Seen> {
        let id = match &self.id {
            Id::Fixed(id) => EntityId::new(id),
            Id::Of(template) => EntityId::new(template.render(asked)?),
        };
        let uid = EntityUid::from_type_name_and_id(self.kind.clone(), id);
        let value = |template: &Template| template.render(asked).map(cedar_policy::RestrictedExpression::new_string);
        let attributes = self.attributes.iter();
        let guessed = attributes.map(|(name, text)| Some((name.to_string(), value(text)?))).collect::<Option<_>>()?;
        Some(Seen { uid, guessed, said: None, parents: Vec::new() })
    }
}

fn kind(name: Option<&str>) -> Result<EntityTypeName, ConfigError> {
    let name = name.unwrap_or("Route");
    name.parse().map_err(|_| {
        let shown = Value::from(name);
        ConfigError::at("", format!("{shown} is not the name of a type")).help("write one such as `Document`")
    })
}

impl std::fmt::Display for Ruling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Permitted(policy) => write!(f, "permitted by policy `{policy}`"),
            Self::Forbidden(policy) => write!(f, "forbidden by policy `{policy}`"),
            Self::Silent(broken) => {
                f.write_str("no policy permits it")?;
                broken.iter().try_for_each(|broken| write!(f, "; policy `{}` failed: {}", broken.policy, broken.why))
            }
            Self::Broken(broken) => write!(f, "policy `{}`, which forbids, failed: {}", broken.policy, broken.why),
            Self::Unaskable(why) => write!(f, "the policies can't be asked: {why}"),
        }
    }
}
