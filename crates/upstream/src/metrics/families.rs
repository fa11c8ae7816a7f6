//! The metrics of all upstreams of one gateway, by name.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tidegate_core::prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};
use tidegate_core::{MetricError, Metrics};

use super::pool_series::PoolSeries;

/// In seconds: from a neighbour to another continent.
const CONNECT_BUCKETS: [f64; 6] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5];
/// In seconds: from memory to a slow report.
const FIRST_BYTE_BUCKETS: [f64; 7] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0];

/// Metrics that go on from one configuration to the next, of which each pool takes its own.
#[derive(Clone)]
pub(crate) struct UpstreamMetrics(pub(super) Arc<Shared>);

pub(super) struct Shared {
    /// Keeps the registry, to know it again.
    metrics: Metrics,
    pub(super) families: Families,
    /// The series that are in use. A pool that a reload changes and the one that takes its place have the same, and
    /// they end with the last of them.
    pub(super) pools: Mutex<HashMap<Arc<str>, Weak<PoolSeries>>>,
}

pub(super) struct Families {
    pub(super) requests: IntCounterVec,
    pub(super) in_flight: IntGaugeVec,
    pub(super) connect: HistogramVec,
    pub(super) first_byte: HistogramVec,
    pub(super) connections: IntCounterVec,
    pub(super) open_connections: IntGaugeVec,
    pub(super) usable: IntGaugeVec,
    pub(super) taken_out: IntCounterVec,
    pub(super) health_checks: IntCounterVec,
    pub(super) retries: IntCounterVec,
    pub(super) retries_refused: IntCounterVec,
    pub(super) hedges: IntCounterVec,
    pub(super) mirrored: IntCounterVec,
    pub(super) refused: IntCounterVec,
    pub(super) queued: IntGaugeVec,
    pub(super) limit: IntGaugeVec,
    pub(super) breaker: IntGaugeVec,
    pub(super) discovery_updates: IntCounterVec,
    pub(super) discovery_failures: IntCounterVec,
}

impl UpstreamMetrics {
    /// Those of `previous`, if they are of the same gateway.
    pub(crate) fn new(metrics: &Metrics, previous: Option<&Self>) -> Result<Self, MetricError> {
        let same = |previous: &&Self| std::ptr::eq(previous.0.metrics.registry(), metrics.registry());
        if let Some(previous) = previous.filter(same) {
            return Ok(previous.clone());
        }
        let families = Families::new(metrics)?;
        Ok(Self(Arc::new(Shared { metrics: metrics.clone(), families, pools: Mutex::default() })))
    }
}

impl std::fmt::Debug for UpstreamMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UpstreamMetrics")
    }
}

impl Families {
    fn new(metrics: &Metrics) -> Result<Self, MetricError> {
        let counter = |name: &str, help, labels: &[&str]| metrics.counter(&named(name), help, labels);
        let gauge = |name: &str, help, labels: &[&str]| metrics.gauge(&named(name), help, labels);
        let target = ["upstream", "target"];
        Ok(Self {
            requests: counter("requests_total", "Tries by what became of them.", &["upstream", "target", "outcome"])?,
            in_flight: gauge("in_flight", "Tries under way.", &target)?,
            connect: seconds(metrics, "connect_seconds", "Time to make a new connection.", &CONNECT_BUCKETS)?,
            first_byte: seconds(
                metrics,
                "first_byte_seconds",
                "Time from the choice of a target, or the end of the request's body, to the head of its answer.",
                &FIRST_BYTE_BUCKETS,
            )?,
            connections: counter("connections_total", "Connections that tries were given.", &["upstream", "kind"])?,
            open_connections: gauge("open_connections", "Connections that are open, in use or kept.", &target)?,
            usable: gauge("usable", "Addresses of a target that requests may go to; 0: it is out.", &target)?,
            taken_out: counter("taken_out_total", "Times a target was taken out.", &["upstream", "target", "reason"])?,
            health_checks: counter("health_checks_total", "Health checks.", &["upstream", "target", "result"])?,
            retries: counter("retries_total", "Tries after the first.", &["upstream", "reason"])?,
            retries_refused: counter(
                "retries_refused_total",
                "Requests that failed and were not tried again.",
                &["upstream", "why"],
            )?,
            hedges: counter("hedges_total", "Requests sent twice, by who answered first.", &["upstream", "winner"])?,
            mirrored: counter("mirrored_total", "Copies of requests.", &["upstream", "result"])?,
            refused: counter("refused_total", "Requests that were not let in.", &["upstream", "why"])?,
            queued: gauge("queued", "Requests that wait to be let in.", &["upstream"])?,
            limit: gauge("limit", "Requests that may be in flight now.", &["upstream"])?,
            breaker: gauge("breaker_open", "0: closed, 1: open, 2: half-open.", &["upstream"])?,
            discovery_updates: counter(
                "discovery_updates_total",
                "Answers of sources of targets.",
                &["upstream", "source"],
            )?,
            discovery_failures: counter(
                "discovery_failures_total",
                "Times that a source of targets had no answer.",
                &["upstream", "source"],
            )?,
        })
    }
}

fn named(name: &str) -> String {
    format!("tidegate_upstream_{name}")
}

fn seconds(metrics: &Metrics, name: &str, help: &str, buckets: &[f64]) -> Result<HistogramVec, MetricError> {
    metrics.histogram(&named(name), help, &["upstream", "target"], buckets)
}
