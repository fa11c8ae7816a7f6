//! Which rule a request is counted by: always the same, that of its plan, or one that a claim says.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::Value;
use tidegate_core::config::Rate;
use tidegate_core::facts::Identity;

use super::recipe::Recipe;
use crate::rule::Rule;

/// The rules of one limit.
#[derive(Debug)]
pub(crate) enum Rules {
    Fixed(Arc<Rule>),
    Plans(Plans),
    Claim(Box<ByClaim>),
}

/// The rule of one request.
#[derive(Debug)]
pub(crate) enum Chosen<'a> {
    /// One that the configuration says.
    Ours(&'a Arc<Rule>),
    /// One that a claim says.
    Theirs(Arc<Rule>),
}

impl Deref for Chosen<'_> {
    type Target = Arc<Rule>;

    fn deref(&self) -> &Arc<Rule> {
        match self {
            Self::Ours(rule) => rule,
            Self::Theirs(rule) => rule,
        }
    }
}

impl Rules {
    /// The rule for this identity, or for nobody.
    pub(crate) fn choose(&self, identity: Option<&Identity>) -> Chosen<'_> {
        match self {
            Self::Fixed(rule) => Chosen::Ours(rule),
            Self::Plans(plans) => Chosen::Ours(plans.choose(identity)),
            Self::Claim(claim) => claim.choose(identity),
        }
    }

    /// The rule, where there is only one.
    pub(crate) fn fixed(&self) -> Option<&Arc<Rule>> {
        match self {
            Self::Fixed(rule) => Some(rule),
            Self::Plans(_) | Self::Claim(_) => None,
        }
    }

    /// All rules that are known: a key may have a counter under each.
    pub(crate) fn known(&self) -> Vec<Arc<Rule>> {
        match self {
            Self::Fixed(rule) => vec![rule.clone()],
            Self::Plans(plans) => plans.rules.iter().map(|(_, rule)| rule.clone()).collect(),
            Self::Claim(claim) => {
                let seen = claim.seen.load();
                seen.values().flatten().chain([&claim.otherwise]).cloned().collect()
            }
        }
    }

    /// Whether it takes an identity to choose.
    pub(crate) fn need_identity(&self) -> bool {
        self.fixed().is_none()
    }
}

/// A rule for each plan.
#[derive(Debug)]
pub(crate) struct Plans {
    claim: Box<str>,
    rules: Box<[(Box<str>, Arc<Rule>)]>,
    otherwise: Arc<Rule>,
}

impl Plans {
    pub(super) fn new(claim: &str, rules: Vec<(Box<str>, Arc<Rule>)>, otherwise: Arc<Rule>) -> Self {
        Self { claim: claim.into(), rules: rules.into(), otherwise }
    }

    fn choose(&self, identity: Option<&Identity>) -> &Arc<Rule> {
        let plan = identity.and_then(|identity| identity.claim(&self.claim)).and_then(Value::as_str);
        let named = plan.and_then(|plan| self.rules.iter().find(|(name, _)| **name == *plan));
        named.map_or(&self.otherwise, |(_, rule)| rule)
    }
}

/// A rule from the rate that a claim says.
#[derive(Debug)]
pub(crate) struct ByClaim {
    claim: Box<str>,
    recipe: Recipe,
    at_most: Option<Rate>,
    /// What a request may cost at once: a rate that could never allow it does not count.
    cost: u64,
    otherwise: Arc<Rule>,
    /// Issuers give few different rates: each is read once. `None` for those that are no rates.
    seen: ArcSwap<HashMap<Box<str>, Option<Arc<Rule>>>>,
}

/// More different rates are read each time anew.
const MOST_SEEN: usize = 1024;
/// A longer text is no rate.
const LONGEST_RATE: usize = 64;

impl ByClaim {
    pub(super) fn new(claim: &str, recipe: Recipe, at_most: Option<Rate>, cost: u64, otherwise: Arc<Rule>) -> Self {
        Self { claim: claim.into(), recipe, at_most, cost, otherwise, seen: ArcSwap::default() }
    }

    fn choose(&self, identity: Option<&Identity>) -> Chosen<'_> {
        let said = identity.and_then(|identity| identity.claim(&self.claim)).and_then(Value::as_str);
        match said.and_then(|text| self.rule(text)) {
            Some(rule) => Chosen::Theirs(rule),
            None => Chosen::Ours(&self.otherwise),
        }
    }

    fn rule(&self, text: &str) -> Option<Arc<Rule>> {
        if text.len() > LONGEST_RATE {
            return None;
        }
        if let Some(seen) = self.seen.load().get(text) {
            return seen.clone();
        }
        let rule = self.read(text).map(Arc::new);
        if self.seen.load().len() < MOST_SEEN {
            self.seen.rcu(|seen| {
                let mut seen = HashMap::clone(seen);
                seen.insert(text.into(), rule.clone());
                seen
            });
        }
        rule
    }

    fn read(&self, text: &str) -> Option<Rule> {
        let rate: Rate = text.parse().ok()?;
        let rate = self.at_most.filter(|most| is_faster(rate, *most)).unwrap_or(rate);
        self.recipe.rate_within(rate, self.at_most).ok().filter(|rule| rule.shape.largest_cost() >= self.cost)
    }
}

fn is_faster(rate: Rate, than: Rate) -> bool {
    // Saturates only beyond any time that a rule can have.
    let product = |amount: u64, per: std::time::Duration| u128::from(amount).saturating_mul(per.as_nanos());
    product(rate.amount(), than.per()) > product(than.amount(), rate.per())
}
