//! Rules from what an operator writes: amounts, rates and times. What can't be counted exactly is refused here, with
//! the number and what to write instead.

use std::time::Duration;

use jiff::tz::TimeZone;
use tidegate_core::config::Rate;

use super::fingerprint::fingerprint;
use super::{Bucket, Calendar, FixedWindow, LONGEST, MOST, Period, RuleError};
use crate::rule::{Micros, Rule, Shape};

/// The largest limit of a sliding window.
pub(crate) const MOST_REMEMBERED: u64 = 10_000;
/// Refilled over this or longer, a bucket counts in coarse ticks: its numbers would not fit otherwise.
const SLOW: Duration = Duration::from_secs(3600);
const FINE: Micros = 1;
const COARSE: Micros = 1000;

impl Rule {
    /// `capacity` at once, refilled at `refill`. Up to `delay` a request waits for its tokens instead of being refused.
    pub(crate) fn token_bucket(capacity: u64, refill: Rate, delay: Duration) -> Result<Self, RuleError> {
        at_least_one("capacity", capacity)?;
        window(refill)?;
        let bucket = fine_or_coarse(refill, |drops| {
            let waiting = u128::from(micros_down(delay) / drops.tick).saturating_mul(drops.drain);
            drops.bucket(capacity, u128::from(capacity).saturating_mul(drops.token), waiting)
        })?;
        let window = window_of(&bucket);
        Ok(Self::of(capacity, window, Shape::Bucket(bucket)))
    }

    /// One at a time at an even pace of `rate`, with up to `queue` waiting for their turn.
    pub(crate) fn leaky_bucket(rate: Rate, queue: u64) -> Result<Self, RuleError> {
        let window = window(rate)?;
        let bucket = fine_or_coarse(rate, |drops| {
            drops.bucket(rate.amount(), drops.token, u128::from(queue).saturating_mul(drops.token))
        })?;
        Ok(Self::of(rate.amount(), window, Shape::Bucket(bucket)))
    }

    /// The rate's amount from a key's first request until the rate's time is over.
    pub(crate) fn fixed_window(rate: Rate) -> Result<Self, RuleError> {
        let (limit, window) = (limited("the limit", rate.amount())?, window(rate)?);
        Ok(Self::of(limit, window, Shape::Fixed(FixedWindow { limit, window })))
    }

    /// The rate's amount in any span of the rate's time.
    pub(crate) fn sliding_window(rate: Rate) -> Result<Self, RuleError> {
        let (limit, window) = (rate.amount(), window(rate)?);
        if limit > MOST_REMEMBERED {
            return Err(RuleError::TooManyToRemember { given: limit, most: MOST_REMEMBERED });
        }
        Ok(Self::of(limit, window, Shape::Sliding { limit, window }))
    }

    /// `limit` in each day, week or month of `zone`. Its `window` is a common one's: a day of 24 hours, a month of 30
    /// days.
    pub(crate) fn calendar(limit: u64, period: Period, zone: TimeZone) -> Result<Self, RuleError> {
        const DAY: Micros = 86_400_000_000;
        let limit = limited("the quota", limit)?;
        let days = match period {
            Period::Day => 1,
            Period::Week => 7,
            Period::Month => 30,
        };
        Ok(Self::of(limit, days * DAY, Shape::Calendar(Calendar::new(limit, period, zone))))
    }

    /// `limit` at the same time.
    pub(crate) fn concurrency(limit: u64) -> Result<Self, RuleError> {
        let limit = limited("the limit", limit)?;
        Ok(Self::of(limit, 0, Shape::Concurrency { limit }))
    }

    /// Refuses everything until its time is over; for how long is said when it is set, by [`Shape::charge`].
    pub(crate) fn ban() -> Self {
        Self::of(1, 0, Shape::Ban)
    }

    /// This gateway's part of the limit, where `gateways` share it without knowing of each other's counts. At least 1,
    /// so that of a small limit all together may allow more.
    pub(crate) fn divided(&self, gateways: u32) -> Self {
        let by = u64::from(gateways.max(1));
        let part = |limit: u64| (limit / by).max(1);
        let shape = match &self.shape {
            Shape::Bucket(bucket) => return self.with_slower(bucket, by),
            Shape::Fixed(fixed) => Shape::Fixed(FixedWindow { limit: part(fixed.limit), ..*fixed }),
            Shape::Calendar(calendar) => Shape::Calendar(calendar.with_limit(part(calendar.limit))),
            Shape::Sliding { limit, window } => Shape::Sliding { limit: part(*limit), window: *window },
            Shape::Concurrency { limit } => Shape::Concurrency { limit: part(*limit) },
            Shape::Ban => Shape::Ban,
        };
        Self::of(part(self.quota), self.window, shape)
    }

