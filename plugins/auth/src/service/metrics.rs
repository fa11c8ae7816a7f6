//! What is counted.

use tidegate_core::prometheus::IntCounter;
use tidegate_core::{ConfigError, Metrics, StatusCode};

use super::paths::{Call, NAMES};

/// Counters, resolved.
pub(super) struct ServiceMetrics {
    /// By endpoint, then by class of status.
    requests: Vec<[IntCounter; 4]>,
    issued: [IntCounter; 3],
    refreshed: [IntCounter; 5],
}

/// For what tokens were issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grant {
    Login,
    Refresh,
    Password,
}

/// What became of a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refreshed {
    Rotated,
    /// The same successor again.
    Again,
    Reused,
    /// Its session is over.
    Gone,
    /// None of ours.
    Invalid,
}

const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

impl ServiceMetrics {
    pub(super) fn new(metrics: &Metrics) -> Result<Self, ConfigError> {
        let made = |name, help, labels: &[&str]| {
            metrics.counter(name, help, labels).map_err(|error| ConfigError::at("", error.to_string()))
        };
        let help = "Requests to the token service, by endpoint and class of status";
        let requests = made("tidegate_auth_service_requests_total", help, &["endpoint", "status"])?;
        let issued = made("tidegate_auth_issued_total", "Logins and tokens issued, by what for", &["grant"])?;
        let help = "Refresh tokens presented, by what became of them";
        let refreshed = made("tidegate_auth_refresh_total", help, &["result"])?;
        let of_endpoint = |name| CLASSES.map(|class| requests.with_label_values(&[name, class]));
        let results = ["rotated", "again", "reused", "gone", "invalid"];
        Ok(Self {
            requests: NAMES.iter().map(|name| of_endpoint(*name)).collect(),
            issued: ["login", "refresh", "password"].map(|grant| issued.with_label_values(&[grant])),
            refreshed: results.map(|result| refreshed.with_label_values(&[result])),
        })
    }

    pub(super) fn request(&self, call: Option<Call>, status: StatusCode) {
        let endpoint = call.map_or(NAMES.len() - 1, Call::index);
        let class = usize::from(status.as_u16() / 100).saturating_sub(2);
        if let Some(counter) = self.requests.get(endpoint).and_then(|classes| classes.get(class)) {
            counter.inc();
        }
    }

    pub(super) fn issued(&self, grant: Grant) {
        self.issued[grant as usize].inc();
    }

    pub(super) fn refreshed(&self, what: Refreshed) {
        self.refreshed[what as usize].inc();
    }
}
