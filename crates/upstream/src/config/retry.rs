//! `retry:`, `hedge:` and `mirror:`: when a request is sent more than once.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::{Duration, Percent};

/// When a request that failed is tried again, on another target if there is one. A request of which nothing was
/// sent is; one that was sent only if its method is idempotent (RFC 9110 section 9.2.2) and its body is still there:
/// at most 64 KiB of it are kept.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// How many times a request is tried again. 0: never. At most 10. Default: 2.
    #[schemars(range(max = 10))]
    pub attempts: u32,
    /// On what: `connect` (no connection: nothing was sent), `refused_stream` (the target says it has not begun),
    /// `reset` (the connection broke before the answer), `timeout` (no answer in time), a status such as `503`, or
    /// `grpc.unavailable` and the like (a gRPC status that came without any message). Default: `[connect,
    /// refused_stream, reset]`.
    pub on: Vec<RetryOn>,
    /// Never try a request again that may have been worked on, unless its method is idempotent. `false` also repeats
    /// POST: only for upstreams that know a request they had before. Default: true.
    pub idempotent_only: bool,
    /// How long a target may be silent before a try is given up, connecting included, as long as there may be
    /// another try. It also cuts an answer that has begun and then pauses for as long, so leave it out where answers
    /// are streams of events. Default: the timeouts of the upstream.
    pub per_try_timeout: Option<Duration>,
    /// How long to wait before each next try.
    pub backoff: Backoff,
    /// How many retries there may be at a time, so that they don't finish off an upstream that is struggling. A
    /// request of which nothing was sent is no retry in this sense: sent elsewhere, it is the first to give any work.
    pub budget: Budget,
}

/// One reason to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetryOn {
    /// No connection could be made.
    Connect,
    /// HTTP/2: the stream was refused, or lies beyond what GOAWAY says was begun.
    RefusedStream,
    /// The connection broke, or what came was no HTTP, before there was an answer.
    Reset,
    /// Connected, but no answer in time.
    Timeout,
    /// An answer with this status.
    Status(u16),
    /// An answer with this gRPC status and no message.
    Grpc(u16),
}

/// Exponential backoff with full jitter: before the n-th retry a random time up to `base` times 2 to the n-1, and no
/// more than `max`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Backoff {
    /// Default: 25ms.
    pub base: Duration,
    /// Default: 250ms.
    pub max: Duration,
}

/// How many retries there may be at a time.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// This share of the requests in flight may be retries. Default: `20%`.
    pub share: Percent,
    /// But always so many. Default: 3.
    pub min: u32,
}

/// Send a request a second time, to another target, when the first has not answered for a while, and take the answer
/// that is there first. Only requests without a body and with a safe method (GET, HEAD, OPTIONS).
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Hedge {
    /// Wait as long as this share of the latest answers took. Default: `95%`.
    pub percentile: Percent,
    /// But never less than this. Default: 10ms.
    pub min_delay: Duration,
    /// And never longer; also how long to wait before 100 answers were seen. Default: 1s.
    pub max_delay: Duration,
    /// At most this share of the requests that may be sent twice is; what is not used is saved up, but for no more
    /// than 100 of them. Default: `10%`.
    pub max_share: Percent,
}

/// Copy requests to another upstream and throw its answers away.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    /// The upstream that gets the copies.
    pub upstream: String,
    /// The share of requests that is copied. Default: `100%`.
    #[serde(default = "all")]
    pub share: Percent,
    /// Copies under way at a time; beyond, requests are not copied. At least 1. Default: 100.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1))]
    pub max_in_flight: u32,
    /// How long one may take. Default: 10s.
    #[serde(default = "ten_seconds")]
    pub timeout: Duration,
}

fn all() -> Percent {
    Percent::new(100)
}

fn hundred() -> u32 {
    100
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 2,
            on: vec![RetryOn::Connect, RetryOn::RefusedStream, RetryOn::Reset],
            idempotent_only: true,
            per_try_timeout: None,
            backoff: Backoff::default(),
            budget: Budget::default(),
        }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_millis(25), max: Duration::from_millis(250) }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self { share: Percent::new(20), min: 3 }
    }
}

impl Default for Hedge {
    fn default() -> Self {
        Self {
            percentile: Percent::new(95),
            min_delay: Duration::from_millis(10),
            max_delay: Duration::from_secs(1),
            max_share: Percent::new(10),
        }
    }
}