    /// The same water drains at the same speed, of which a token is now `by` times as much. Waiting takes as long as
    /// before.
    fn with_slower(&self, bucket: &Bucket, by: u64) -> Self {
        let capacity = bucket.burst / bucket.token;
        // What does not fit is divided by less: by so much that one token does.
        let by = by.min((bucket.most - bucket.extra) / bucket.token).max(1);
        let token = bucket.token * by;
        let quota = (self.quota / by).max(1);
        let slower = Bucket { quota, token, burst: (capacity / by).max(1) * token, ..bucket.clone() };
        let window = u128::from(self.window) * u128::from(by) * u128::from(quota) / u128::from(self.quota);
        Self::of(quota, u64::try_from(window).unwrap_or(LONGEST).min(LONGEST), Shape::Bucket(slower))
    }

    fn of(quota: u64, window: Micros, shape: Shape) -> Self {
        let fingerprint = fingerprint(quota, &shape);
        Self { shape, quota, window, fingerprint }
    }
}

/// A rate in whole units: `token` is one, and `drain` of them leave in each `tick`.
struct Drops {
    token: u128,
    drain: u128,
    tick: Micros,
}

impl Drops {
    fn of(rate: Rate, tick: Micros) -> Self {
        let period = rate.per().as_nanos();
        let in_tick = u128::from(rate.amount()) * u128::from(tick) * 1000;
        let divisor = greatest_common_divisor(period, in_tick);
        Self { token: period / divisor, drain: in_tick / divisor, tick }
    }

    /// All of it as numbers that fit, also the time in which a full one drains.
    fn bucket(&self, quota: u64, burst: u128, extra: u128) -> Result<Bucket, RuleError> {
        let most = self.drain.saturating_mul(u128::from(LONGEST / self.tick)).min(u128::from(MOST));
        let brim = burst.saturating_add(extra);
        if brim > most || self.drain > u128::from(MOST) {
            return Err(RuleError::TooFine { tokens: lossy(brim / self.token), most: lossy(most / self.token) });
        }
        let [token, drain, burst, extra, most] = [self.token, self.drain, burst, extra, most].map(lossy);
        Ok(Bucket { quota, token, drain, tick: self.tick, burst, extra, most })
    }
}

/// In fine ticks if it fits and isn't slow, otherwise in coarse ones.
fn fine_or_coarse(rate: Rate, bucket: impl Fn(Drops) -> Result<Bucket, RuleError>) -> Result<Bucket, RuleError> {
    let coarse = || bucket(Drops::of(rate, COARSE));
    if rate.per() >= SLOW { coarse() } else { bucket(Drops::of(rate, FINE)).or_else(|_| coarse()) }
}

/// The time in which an empty bucket is full again.
fn window_of(bucket: &Bucket) -> Micros {
    bucket.burst.div_ceil(bucket.drain) * bucket.tick
}

/// A rate's time in microseconds; a fraction of one makes the window longer, not shorter.
fn window(rate: Rate) -> Result<Micros, RuleError> {
    let micros = rate.per().as_nanos().div_ceil(1000);
    u64::try_from(micros).ok().filter(|micros| *micros <= LONGEST).ok_or(RuleError::TooLong(rate.per()))
}

fn micros_down(time: Duration) -> Micros {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn at_least_one(what: &'static str, number: u64) -> Result<(), RuleError> {
    if number == 0 { Err(RuleError::Zero { what }) } else { Ok(()) }
}

fn limited(what: &'static str, limit: u64) -> Result<u64, RuleError> {
    at_least_one(what, limit)?;
    if limit > MOST { Err(RuleError::TooMany { what, given: limit, most: MOST }) } else { Ok(limit) }
}

/// Of numbers proved to fit, or for messages, where more than any is enough.
fn lossy(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn greatest_common_divisor(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}
