//! What is told of keys in numbers.

use std::time::{SystemTime, UNIX_EPOCH};

use tidegate_core::prometheus::{IntCounter, IntGauge};
use tidegate_core::{MetricError, Metrics};

/// Of the keys of one provider.
#[derive(Debug, Clone)]
pub(crate) struct SourceMetrics {
    fetched: IntCounter,
    failed: IntCounter,
    keys: IntGauge,
    at: IntGauge,
}

impl SourceMetrics {
    pub(crate) fn new(metrics: &Metrics, provider: &str) -> Result<Self, MetricError> {
        let help = "Fetches of keys, by how they ended: ok, failed";
        let fetches = metrics.counter("tidegate_auth_key_fetches_total", help, &["provider", "result"])?;
        let keys = metrics.gauge("tidegate_auth_keys", "Keys that tokens are checked with", &["provider"])?;
        let help = "When keys were fetched last, in seconds since 1970; 0 if they never were";
        let at = metrics.gauge("tidegate_auth_keys_fetched_timestamp_seconds", help, &["provider"])?;
        Ok(Self {
            fetched: fetches.with_label_values(&[provider, "ok"]),
            failed: fetches.with_label_values(&[provider, "failed"]),
            keys: keys.with_label_values(&[provider]),
            at: at.with_label_values(&[provider]),
        })
    }

    pub(super) fn fetched(&self, keys: usize, now: SystemTime) {
        self.fetched.inc();
        self.have(keys);
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.at.set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }

    pub(super) fn failed(&self) {
        self.failed.inc();
    }

    /// There are so many keys.
    pub(crate) fn have(&self, keys: usize) {
        self.keys.set(i64::try_from(keys).unwrap_or(i64::MAX));
    }
}
