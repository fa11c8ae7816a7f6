//! One limit, built.

use std::sync::Arc;

use tidegate_core::facts::Identity;
use tidegate_core::{ConfigError, ConfigErrors, ConfigPath};

use super::recipe::{Recipe, Refused};
use super::rules::{ByClaim, Chosen, Plans, Rules};
use crate::config::{self, Algorithm, ClientPrefix, Mode, Source};
use crate::cost::Cost;
use crate::key::{Asker, Found, Keys};
use crate::rule::{Rule, Shape};

/// When a limit is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Before authentication: guessers and floods are stopped before anybody works for them.
    Early,
    /// After it, since it takes an identity.
    Identified,
}

/// One limit of a route, or one that several routes share.
#[derive(Debug)]
pub(crate) struct Limit {
    /// What clients, logs and metrics know it by.
    pub name: Arc<str>,
    /// The same in every gateway and after a reload: the first part of each of its keys.
    pub id: u64,
    pub cost: Cost,
    pub mode: Mode,
    pub phase: Phase,
    keys: Keys,
    rules: Rules,
}

impl Limit {
    /// By what this request is counted.
    pub(crate) fn key(&self, asker: &impl Asker) -> Found {
        self.keys.find(self.id, asker)
    }

    /// How this request is counted.
    pub(crate) fn rule(&self, identity: Option<&Identity>) -> Chosen<'_> {
        self.rules.choose(identity)
    }

    /// What it counts by, for operators.
    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// How it counts.
    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Whether clients may feel and hear of it.
    pub(crate) fn is_enforced(&self) -> bool {
        self.mode == Mode::Enforce
    }

    /// Whether requests in flight are counted: what is taken is given back at the end.
    pub(crate) fn counts_in_flight(&self) -> bool {
        let rule = self.rules.fixed();
        rule.is_some_and(|rule| matches!(rule.shape, Shape::Concurrency { .. }))
    }
}

/// Builds one limit. Errors have paths relative to it.
pub(super) struct Builder<'a> {
    pub(super) limit: &'a config::Limit,
    pub(super) prefix: ClientPrefix,
    /// Parameters of the route's path; `None` where no route is known yet.
    pub(super) params: Option<&'a [Box<str>]>,
    errors: ConfigErrors,
}

impl<'a> Builder<'a> {
    pub(super) fn new(limit: &'a config::Limit, prefix: ClientPrefix, params: Option<&'a [Box<str>]>) -> Self {
        Self { limit, prefix, params, errors: ConfigErrors::new() }
    }

    pub(super) fn build(mut self, name: Arc<str>, id: u64) -> Result<Limit, ConfigErrors> {
        self.check_keys();
        let cost = Cost::build(&self.limit.cost).map_err(|errors| errors.under(&ConfigPath::from("cost")));
        // With a cost of 1 in place of a wrong one, the rest can be checked too.
        let cost = self.errors.collect(cost).unwrap_or(Cost::Fixed(1));
        let (recipe, errors) = Recipe::build(self.limit);
        self.errors.extend(errors);
        self.check_companions();
        let Some(rules) = self.rules(&recipe, &cost) else { return Err(self.errors) };
        let takes_identity = rules.need_identity() || sources(self.limit).any(Source::needs_identity);
        let phase = if takes_identity { Phase::Identified } else { Phase::Early };
        let keys = Keys::new(self.limit.per.clone(), self.limit.missing, self.prefix);
        self.errors.into_result(Limit { name, id, cost, mode: self.limit.mode, phase, keys, rules })
    }

    fn refuse(&mut self, key: &str, message: impl Into<String>, help: impl Into<String>) {
        self.errors.push(ConfigError::at(key, message).help(help));
    }

    fn check_keys(&mut self) {
        let keys = self.limit.per.keys();
        for (place, key) in keys.iter().enumerate() {
            if keys[..place].contains(key) {
                self.refuse("per", format!("`{key}` is in the list twice"), "keep one of the two");
            }
        }
        if let Some(params) = self.params {
            self.errors.extend(unknown_params(self.limit, params));
        }
    }

