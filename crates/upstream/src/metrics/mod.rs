//! What is counted of a pool and its targets.

mod connections;
mod families;
mod pool_series;
mod target_series;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tidegate_core::prometheus::{IntCounter, IntGauge};

pub(crate) use families::UpstreamMetrics;
#[cfg(test)]
pub(crate) use pool_series::REFUSED;
pub(crate) use target_series::TargetSeries;

use crate::admission::Overloaded;
use crate::config::UpstreamConfig;
use crate::pick::{Failure, TryOutcome};
use crate::pool::Pool;
use crate::retry::{NoRetry, Why};
use crate::state::Reason;
use crate::target::LiveTarget;
use pool_series::PoolSeries;

/// The series of one pool.
pub(crate) struct PoolMetrics {
    series: Arc<PoolSeries>,
}

/// What admission shows of itself, as far as the configuration asks for it.
#[derive(Debug, Default)]
pub(crate) struct AdmissionGauges {
    pub(crate) queued: Option<IntGauge>,
    pub(crate) limit: Option<IntGauge>,
    pub(crate) breaker: Option<IntGauge>,
}

/// What became of the copy of a request that was to go to a mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mirrored {
    /// The mirror answered, whatever with.
    Ok,
    /// It did not.
    Failed,
    /// None was sent: too many were under way, or the body was too long.
    Dropped,
}

impl Pool {
    /// A request is tried again, for this reason.
    pub fn count_retry(&self, why: Why) {
        let nth = match why {
            Why::Failed(Failure::Connect) => 0,
            Why::Failed(Failure::RefusedStream) => 1,
            Why::Failed(Failure::Reset) => 2,
            Why::Failed(Failure::Timeout) => 3,
            Why::Failed(Failure::Protocol) => 4,
            Why::Status(_) => 5,
            Why::Grpc(_) => 6,
        };
        count(&self.metrics.series.retries, nth);
    }

    /// A request that failed is not tried again.
    pub fn count_no_retry(&self, why: NoRetry) {
        let nth = match why {
            NoRetry::NotAsked => 0,
            NoRetry::Exhausted => 1,
            NoRetry::NotIdempotent => 2,
            NoRetry::BodyGone => 3,
            NoRetry::OverBudget => 4,
        };
        count(&self.metrics.series.retries_refused, nth);
    }

    /// A request was sent twice, and one of the two has answered.
    pub fn count_hedge(&self, second_won: bool) {
        count(self.metrics.series.hedges(), usize::from(second_won));
    }

    /// A request was to be copied to this pool's mirror.
    pub fn count_mirror(&self, result: Mirrored) {
        let nth = match result {
            Mirrored::Ok => 0,
            Mirrored::Failed => 1,
            Mirrored::Dropped => 2,
        };
        count(self.metrics.series.mirrored(), nth);
    }
}

impl PoolMetrics {
    pub(crate) fn new(pool: &str, metrics: &UpstreamMetrics) -> Self {
        Self { series: metrics.series(pool) }
    }

    /// What a target counts with, to be kept: this looks it up.
    pub(crate) fn target(&self, name: &Arc<str>) -> Arc<TargetSeries> {
        self.series.target(name)
    }

    pub(crate) fn admission(&self, config: &UpstreamConfig) -> AdmissionGauges {
        let (of, limits) = (self.series.families(), &config.limits);
        let limited = limits.in_flight.is_some() || limits.connections.is_some() || config.adaptive.is_some();
        AdmissionGauges {
            queued: self.series.gauge(&of.queued, limited && limits.queue > 0),
            limit: self.series.gauge(&of.limit, limited),
            breaker: self.series.gauge(&of.breaker, config.breaker.is_some()),
        }
    }

    /// A try begins.
    pub(crate) fn picked(&self, target: &LiveTarget) {
        target.series.in_flight.inc();
    }

    /// A connection stands; `took` if it had to be made.
    pub(crate) fn connected(&self, target: &LiveTarget, took: Option<Duration>) {
        count(&self.series.connections, usize::from(took.is_none()));
        if let Some(took) = took {
            target.series.connect.observe(took.as_secs_f64());
        }
    }

    /// The time to the first byte of an answer.
    pub(crate) fn answered(&self, target: &LiveTarget, took: Duration) {
        target.series.first_byte.observe(took.as_secs_f64());
    }

    /// A try is over.
    pub(crate) fn ended(&self, target: &LiveTarget, outcome: TryOutcome) {
        target.series.in_flight.dec();
        let nth = match outcome {
            outcome @ TryOutcome::Answered { .. } => usize::from(outcome.is_server_error()),
            TryOutcome::Failed(Failure::Connect) => 2,
            TryOutcome::Failed(Failure::Reset) => 3,
            TryOutcome::Failed(Failure::Timeout) => 4,
            TryOutcome::Failed(Failure::RefusedStream) => 5,
            TryOutcome::Failed(Failure::Protocol) => 6,
            TryOutcome::Abandoned => 7,
        };
        count(&target.series.outcomes, nth);
    }

    /// A target was taken out or restored.
    pub(crate) fn marked(&self, target: &LiveTarget, reason: Reason, on: bool) {
        if on {
            target.series.taken_out(reason);
        }
    }

    /// The pool's targets are no longer `before` but `now`, or some of them changed their state.
    pub(crate) fn listed(&self, before: &[Arc<LiveTarget>], now: &[Arc<LiveTarget>]) {
        let mut usable: HashMap<*const TargetSeries, (&TargetSeries, i64)> = HashMap::new();
        for (target, counts) in before.iter().map(|target| (target, false)).chain(now.iter().map(|now| (now, true))) {
            let (_, sum) = usable.entry(Arc::as_ptr(&target.series)).or_insert((&target.series, 0));
            *sum += i64::from(counts && target.state.is_usable());
        }
        usable.values().for_each(|(series, sum)| series.usable.set(*sum));
    }

    /// A health check is over.
    pub(crate) fn checked(&self, target: &LiveTarget, ok: bool) {
        target.series.checked(ok);
    }

    /// A source of targets has answered, or failed to. `source` is its kind, as in `discovery[].type`.
    pub(crate) fn discovered(&self, source: &str, ok: bool) {
        self.series.discovery(source, ok).inc();
    }

    /// A request was not let in.
    pub(crate) fn refused(&self, why: &Overloaded) {
        let nth = match why {
            Overloaded::Full => 0,
            Overloaded::QueueTimeout => 1,
            Overloaded::BreakerOpen { .. } => 2,
        };
        count(&self.series.refused, nth);
    }
}

fn count(counters: &[IntCounter], nth: usize) {
    if let Some(counter) = counters.get(nth) {
        counter.inc();
    }
}
