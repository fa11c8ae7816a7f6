//! What a row of answers means.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rand::Rng;

use crate::config::Health;
use crate::state::{Reason, State};

/// What the checks of one target have found. Written by its checker, read by operators; requests look at the state.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    /// When the next one is due, on the pool's clock; 0: at once.
    due: AtomicU64,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    row: Row,
    last: Option<Checked>,
    passed: u64,
    failed: u64,
}

/// The last check of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Why it failed, if it did.
    pub(crate) failure: Option<String>,
    /// When it ended, on the pool's clock.
    pub(crate) at: u64,
    /// How many were good before it and with it.
    pub(crate) passed: u64,
    /// How many were not.
    pub(crate) failed: u64,
}

/// Results of one kind that followed upon one another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Row {
    good: bool,
    length: u32,
}

impl Row {
    fn and(self, good: bool) -> Self {
        let length = if self.good == good { self.length.saturating_add(1) } else { 1 };
        Self { good, length }
    }
}

impl Checks {
    /// The last result; `None` before the first.
    pub(crate) fn last(&self) -> Option<Checked> {
        self.found.lock().last.clone()
    }

    /// Notes a result; returns the row that it continues or begins.
    pub(super) fn note(&self, result: &Result<(), String>, now: u64) -> Row {
        let mut found = self.found.lock();
        let good = result.is_ok();
        found.row = found.row.and(good);
        found.passed = found.passed.saturating_add(u64::from(good));
        found.failed = found.failed.saturating_add(u64::from(!good));
        let (passed, failed) = (found.passed, found.failed);
        found.last = Some(Checked { failure: result.as_ref().err().cloned(), at: now, passed, failed });
        found.row
    }

    pub(super) fn due(&self) -> u64 {
        self.due.load(Ordering::Relaxed)
    }

    /// The check that has begun will have no end.
    pub(crate) fn ask_at_once(&self) {
        self.due.store(0, Ordering::Relaxed);
    }

    /// Sets the time of the next check, when one begins.
    pub(super) fn plan_next(&self, now: u64, health: &Health) {
        let wait = interval(health).as_nanos().try_into().unwrap_or(u64::MAX);
        self.due.store(now.saturating_add(wait), Ordering::Relaxed);
    }
}

/// The time to the next check. Moved by chance, so that neither the targets of one gateway nor the gateways of one
/// target keep step.
fn interval(health: &Health) -> Duration {
    let interval: Duration = health.interval.into();
    let jitter = health.jitter.as_fraction();
    if jitter <= 0.0 {
        return interval;
    }
    interval.mul_f64(1.0 + jitter * rand::rng().random_range(-1.0..=1.0))
}

/// How a target stands when a result comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Unchecked,
    Healthy,
    Unhealthy,
}

impl Standing {
    pub(super) fn of(state: &State) -> Self {
        match (state.has(Reason::Unchecked), state.has(Reason::Unhealthy)) {
            (_, true) => Self::Unhealthy,
            (true, false) => Self::Unchecked,
            (false, false) => Self::Healthy,
        }
    }
}

/// What changes with a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The first check was good.
    Good,
    /// The first check failed.
    Bad,
    /// It has failed too many in a row.
    Out,
    /// It has passed enough in a row.
    Back,
}

/// What the last result of `row` changes. A first result decides by itself.
pub(super) fn verdict(standing: Standing, good: bool, row: Row, health: &Health) -> Option<Verdict> {
    match (standing, good) {
        (Standing::Unchecked, true) => Some(Verdict::Good),
        (Standing::Unchecked, false) => Some(Verdict::Bad),
        (Standing::Healthy, false) => (row.length >= health.unhealthy).then_some(Verdict::Out),
        (Standing::Unhealthy, true) => (row.length >= health.healthy).then_some(Verdict::Back),
        (Standing::Healthy, true) | (Standing::Unhealthy, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays `results` (`+` good, `-` failed); returns where the target stood after each (`+` healthy, `-` not).
    fn play(mut standing: Standing, health: &Health, results: &str) -> String {
        let mut row = Row::default();
        let play = |result| {
            let good = result == '+';
            row = row.and(good);
            standing = match verdict(standing, good, row, health) {
                Some(Verdict::Good | Verdict::Back) => Standing::Healthy,
                Some(Verdict::Bad | Verdict::Out) => Standing::Unhealthy,
                None => standing,
            };
            if standing == Standing::Healthy { '+' } else { '-' }
        };
        results.chars().map(play).collect()
    }

    #[test]
    fn the_third_failure_in_a_row_takes_out_and_the_second_success_restores() {
        let health = Health::default();
        assert_eq!(play(Standing::Healthy, &health, "----++--+-++---"), "++---+++++++++-");
    }

    #[test]
    fn failures_with_a_success_between_take_nobody_out() {
        let health = Health::default();
        assert_eq!(play(Standing::Healthy, &health, "-+--+-+--+--"), "++++++++++++");
    }

    #[test]
    fn successes_with_a_failure_between_restore_nobody() {
        let health = Health::default();
        assert_eq!(play(Standing::Unhealthy, &health, "+-+-+-++"), "-------+");
    }

    #[test]
    fn the_first_result_decides_by_itself() {
        let health = Health::default();
        assert_eq!(play(Standing::Unchecked, &health, "+--"), "+++");
        assert_eq!(play(Standing::Unchecked, &health, "-+-++"), "----+");
    }

    #[test]
    fn thresholds_of_one_follow_each_result() {
        let health = Health { healthy: 1, unhealthy: 1, ..Health::default() };
        assert_eq!(play(Standing::Healthy, &health, "-+-+"), "-+-+");
    }

    #[test]
    fn the_interval_is_moved_by_no_more_than_the_jitter() {
        let health = Health::default();
        let intervals: Vec<_> = (0..1_000).map(|_| interval(&health)).collect();
        assert!(intervals.iter().all(|i| (27.0..=33.0).contains(&i.as_secs_f64())));
        assert!(intervals.iter().any(|i| i.as_secs_f64() < 29.0) && intervals.iter().any(|i| i.as_secs_f64() > 31.0));
        let exact = Health { jitter: tidegate_core::config::Percent::new(0), ..health };
        assert_eq!(interval(&exact), Duration::from_secs(30));
    }
}