    fn rules(&mut self, recipe: &Recipe, cost: &Cost) -> Option<Rules> {
        if self.limit.algorithm == Some(Algorithm::Concurrency) {
            return self.concurrency(cost).map(Rules::Fixed);
        }
        match self.amounts()? {
            "plans" => self.plans(recipe, cost),
            "rate" => self.rate(recipe, cost),
            "quota" if self.limit.algorithm.is_some() => None,
            "quota" => {
                let rule = recipe.quota(self.limit.quota?).map_err(|refused| refused.at("quota"));
                self.fixed(rule, cost).map(Rules::Fixed)
            }
            _ => self.bucket(recipe, cost),
        }
    }

    /// The one key that says how much.
    fn amounts(&mut self) -> Option<&'static str> {
        let limit = self.limit;
        let bucket = limit.capacity.is_some() || limit.refill.is_some();
        let all = [
            ("rate", limit.rate.is_some() || limit.rate_from.is_some()),
            ("capacity", bucket),
            ("quota", limit.quota.is_some()),
            ("plans", limit.plans.is_some()),
        ];
        let mut given = all.into_iter().filter(|(_, is_there)| *is_there).map(|(key, _)| key);
        match (given.next(), given.next()) {
            (Some(one), None) => Some(one),
            (None, _) => {
                let help = "write rate: 100/15m, or `capacity` and `refill`, a `quota`, or `plans`";
                self.refuse("", "the limit does not say how much", help);
                None
            }
            (Some(one), Some(other)) => {
                self.refuse(other, format!("`{one}` and `{other}` both say how much"), "keep one of them");
                None
            }
        }
    }

    /// Keys that are of no use without another.
    fn check_companions(&mut self) {
        let limit = self.limit;
        for (key, is_there, other, has_other) in [
            ("plan", limit.plan.is_some(), "plans", limit.plans.is_some()),
            ("otherwise", limit.otherwise.is_some(), "plans", limit.plans.is_some()),
            ("at_most", limit.at_most.is_some(), "rate_from", limit.rate_from.is_some()),
        ] {
            if is_there && !has_other {
                self.refuse(key, format!("`{key}` is for `{other}`"), format!("write `{other}`, or leave it out"));
            }
        }
        let plans = limit.plans.iter().flat_map(|plans| plans.values());
        let quotas = plans.filter(|amount| matches!(amount, config::Amount::Quota(_))).count();
        if limit.time_zone.is_some() && limit.quota.is_none() && quotas == 0 {
            self.refuse("time_zone", "`time_zone` is for a quota of the calendar", "write a `quota`, or leave it out");
        }
    }

    fn concurrency(&mut self, cost: &Cost) -> Option<Arc<Rule>> {
        if !cost.is_known_at_once() {
            let help = "write a number, or a cost by method";
            self.refuse("cost", "what is in flight is given back at the end, so it can't be charged then", help);
        }
        let Some(limit) = self.limit.limit else {
            self.refuse("", "a concurrency limit needs `limit`", "write how many at the same time: limit: 50");
            return None;
        };
        let rule = Rule::concurrency(limit).map_err(|error| Refused::from(error).at("limit"));
        self.fixed(rule, cost)
    }

    fn bucket(&mut self, recipe: &Recipe, cost: &Cost) -> Option<Rules> {
        match (self.limit.capacity, self.limit.refill) {
            (Some(capacity), Some(refill)) => {
                let rule = recipe.bucket(capacity, refill).map_err(|refused| refused.at("capacity"));
                self.fixed(rule, cost).map(Rules::Fixed)
            }
            (None, _) => {
                self.refuse("", "`refill` needs `capacity`", "write how many at once: capacity: 100; or rate: 100/15m");
                None
            }
            (_, None) => {
                let help = "write how fast it fills again: refill: 10/s; or rate: 100/15m";
                self.refuse("", "`capacity` needs `refill`", help);
                None
            }
        }
    }

    fn rate(&mut self, recipe: &Recipe, cost: &Cost) -> Option<Rules> {
        let Some(rate) = self.limit.rate else {
            let help = "write the rate of who has no such claim: rate: 10/m";
            self.refuse("", "`rate_from` needs `rate`", help);
            return None;
        };
        let rule = self.fixed(recipe.rate(rate).map_err(|refused| refused.at("rate")), cost);
        let Some(claim) = &self.limit.rate_from else { return rule.map(Rules::Fixed) };
        if let Some(most) = self.limit.at_most {
            self.fixed(recipe.rate(most).map_err(|refused| refused.at("at_most")), cost)?;
        }
        let by_claim = ByClaim::new(claim.name(), recipe.clone(), self.limit.at_most, cost.most_at_first(), rule?);
        Some(Rules::Claim(Box::new(by_claim)))
    }

    fn plans(&mut self, recipe: &Recipe, cost: &Cost) -> Option<Rules> {
        let plans = self.limit.plans.as_ref()?;
        let names: Vec<_> = plans.keys().map(String::as_str).collect();
        let mut rules = Vec::new();
        for (name, amount) in plans {
            let path = ConfigPath::from("plans").key(name);
            let rule = recipe.amount(*amount).map_err(|refused| refused.at(path));
            rules.extend(self.fixed(rule, cost).map(|rule| (name.as_str().into(), rule)));
        }
        if names.is_empty() {
            self.refuse("plans", "there are no plans", "write plans: { free: 10/m, pro: 1000/m }");
        }
        if self.limit.plan.is_none() {
            self.refuse("", "`plans` needs `plan`", "write which claim names the plan: plan: claim.plan");
        }
        let otherwise = self.otherwise(&names);
        let rule_of = |name: &str| rules.iter().find(|(of, _): &&(Box<str>, _)| **of == *name).map(|(_, rule)| rule);
        let otherwise = rule_of(otherwise?)?.clone();
        Some(Rules::Plans(Plans::new(self.limit.plan.as_ref()?.name(), rules, otherwise)))
    }

    fn otherwise(&mut self, plans: &[&str]) -> Option<&'a str> {
        let list = plans.join(", ");
        match self.limit.otherwise.as_deref() {
            Some(name) if plans.contains(&name) => Some(name),
            Some(name) => {
                self.refuse("otherwise", format!("no plan is called `{name}`"), format!("plans are: {list}"));
                None
            }
            None => {
                let help = format!("write the plan of who has none: one of {list}");
                self.refuse("", "`plans` needs `otherwise`", help);
                None
            }
        }
    }

    /// A rule under which every request can pass at some time.
    fn fixed(&mut self, rule: Result<Rule, ConfigError>, cost: &Cost) -> Option<Arc<Rule>> {
        let rule = self.errors.collect(rule)?;
        let (room, most) = (rule.shape.largest_cost(), cost.most_at_first());
        if most > room {
            let message = format!("a request can cost {most}, and the limit never has room for more than {room}");
            self.refuse("cost", message, format!("raise the limit to at least {most}, or lower the cost"));
            return None;
        }
        Some(Arc::new(rule))
    }
}

/// All parts of all keys of a limit.
fn sources(limit: &config::Limit) -> impl Iterator<Item = &Source> {
    limit.per.keys().iter().flat_map(|key| key.sources())
}

/// Path parameters in a limit's keys that a route does not have: they would be missing from every request.
pub(super) fn unknown_params(limit: &config::Limit, params: &[Box<str>]) -> Vec<ConfigError> {
    let missing = sources(limit).filter_map(|source| match source {
        Source::Param(name) if !params.contains(name) => Some(name),
        _ => None,
    });
    let help = match params {
        [] => "the path of this route has no parameters; add one: match: { path: \"/users/{user}\" }".to_owned(),
        params => format!("the path of this route has: {}", params.join(", ")),
    };
    let error = |name| ConfigError::at("per", format!("the route has no path parameter `{name}`")).help(help.clone());
    missing.map(error).collect()
}
