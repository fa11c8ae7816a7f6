//! What operators see of checks in numbers: by provider and by route, never by who asks.

use std::sync::{Arc, OnceLock};

use tidegate_core::prometheus::{IntCounter, IntCounterVec};
use tidegate_core::{ConfigError, MetricError, Metrics};

use crate::cache::CacheCounts;
use crate::verdict::{Reason, Verdict};

/// The plugin's metrics of checks, of which providers and routes take theirs when they are built.
#[derive(Debug, Clone)]
pub(crate) struct AuthMetrics {
    checks: IntCounterVec,
    refused: IntCounterVec,
    pub(crate) cache: CacheCounts,
}

impl AuthMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Result<Self, ConfigError> {
        Self::made(metrics).map_err(|error| ConfigError::at("", error.to_string()))
    }

    fn made(metrics: &Metrics) -> Result<Self, MetricError> {
        let help = "Credentials that were looked at, by provider and what came of it: proved, failed, or why not";
        let checks = metrics.counter("tidegate_auth_checks_total", help, &["provider", "result"])?;
        let help = "Requests that were refused, by route and what the client was told";
        let refused = metrics.counter("tidegate_auth_refused_total", help, &["route", "code"])?;
        let counter = |name, help| metrics.counter(name, help, &[]).map(|of| of.with_label_values(&[] as &[&str]));
        let entries = metrics.gauge("tidegate_auth_cache_entries", "Good tokens that are remembered", &[])?;
        let misses = "Tokens that were asked for and not remembered";
        let evicted = "Tokens that gave way to others";
        let cache = CacheCounts {
            entries: entries.with_label_values(&[] as &[&str]),
            misses: counter("tidegate_auth_cache_misses_total", misses)?,
            evicted: counter("tidegate_auth_cache_evicted_total", evicted)?,
        };
        Ok(Self { checks, refused, cache })
    }

    /// Of one provider.
    pub(crate) fn checks(&self, provider: &str) -> Checks {
        let of = |result| self.checks.with_label_values(&[provider, result]);
        let reasons = Reason::ALL.map(|reason| of(reason.as_str()));
        Checks { proved: of("proved"), failed: of("failed"), reasons }
    }

    /// Of one route.
    pub(crate) fn refused(&self, route: &Arc<str>) -> Refused {
        Refused { route: route.clone(), counters: self.refused.clone(), made: Default::default() }
    }
}

/// What came of the checks of one provider.
#[derive(Debug, Clone)]
pub(crate) struct Checks {
    proved: IntCounter,
    failed: IntCounter,
    /// By the reason's number.
    reasons: [IntCounter; Reason::ALL.len()],
}

impl Checks {
    pub(crate) fn count(&self, verdict: &Verdict) {
        match verdict {
            Verdict::Nothing => {}
            Verdict::Proved(_) => self.proved.inc(),
            Verdict::Failed(_) => self.failed.inc(),
            Verdict::Refused(refusal) | Verdict::NotMine(refusal) => {
                self.reasons.get(refusal.reason as usize).into_iter().for_each(IntCounter::inc);
            }
        }
    }
}

/// What clients of a route are told when they are refused. Others are counted as the last.
const CODES: [&str; 15] = [
    "missing_token",
    "invalid_token",
    "token_expired",
    "token_revoked",
    "ambiguous_credentials",
    "forbidden",
    "insufficient_scope",
    "declined",
    "csrf",
    "keys_unavailable",
    "introspection_unavailable",
    "forward_auth_unavailable",
    "store_unavailable",
    "busy",
    "other",
];

/// Refusals of one route. Most routes never refuse for most reasons: a series begins with the first.
#[derive(Debug)]
pub(crate) struct Refused {
    route: Arc<str>,
    counters: IntCounterVec,
    made: [OnceLock<IntCounter>; CODES.len()],
}

impl Refused {
    pub(crate) fn count(&self, code: &str) {
        let place = CODES.iter().position(|known| *known == code).unwrap_or(CODES.len() - 1);
        let Some((made, code)) = self.made.get(place).zip(CODES.get(place)) else { return };
        made.get_or_init(|| self.counters.with_label_values(&[&*self.route, code])).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Refusal;

    #[test]
    fn every_reason_has_its_own_series_and_codes_are_bounded() {
        let metrics = Metrics::new();
        let auth = AuthMetrics::new(&metrics).expect("made");
        let checks = auth.checks("jwt");
        for reason in Reason::ALL {
            checks.count(&Verdict::Refused(Refusal::from(reason)));
        }
        for reason in Reason::ALL {
            assert_eq!(auth.checks.with_label_values(&["jwt", reason.as_str()]).get(), 1, "{reason:?}");
        }
        let refused = auth.refused(&"users".into());
        ["busy", "never heard of", "or of this"].into_iter().for_each(|code| refused.count(code));
        assert_eq!(auth.refused.with_label_values(&["users", "busy"]).get(), 1);
        assert_eq!(auth.refused.with_label_values(&["users", "other"]).get(), 2);
    }
}
