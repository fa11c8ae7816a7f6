//! What became of logins with one provider.

use tidegate_core::prometheus::IntCounter;
use tidegate_core::{ConfigError, Metrics};

/// Counters, resolved.
pub(super) struct LoginMetrics {
    begun: IntCounter,
    logged_in: IntCounter,
    /// By the code that the client was told.
    refused: Vec<(&'static str, IntCounter)>,
    other: IntCounter,
}

/// The codes that are counted by themselves.
const CODES: [&str; 14] = [
    "login_not_begun",
    "invalid_callback",
    "invalid_return_to",
    "login_declined",
    "login_failed",
    "login_refused",
    "no_account",
    "account_disabled",
    "totp_required",
    "totp_invalid",
    "too_many_requests",
    "provider_unavailable",
    "store_unavailable",
    "keys_unavailable",
];

impl LoginMetrics {
    pub(super) fn new(metrics: &Metrics, provider: &str) -> Result<Self, ConfigError> {
        let help = "Logins with other providers: begun, logged_in, or the code that the client was told";
        let logins = metrics.counter("tidegate_auth_login_with_total", help, &["provider", "result"]);
        let logins = logins.map_err(|error| ConfigError::at("", error.to_string()))?;
        let of = |result| logins.with_label_values(&[provider, result]);
        let refused = CODES.into_iter().map(|code| (code, of(code))).collect();
        Ok(Self { begun: of("begun"), logged_in: of("logged_in"), refused, other: of("other") })
    }

    pub(super) fn begun(&self) {
        self.begun.inc();
    }

    pub(super) fn logged_in(&self) {
        self.logged_in.inc();
    }

    /// Or asked for more: with this code.
    pub(super) fn refused(&self, code: &str) {
        let counter = self.refused.iter().find(|(known, _)| *known == code);
        counter.map_or(&self.other, |(_, counter)| counter).inc();
    }
}
