//! From what is written to what is counted by, and all that does not fit together.

use std::time::Duration;

use jiff::tz::TimeZone;
use tidegate_core::config::{self as units, Rate};
use tidegate_core::{ConfigError, ConfigErrors, ConfigPath};

use crate::algorithm::{self, RuleError};
use crate::config::{Algorithm, Amount, Limit, Period, Quota};
use crate::rule::Rule;

/// No request is held back longer than this: its client, or whoever is in front, would not wait for it.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// How a limit makes rules of amounts.
#[derive(Debug, Clone)]
pub(super) struct Recipe {
    algorithm: Algorithm,
    queue: u64,
    delay: Duration,
    zone: TimeZone,
    /// The algorithm was chosen: a quota can't have one.
    chosen: bool,
}

/// Why an amount can't be counted, and what to do.
#[derive(Debug)]
pub(super) struct Refused {
    message: String,
    help: String,
}

impl Refused {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }

    pub(super) fn at(self, path: impl Into<ConfigPath>) -> ConfigError {
        ConfigError::at(path, self.message).help(self.help)
    }
}

/// The text of a rule's error ends in what to do.
impl From<RuleError> for Refused {
    fn from(error: RuleError) -> Self {
        let text = error.to_string();
        match text.rsplit_once(": ") {
            Some((message, help)) => Self::new(message, help),
            None => Self::new(text, "write a smaller one"),
        }
    }
}

impl Recipe {
    /// What the limit says of how it counts, and what is wrong with that. Errors have paths relative to the limit.
    pub(super) fn build(limit: &Limit) -> (Self, ConfigErrors) {
        let algorithm = limit.algorithm.unwrap_or_default();
        let mut errors: ConfigErrors = misplaced(limit, algorithm).collect();
        if algorithm == Algorithm::LeakyBucket && limit.queue.is_none() {
            let help = "write how many may wait for their turn: queue: 20";
            errors.push(ConfigError::at("", "a leaky_bucket needs `queue`").help(help));
        }
        let delay = limit.delay.unwrap_or_default().get();
        if limit.delay.is_some_and(|delay| delay.is_zero()) {
            errors.push(ConfigError::at("delay", "a delay of zero holds nothing back").help("leave it out"));
        }
        if delay > LONGEST_WAIT {
            let message = format!("{} is longer than a request may be held back", shown(delay));
            errors.push(ConfigError::at("delay", message).help(format!("write {} or less", shown(LONGEST_WAIT))));
        }
        let zone = limit.time_zone.as_ref().map_or(TimeZone::UTC, |zone| zone.get().clone());
        let (queue, delay) = (limit.queue.unwrap_or(0), delay.min(LONGEST_WAIT));
        (Self { algorithm, queue, delay, zone, chosen: limit.algorithm.is_some() }, errors)
    }

    pub(super) fn rate(&self, rate: Rate) -> Result<Rule, Refused> {
        Ok(match self.algorithm {
            Algorithm::TokenBucket => Rule::token_bucket(rate.amount(), rate, self.delay)?,
            Algorithm::SlidingWindow => Rule::sliding_window(rate)?,
            Algorithm::FixedWindow => Rule::fixed_window(rate)?,
            Algorithm::LeakyBucket => {
                self.wait(rate)?;
                Rule::leaky_bucket(rate, self.queue)?
            }
            Algorithm::Concurrency => return Err(Refused::new("a concurrency limit has no rate", "write limit: 50")),
        })
    }

    /// The same for a rate that somebody else has chosen: no burst of it is larger than one of `most`.
    pub(super) fn rate_within(&self, rate: Rate, most: Option<Rate>) -> Result<Rule, Refused> {
        match most {
            Some(most) if self.algorithm == Algorithm::TokenBucket && rate.amount() > most.amount() => {
                self.bucket(most.amount(), rate)
            }
            _ => self.rate(rate),
        }
    }

    pub(super) fn bucket(&self, capacity: u64, refill: Rate) -> Result<Rule, Refused> {
        Ok(Rule::token_bucket(capacity, refill, self.delay)?)
    }

    pub(super) fn quota(&self, quota: Quota) -> Result<Rule, Refused> {
        if self.chosen {
            let message = format!("{quota} is a quota of the calendar, and this is a {}", self.algorithm.as_str());
            return Err(Refused::new(message, "leave `algorithm` out, or write a rate such as 100/15m"));
        }
        let period = match quota.per() {
            Period::Day => algorithm::Period::Day,
            Period::Week => algorithm::Period::Week,
            Period::Month => algorithm::Period::Month,
        };
        Ok(Rule::calendar(quota.amount(), period, self.zone.clone())?)
    }

    pub(super) fn amount(&self, amount: Amount) -> Result<Rule, Refused> {
        match amount {
            Amount::Rate(rate) => self.rate(rate),
            Amount::Quota(quota) => self.quota(quota),
        }
    }

    /// The last of the queue must not wait too long.
    fn wait(&self, rate: Rate) -> Result<(), Refused> {
        let nanos = rate.per().as_nanos().saturating_mul(u128::from(self.queue)) / u128::from(rate.amount());
        if nanos <= LONGEST_WAIT.as_nanos() {
            return Ok(());
        }
        let seconds = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
        let wait = shown(Duration::from_secs(seconds));
        Err(Refused::new(
            format!("the last of {} in the queue would wait {wait}", self.queue),
            format!("write a shorter queue or a faster rate, so that none waits longer than {}", shown(LONGEST_WAIT)),
        ))
    }
}

fn shown(time: Duration) -> units::Duration {
    units::Duration::from(time)
}

/// Keys that this kind of limit has no use for.
fn misplaced(limit: &Limit, algorithm: Algorithm) -> impl Iterator<Item = ConfigError> {
    use Algorithm::{Concurrency, LeakyBucket, TokenBucket};
    let is_quota = limit.quota.is_some() && limit.algorithm.is_none();
    let kind = if is_quota { "quota" } else { algorithm.as_str() };
    let is = |of| algorithm == of;
    let timed = "leave it out: a concurrency limit has `limit`";
    [
        ("capacity", limit.capacity.is_some(), is(TokenBucket), "leave it out, or write algorithm: token_bucket"),
        ("refill", limit.refill.is_some(), is(TokenBucket), "leave it out, or write algorithm: token_bucket"),
        ("delay", limit.delay.is_some(), is(TokenBucket) && !is_quota, "only a token_bucket can hold requests back"),
        ("queue", limit.queue.is_some(), is(LeakyBucket), "leave it out, or write algorithm: leaky_bucket"),
        ("limit", limit.limit.is_some(), is(Concurrency), "write rate: 100/15m, or algorithm: concurrency"),
        ("rate", limit.rate.is_some(), !is(Concurrency), timed),
        ("plans", limit.plans.is_some(), !is(Concurrency), timed),
        ("rate_from", limit.rate_from.is_some(), !is(Concurrency), timed),
        ("quota", limit.quota.is_some(), limit.algorithm.is_none(), "leave `algorithm` out, or write a rate"),
    ]
    .into_iter()
    .filter(|(_, is_there, fits, _)| *is_there && !fits)
    .map(move |(key, _, _, help)| {
        let article = if matches!(kind, "concurrency") { "" } else { "a " };
        ConfigError::at(key, format!("`{key}` does not fit {article}{kind}")).about_key().help(help)
    })
}
