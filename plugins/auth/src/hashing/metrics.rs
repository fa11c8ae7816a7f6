//! What hashing costs, and how much of it waits.

use tidegate_core::prometheus::{Histogram, IntCounter, IntGauge};
use tidegate_core::{ConfigError, MetricError, Metrics};

/// bcrypt takes from some 50 ms at cost 10 to some seconds at cost 16.
const SECONDS: &[f64] = &[0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0];

/// The metrics of hashing.
#[derive(Clone)]
pub(crate) struct HashMetrics {
    /// From its turn to its end, without waiting.
    pub(crate) seconds: Histogram,
    pub(crate) queue: IntGauge,
    pub(crate) refused: IntCounter,
}

impl HashMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Result<Self, ConfigError> {
        Self::made(metrics).map_err(|error| ConfigError::at("", error.to_string()))
    }

    fn made(metrics: &Metrics) -> Result<Self, MetricError> {
        let none = &[] as &[&str];
        let help = "How long hashing one password took, without waiting for its turn";
        let seconds = metrics.histogram("tidegate_auth_hash_seconds", help, none, SECONDS)?;
        let queue = metrics.gauge("tidegate_auth_hash_queue", "Passwords that wait to be hashed", none)?;
        let help = "Passwords that were not hashed because too many waited";
        let refused = metrics.counter("tidegate_auth_hash_refused_total", help, none)?;
        Ok(Self {
            seconds: seconds.with_label_values(none),
            queue: queue.with_label_values(none),
            refused: refused.with_label_values(none),
        })
    }
}
