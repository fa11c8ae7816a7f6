//! What operators see of clients and routes.

use std::time::SystemTime;

use tidegate_core::prometheus::{Gauge, Histogram, IntCounter, IntCounterVec};
use tidegate_core::{MetricError, Metrics};

/// Of one client.
#[derive(Debug)]
pub(crate) struct ClientMetrics {
    ok: IntCounter,
    pub(crate) failed: IntCounter,
    pub(crate) seconds: Histogram,
    expires: Gauge,
    pub(crate) rejected: IntCounter,
}

impl ClientMetrics {
    pub(crate) fn new(metrics: &Metrics, client: &str) -> Result<Self, MetricError> {
        let help = "Fetches of tokens for upstreams, by what became of them: ok, failed";
        let fetches = metrics.counter("tidegate_upstream_oauth_fetches_total", help, &["client", "result"])?;
        let help = "How long fetches of tokens for upstreams took, in seconds";
        let buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
        let seconds = metrics.histogram("tidegate_upstream_oauth_fetch_seconds", help, &["client"], &buckets)?;
        let help = "When the token for upstreams ends, in seconds since 1970; 0 before there is one";
        let expires =
            metrics.float_gauge("tidegate_upstream_oauth_token_expires_timestamp_seconds", help, &["client"])?;
        let help = "Answers of upstreams with 401 to the gateway's own token";
        let rejected = metrics.counter("tidegate_upstream_oauth_rejected_total", help, &["client"])?;
        Ok(Self {
            ok: fetches.with_label_values(&[client, "ok"]),
            failed: fetches.with_label_values(&[client, "failed"]),
            seconds: seconds.with_label_values(&[client]),
            expires: expires.with_label_values(&[client]),
            rejected: rejected.with_label_values(&[client]),
        })
    }

    pub(crate) fn fetched(&self, expires: Option<SystemTime>) {
        self.ok.inc();
        let since = expires.and_then(|expires| expires.duration_since(SystemTime::UNIX_EPOCH).ok());
        self.expires.set(since.map_or(0.0, |since| since.as_secs_f64()));
    }
}

/// Of routes.
#[derive(Debug)]
pub(crate) struct RouteMetrics(IntCounterVec);

impl RouteMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Result<Self, MetricError> {
        let help = "Requests for which there was no token for upstreams";
        metrics.counter("tidegate_upstream_oauth_missing_total", help, &["route"]).map(Self)
    }

    pub(crate) fn missing(&self, route: &str) -> IntCounter {
        self.0.with_label_values(&[route])
    }
}
