//! All policies of the section, and what they say of one request.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision, Effect, EntityId, EntityTypeName, EntityUid, PolicyId, Request,
    Response, RestrictedExpression,
};
use tidegate_core::facts::Identity;
use tidegate_core::prometheus::IntCounter;
use tidegate_core::{Asked, BuildCx, Clock, ConfigError, ConfigErrors, Http, MetricError, Metrics};

use super::entities::{Known, Seen};
use super::mentions::Mentions;
use super::policies::{Policies, shown};
use super::schema::{self, Checked};
use super::value::{Escapes, record};
use crate::config;

/// All policies, what is known of entities, and what both were checked against.
pub(in crate::decide) struct Engine {
    authorizer: Authorizer,
    pub(super) policies: Policies,
    pub(super) known: Known,
    pub(super) checked: Option<Checked>,
    kinds: Kinds,
    mentions: Mentions,
    failed: HashMap<PolicyId, IntCounter>,
    pub(super) tools: Tools,
}

/// What routes need that ask a service.
pub(super) struct Tools {
    pub(super) http: Result<Http, ConfigError>,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
}

/// Types that are always there.
struct Kinds {
    user: EntityTypeName,
    role: EntityTypeName,
    action: EntityTypeName,
}

/// What policies are asked.
pub(super) struct Question<'a> {
    pub(super) asked: &'a Asked<'a>,
    pub(super) identity: &'a Identity,
    pub(super) action: &'a str,
    pub(super) path: &'a str,
    pub(super) resource: Seen,
}

/// What they say. Policies are called by their names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    Permitted(String),
    Forbidden(String),
    /// No policy permits; these could not be evaluated.
    Silent(Vec<Broken>),
    /// A policy that forbids could not be evaluated: as it might have forbidden, it has.
    Broken(Broken),
    /// There is nothing that could be asked.
    Unaskable(String),
}

/// A policy that could not be evaluated.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) policy: String,
    pub(super) why: String,
}

impl Engine {
    /// Errors are relative to `cedar`.
    pub(in crate::decide) fn build(config: &config::Cedar, cx: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let schema = config.schema.as_deref().map(schema::load).transpose();
        let schema = errors.collect(schema);
        let policies = errors.collect(Policies::load(config));
        let (Some(schema), Some(policies)) = (schema, policies) else { return Err(errors) };
        let known = Known::load(config.entities.as_deref(), schema.as_ref());
        let literals = policies.set.policies().flat_map(cedar_policy::Policy::entity_literals);
        let known = errors.collect(known.and_then(|known| known.spoken_of(literals)));
        let checked = errors.collect(schema.map(|schema| Checked::new(schema, &policies)).transpose());
        let failed = counters(&policies, cx.metrics()).map_err(|error| ConfigError::at("", error.to_string()));
        let failed = errors.collect(failed);
        let (Some(known), Some(checked), Some(failed)) = (known, checked, failed) else { return Err(errors) };
        let http = cx.http(config.ca.as_deref());
        if config.ca.is_some() {
            errors.collect(http.clone().map_err(|error| error.under(&"ca".into())));
        }
        let tools = Tools { http, clock: cx.clock().clone(), metrics: cx.metrics().clone() };
        let (authorizer, mentions) = (Authorizer::new(), Mentions::in_policies(&policies.set));
        let kinds = Kinds::new();
        errors.into_result(Self { authorizer, policies, known, checked, kinds, mentions, failed, tools })
    }

    pub(super) fn rule(&self, question: Question<'_>) -> Ruling {
        self.respond(question)
            .inspect(|response| self.count(response))
            .map_or_else(Ruling::Unaskable, |r| self.read(&r))
    }

    /// The same, counted nowhere.
    pub(super) fn would_rule(&self, question: Question<'_>) -> Ruling {
        self.respond(question).map_or_else(Ruling::Unaskable, |response| self.read(&response))
    }

    fn count(&self, response: &Response) {
        for AuthorizationError::PolicyEvaluationError(error) in response.diagnostics().errors() {
            let policy = AsRef::<str>::as_ref(error.policy_id());
            log::debug!(policy, error:%; "a policy could not be evaluated");
            self.failed.get(error.policy_id()).inspect(|counter| counter.inc());
        }
    }

