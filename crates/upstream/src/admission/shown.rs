//! What operators see of admission in metrics.

use std::sync::OnceLock;

use super::breaker::Phase;
use crate::metrics::AdmissionGauges;

/// The gauges, once the configuration is in use.
#[derive(Debug, Default)]
pub(super) struct Shown(OnceLock<AdmissionGauges>);

impl Shown {
    pub(super) fn begin(&self, gauges: AdmissionGauges) {
        // A pool that took this over from the one before has the same.
        let _ = self.0.set(gauges);
    }

    pub(super) fn queued(&self, requests: u32) {
        let gauge = self.0.get().and_then(|gauges| gauges.queued.as_ref());
        gauge.into_iter().for_each(|gauge| gauge.set(i64::from(requests)));
    }

    pub(super) fn limit(&self, requests: u32) {
        let gauge = self.0.get().and_then(|gauges| gauges.limit.as_ref());
        gauge.into_iter().for_each(|gauge| gauge.set(i64::from(requests)));
    }

    pub(super) fn breaker(&self, phase: Phase) {
        let gauge = self.0.get().and_then(|gauges| gauges.breaker.as_ref());
        let shown = match phase {
            Phase::Closed => 0,
            Phase::Open { .. } => 1,
            Phase::HalfOpen => 2,
        };
        gauge.into_iter().for_each(|gauge| gauge.set(shown));
    }
}
