//! `limits:`, `breaker:` and `adaptive:`: how much an upstream is asked at a time.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::{Duration, Percent};

/// How much a pool takes at a time. Beyond, requests wait in a bounded queue, and beyond that they are answered 503
/// with `Retry-After`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PoolLimits {
    /// Requests in flight. Default: no limit.
    #[schemars(range(min = 1))]
    pub in_flight: Option<u32>,
    /// Connections in use: for HTTP/1 one for each request in flight, for HTTP/2 one for each `h2.max_streams` of
    /// them. Default: no limit.
    #[schemars(range(min = 1))]
    pub connections: Option<u32>,
    /// Requests that wait for one of these. Default: 0, none waits. At most 100,000.
    #[schemars(range(max = 100_000))]
    pub queue: u32,
    /// How long a request waits. Default: 1s.
    pub queue_timeout: Duration,
    /// Requests in flight on each target that has no `max_in_flight` of its own; one that is full is passed over.
    /// Default: no limit.
    #[schemars(range(min = 1))]
    pub per_target: Option<u32>,
}

/// Stop asking an upstream that fails: for a while every request is answered 503 at once, then a few are let through
/// to see whether it has recovered.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Breaker {
    /// Open at this share of failed requests: 5xx but 501 and 505, broken and late answers. Default: `50%`.
    pub error_ratio: Percent,
    /// Requests that take longer to begin answering are slow. Default: none is.
    pub slow: Option<Duration>,
    /// Open at this share of slow requests. Default: `50%`.
    pub slow_ratio: Percent,
    /// The time over which shares are counted. At least 10ms. Default: 10s.
    pub window: Duration,
    /// With fewer requests in the window nothing is judged. At least 1. Default: 20.
    #[schemars(range(min = 1))]
    pub min_requests: u32,
    /// How long it stays open. Default: 5s.
    pub open: Duration,
    /// How many requests are then let through, one failure of which opens it again. At least 1. Default: 3.
    #[schemars(range(min = 1))]
    pub probes: u32,
}

/// Find out by itself how many requests in flight an upstream can take: the limit grows while answers come as fast as
/// ever, and shrinks when they come later (the gradient of Netflix's concurrency-limits).
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Adaptive {
    /// The limit to begin with. Default: 20.
    pub initial: u32,
    /// It is never less. At least 1. Default: 5.
    #[schemars(range(min = 1))]
    pub min: u32,
    /// It is never more. Default: 1000.
    pub max: u32,
    /// How much slower than usual an answer may be before the limit shrinks: 1.5 is half as long again. At least 1.
    /// Default: 1.5.
    pub tolerance: f64,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self { in_flight: None, connections: None, queue: 0, queue_timeout: Duration::from_secs(1), per_target: None }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            error_ratio: Percent::new(50),
            slow: None,
            slow_ratio: Percent::new(50),
            window: Duration::from_secs(10),
            min_requests: 20,
            open: Duration::from_secs(5),
            probes: 3,
        }
    }
}

impl Default for Adaptive {
    fn default() -> Self {
        Self { initial: 20, min: 5, max: 1000, tolerance: 1.5 }
    }
}