    fn respond(&self, question: Question<'_>) -> Result<Response, String> {
        let context = self.context(&question)?;
        let identity = question.identity;
        let user = self.kinds.user(identity.subject());
        let action = self.kinds.action(question.action);
        let resource = question.resource.uid.clone();
        let roles = identity.roles().iter().map(|role| self.kinds.role(role)).collect();
        let principal = Seen { uid: user.clone(), guessed: HashMap::new(), said: None, parents: roles };
        let entities = self.known.around(vec![principal, question.resource], &action)?;
        let request = Request::new(user, action, resource, context, None).map_err(|error| error.to_string())?;
        Ok(self.authorizer.is_authorized(&request, &self.policies.set, &entities))
    }

    fn read(&self, response: &Response) -> Ruling {
        let diagnostics = response.diagnostics();
        let mut broken = Vec::new();
        for AuthorizationError::PolicyEvaluationError(error) in diagnostics.errors() {
            let id = error.policy_id();
            let found = Broken { policy: shown(id), why: error.to_string() };
            let forbids = self.policies.set.policy(id).is_none_or(|policy| policy.effect() == Effect::Forbid);
            broken.push((forbids, found));
        }
        // Several may say the same: the first by name, so that the same request is told the same.
        let reason = diagnostics.reason().min();
        let reason = reason.map(shown);
        match (response.decision(), reason) {
            (Decision::Deny, Some(policy)) => Ruling::Forbidden(policy),
            (decision, reason) => match (broken.iter().position(|(forbids, _)| *forbids), decision, reason) {
                (Some(at), _, _) => Ruling::Broken(broken.swap_remove(at).1),
                (None, Decision::Allow, Some(policy)) => Ruling::Permitted(policy),
                _ => Ruling::Silent(broken.into_iter().map(|(_, broken)| broken).collect()),
            },
        }
    }

    /// What policies look at, and nothing else.
    fn context(&self, question: &Question<'_>) -> Result<Context, String> {
        let Asked { head, at, .. } = question.asked;
        let text = |text: &str| Some(RestrictedExpression::new_string(text.to_owned()));
        let value = |name: &str| match name {
            "claims" => {
                let claims = question.identity.claims().iter();
                record(claims.filter(|(name, _)| self.mentions.has_claim(name)), Escapes::Ignored)
            }
            "client" => Some(RestrictedExpression::new_ip(head.client.to_canonical().to_string())),
            "method" => text(head.method.as_str()),
            "path" => text(question.path),
            "time" => Some(RestrictedExpression::new_long(millis(*at))),
            "proof" => text(question.identity.proof().as_str()),
            _ => None,
        };
        let names = ["claims", "client", "method", "path", "time", "proof"].into_iter();
        let mentioned = names.filter(|name| self.mentions.has(name));
        let context = Context::from_pairs(mentioned.filter_map(|name| Some((name.to_owned(), value(name)?))));
        context.map_err(|error| error.to_string())
    }

    /// Whether policies look at the path.
    pub(super) fn looks_at_path(&self) -> bool {
        self.mentions.has("path")
    }

    /// `Action::"…"`.
    pub(super) fn action(&self, name: &str) -> EntityUid {
        self.kinds.action(name)
    }
}

impl Kinds {
    fn new() -> Self {
        let kind = |name: &str| name.parse().expect("an identifier is the name of a type");
        Self { user: kind("User"), role: kind("Role"), action: kind("Action") }
    }

    fn user(&self, id: &str) -> EntityUid {
        EntityUid::from_type_name_and_id(self.user.clone(), EntityId::new(id))
    }

    fn role(&self, id: &str) -> EntityUid {
        EntityUid::from_type_name_and_id(self.role.clone(), EntityId::new(id))
    }

    fn action(&self, id: &str) -> EntityUid {
        EntityUid::from_type_name_and_id(self.action.clone(), EntityId::new(id))
    }
}

/// Since 1970; 0 before it.
fn millis(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn counters(policies: &Policies, metrics: &Metrics) -> Result<HashMap<PolicyId, IntCounter>, MetricError> {
    let help = "Cedar policies that could not be evaluated for a request, by policy";
    let all = metrics.counter("tidegate_auth_cedar_errors_total", help, &["policy"])?;
    let ids = policies.set.policies().map(|policy| policy.id());
    Ok(ids.map(|id| (id.clone(), all.with_label_values(&[&*shown(id)]))).collect())
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Engine({} policies)", self.policies.set.num_of_policies())
    }
}
