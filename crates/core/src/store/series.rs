//! What operators see of a store.

use std::sync::atomic::{AtomicI64, Ordering};

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::StoreError;
use crate::{MetricError, Metrics};

/// One store's metrics, resolved once.
pub(super) struct Series {
    name: String,
    gauges: IntGaugeVec,
    up: IntGauge,
    down: AtomicI64,
    requests: IntCounter,
    errors: Errors,
}

struct Errors {
    timeout: IntCounter,
    unreachable: IntCounter,
    down: IntCounter,
    refused: IntCounter,
}

impl Series {
    pub(super) fn new(store: &str, metrics: &Metrics) -> Result<Self, MetricError> {
        let help = "1 unless a server of the store is lost, and looked for in the background.";
        let gauges = metrics.gauge("tidegate_store_up", help, &["store"])?;
        let help = "Calls of a store, those that were refused because it is down included.";
        let requests = metrics.counter("tidegate_store_requests_total", help, &["store"])?;
        let help = "Calls of a store that failed.";
        let errors = metrics.counter("tidegate_store_errors_total", help, &["store", "kind"])?;
        let up = gauges.with_label_values(&[store]);
        up.set(1);
        let requests = requests.with_label_values(&[store]);
        Ok(Self { name: store.to_owned(), up, gauges, requests, errors: Errors::new(store, &errors), down: 0.into() })
    }

    pub(super) fn asked(&self) {
        self.requests.inc();
    }

    pub(super) fn failed(&self, error: &StoreError) {
        let counter = match error {
            StoreError::Timeout { .. } => &self.errors.timeout,
            StoreError::Unreachable { .. } => &self.errors.unreachable,
            StoreError::Down { .. } => &self.errors.down,
            StoreError::Refused { .. } => &self.errors.refused,
        };
        counter.inc();
    }

    /// A server was lost.
    pub(super) fn lost(&self) {
        self.change(1);
    }

    /// A server that was lost is back, or is not looked for any more.
    pub(super) fn found(&self) {
        self.change(-1);
    }

    fn change(&self, by: i64) {
        let down = self.down.fetch_add(by, Ordering::Relaxed) + by;
        self.up.set(i64::from(down == 0));
    }
}

impl Errors {
    fn new(store: &str, errors: &IntCounterVec) -> Self {
        let counter = |kind| errors.with_label_values(&[store, kind]);
        Self {
            timeout: counter("timeout"),
            unreachable: counter("unreachable"),
            down: counter("down"),
            refused: counter("refused"),
        }
    }
}

/// A store that is gone is neither up nor down.
impl Drop for Series {
    fn drop(&mut self) {
        // Somebody else may have removed it.
        let _ = self.gauges.remove_label_values(&[&self.name]);
    }
}
