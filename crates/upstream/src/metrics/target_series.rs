//! What is counted of one target.

use std::sync::{Arc, Weak};

use tidegate_core::prometheus::{Histogram, IntCounter, IntGauge};

use super::families::Families;
use super::pool_series::PoolSeries;
use crate::state::Reason;

/// How many targets of a pool have series of their own. Sources of targets may name more; a label has to be bounded.
pub(super) const OWN_SERIES: usize = 1_000;
/// The label of all further ones. No target has this name: an address has a port, or is a path.
const OTHER: &str = "other";

pub(super) const OUTCOMES: [&str; 8] =
    ["answered", "server_error", "connect", "reset", "timeout", "refused_stream", "protocol", "abandoned"];
const NOT_FAILED: [&str; 2] = ["answered", "abandoned"];
const CHECKS: [&str; 2] = ["ok", "failed"];

/// The series of one target of one upstream, looked up once. They are removed with the last of its addresses, and the
/// last request there.
pub(crate) struct TargetSeries {
    pool: Arc<PoolSeries>,
    target: Arc<str>,
    pub(super) outcomes: [IntCounter; 8],
    pub(super) in_flight: IntGauge,
    pub(super) connect: Histogram,
    pub(super) first_byte: Histogram,
    pub(super) open_connections: IntGauge,
    pub(super) usable: IntGauge,
    taken_out: [IntCounter; 4],
    checks: [IntCounter; 2],
}

impl PoolSeries {
    /// The series of the target of this name.
    pub(super) fn target(self: &Arc<Self>, name: &Arc<str>) -> Arc<TargetSeries> {
        let mut targets = self.targets.lock();
        let known = targets.get(name).and_then(Weak::upgrade);
        let room = targets.len() < OWN_SERIES || targets.contains_key(name);
        let name = if room { name.clone() } else { OTHER.into() };
        let known = known.or_else(|| targets.get(&name).and_then(Weak::upgrade));
        known.unwrap_or_else(|| {
            let series = Arc::new(TargetSeries::new(self.clone(), name.clone()));
            targets.insert(name, Arc::downgrade(&series));
            series
        })
    }
}

impl TargetSeries {
    fn new(pool: Arc<PoolSeries>, target: Arc<str>) -> Self {
        let of = pool.families();
        let labels = [&*pool.upstream, &*target];
        let third = |family: &tidegate_core::prometheus::IntCounterVec, label| {
            let [upstream, target] = labels;
            family.with_label_values(&[upstream, target, label])
        };
        Self {
            outcomes: OUTCOMES.map(|outcome| third(&of.requests, outcome)),
            in_flight: of.in_flight.with_label_values(&labels),
            connect: of.connect.with_label_values(&labels),
            first_byte: of.first_byte.with_label_values(&labels),
            open_connections: of.open_connections.with_label_values(&labels),
            usable: of.usable.with_label_values(&labels),
            taken_out: Reason::ALL.map(|reason| third(&of.taken_out, reason.as_str())),
            checks: CHECKS.map(|result| third(&of.health_checks, result)),
            target,
            pool,
        }
    }

    pub(super) fn taken_out(&self, reason: Reason) {
        let counters = Reason::ALL.iter().zip(&self.taken_out);
        counters.filter(|(of, _)| **of == reason).for_each(|(_, counter)| counter.inc());
    }

    pub(super) fn checked(&self, ok: bool) {
        let [good, failed] = &self.checks;
        if ok { good } else { failed }.inc();
    }

    /// How many tries are over, and how many of them failed; `None` where targets are counted together.
    pub(crate) fn tries(&self) -> Option<(u64, u64)> {
        let failed = OUTCOMES.iter().zip(&self.outcomes).filter(|(outcome, _)| !NOT_FAILED.contains(outcome));
        let total = self.outcomes.iter().map(IntCounter::get).sum();
        (*self.target != *OTHER).then(|| (total, failed.map(|(_, counter)| counter.get()).sum()))
    }

    fn remove(&self, of: &Families) {
        let [upstream, target] = [&*self.pool.upstream, &*self.target];
        // Errors say that there was none.
        for family in [&of.in_flight, &of.open_connections, &of.usable] {
            let _ = family.remove_label_values(&[upstream, target]);
        }
        for family in [&of.connect, &of.first_byte] {
            let _ = family.remove_label_values(&[upstream, target]);
        }
        let outcomes = OUTCOMES.iter().map(|outcome| (&of.requests, *outcome));
        let reasons = Reason::ALL.iter().map(|reason| (&of.taken_out, reason.as_str()));
        let checks = CHECKS.iter().map(|result| (&of.health_checks, *result));
        for (family, label) in outcomes.chain(reasons).chain(checks) {
            let _ = family.remove_label_values(&[upstream, target, label]);
        }
    }
}

impl Drop for TargetSeries {
    fn drop(&mut self) {
        let mut targets = self.pool.targets.lock();
        // Meanwhile the target may have come again, and has them now.
        if targets.get(&self.target).is_some_and(|series| series.strong_count() == 0) {
            targets.remove(&self.target);
            self.remove(self.pool.families());
        }
    }
}
