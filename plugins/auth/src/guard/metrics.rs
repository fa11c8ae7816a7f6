//! What became of attempts.

use tidegate_core::prometheus::IntCounter;
use tidegate_core::{ConfigError, Metrics};

use super::Admission;

/// Attempts by what the guard said.
pub(super) struct GuardMetrics {
    passed: IntCounter,
    limited: IntCounter,
    locked: IntCounter,
    challenged: IntCounter,
    busy: IntCounter,
}

impl GuardMetrics {
    pub(super) fn new(metrics: &Metrics) -> Result<Self, ConfigError> {
        let help =
            "Attempts at login, sign-up, password change and second factor: passed, limited, locked, challenged, busy";
        let attempts = metrics.counter("tidegate_auth_attempts_total", help, &["result"]);
        let attempts = attempts.map_err(|error| ConfigError::at("", error.to_string()))?;
        let of = |result| attempts.with_label_values(&[result]);
        Ok(Self {
            passed: of("passed"),
            limited: of("limited"),
            locked: of("locked"),
            challenged: of("challenged"),
            busy: of("busy"),
        })
    }

    pub(super) fn count(&self, admission: &Admission) {
        let counter = match admission {
            Admission::Go => &self.passed,
            Admission::TooMany(_) => &self.limited,
            Admission::Locked(_) => &self.locked,
            Admission::Challenge(_) => &self.challenged,
            Admission::Busy => &self.busy,
        };
        counter.inc();
    }
}
