//! What operators see of routes.

use tidegate_core::prometheus::{IntCounter, IntCounterVec};
use tidegate_core::{MetricError, Metrics};

use crate::config::Mode;
use crate::fault::Reason;

/// Of all routes.
#[derive(Debug)]
pub(crate) struct ValidationMetrics(IntCounterVec);

/// Of one route: requests that didn't pass, by reason.
#[derive(Debug)]
pub(crate) struct Failures([IntCounter; Reason::ALL.len()]);

impl ValidationMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Result<Self, MetricError> {
        let help = "Requests that were not as they must be, by reason; mode is enforce where they were refused";
        metrics.counter("tidegate_validation_failures_total", help, &["route", "mode", "reason"]).map(Self)
    }

    pub(crate) fn of(&self, route: &str, mode: Mode) -> Failures {
        let mode = if mode == Mode::Enforce { "enforce" } else { "report" };
        Failures(Reason::ALL.map(|reason| self.0.with_label_values(&[route, mode, reason.name()])))
    }
}

impl Failures {
    pub(crate) fn count(&self, reason: Reason) {
        // `ALL` is in the order of the variants.
        if let Some(counter) = self.0.get(reason as usize) {
            counter.inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_in_order() {
        assert!(Reason::ALL.iter().enumerate().all(|(index, reason)| *reason as usize == index));
    }
}
