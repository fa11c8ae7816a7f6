//! `health:` and `outlier:`: which targets are fit to serve.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_core::config::{Duration, Percent};

/// Active health checks: each target is asked again and again, beside the requests.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// What is asked: `http`, `tcp` (it accepts a connection) or `grpc` (grpc.health.v1). Default: `http`.
    #[serde(rename = "type")]
    pub kind: HealthKind,
    /// `http`: the path. Default: `/health`.
    pub path: String,
    /// `http`: `GET` or `HEAD`. Default: `GET`.
    pub method: HealthMethod,
    /// `http`: what to send in `Host`. Default: what requests send, or the target's own name.
    pub host: Option<String>,
    /// `grpc`: the service to ask for. Default: the server as a whole.
    pub service: String,
    /// The port to ask at. Default: the target's own.
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// From one check of a target to the next; each is moved by up to `jitter` of it. At least 10ms. Default: 30s.
    pub interval: Duration,
    /// How far a check may be moved, so that gateways don't ask all at once. At most `50%`. Default: `10%`.
    pub jitter: Percent,
    /// How long a check may take, from connecting to the end of the answer. Default: 5s.
    pub timeout: Duration,
    /// So many good checks in a row make a target usable again. At least 1. Default: 2.
    #[schemars(range(min = 1))]
    pub healthy: u32,
    /// So many failed checks in a row take a target out. At least 1. Default: 3.
    #[schemars(range(min = 1))]
    pub unhealthy: u32,
    /// Whether a target serves before its first check has an answer. If not, that first answer decides by itself.
    /// Default: false.
    pub assume_healthy: bool,
    /// `http`: what a good answer looks like.
    pub expect: Expect,
}

/// What a health check asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthKind {
    /// An HTTP request.
    #[default]
    Http,
    /// A TCP connection, with a TLS handshake if the upstream speaks TLS.
    Tcp,
    /// The Health service of gRPC, over HTTP/2.
    Grpc,
}

/// The method of a health check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
pub enum HealthMethod {
    /// With the body, which `expect` may look at.
    #[default]
    #[serde(rename = "GET")]
    Get,
    /// The head only.
    #[serde(rename = "HEAD")]
    Head,
}

/// What a good answer looks like: all of it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// The status is one of these, from 200 to 599. Default: any from 200 to 299.
    pub status: Vec<u16>,
    /// These fields have these values.
    pub headers: BTreeMap<String, String>,
    /// This text stands in the first 64 KiB of the body.
    pub body: Option<String>,
    /// The body is JSON, of at most 64 KiB, that has these values at these places (JSON Pointer, RFC 6901):
    /// `{ /status: ok }`.
    pub json: BTreeMap<String, serde_json::Value>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            kind: HealthKind::Http,
            path: "/health".to_owned(),
            method: HealthMethod::Get,
            host: None,
            service: String::new(),
            port: None,
            interval: Duration::from_secs(30),
            jitter: Percent::new(10),
            timeout: Duration::from_secs(5),
            healthy: 2,
            unhealthy: 3,
            assume_healthy: false,
            expect: Expect::default(),
        }
    }
}

/// Passive health: targets that fail the requests they are sent are left out for a while. The last usable target
/// never is.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Outlier {
    /// So many answers of 5xx in a row, failed connections and broken or late answers included. 501 and 505 don't
    /// count: any client can ask for them. 0: never for this. Default: 5.
    pub consecutive_5xx: u32,
    /// So many failures in a row to get any answer: refused, reset, timed out. A stream that HTTP/2 refuses is none:
    /// so do servers end connections. 0: never for this. Default: 3.
    pub consecutive_connect: u32,
    /// A target whose share of good answers is far below that of the others.
    #[serde(deserialize_with = "super::given")]
    #[schemars(with = "SuccessRate")]
    pub success_rate: Option<SuccessRate>,
    /// A target that takes far longer than the others.
    #[serde(deserialize_with = "super::given")]
    #[schemars(with = "LatencyOutlier")]
    pub latency: Option<LatencyOutlier>,
    /// How often `success_rate` and `latency` are looked at, over the requests since the last time. At least
    /// 10ms. Default: 10s.
    pub interval: Duration,
    /// How long a target is left out the first time; the n-th time in a row n times as long. For each
    /// `base_ejection` that it has served since, one is forgotten. Default: 30s.
    pub base_ejection: Duration,
    /// The longest that a target is left out. Default: 300s.
    pub max_ejection: Duration,
    /// At most this share of the targets is left out at a time, but always at least one may be if there are two.
    /// Default: `50%`.
    pub max_ejected: Percent,
}

/// Leave out a target whose share of good answers is below the mean of all by so many standard deviations.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SuccessRate {
    /// How many standard deviations below the mean are too many. One target of n can be at most the square root of
    /// n - 1 below: 1.9 takes five targets. Default: 1.9.
    pub deviations: f64,
    /// Targets with fewer requests in the interval are not judged. Default: 100.
    pub min_requests: u32,
    /// With fewer targets that can be judged, none is. At least 2. Default: 5.
    #[schemars(range(min = 2))]
    pub min_targets: u32,
}

/// Leave out a target whose mean time to the first byte is so many times that of the others.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LatencyOutlier {
    /// How many times the mean of the other targets is too long. More than 1. Default: 3.
    pub factor: f64,
    /// Means below this are never too long. Default: 100ms.
    pub at_least: Duration,
    /// Targets with fewer answers in the interval are not judged. Default: 100.
    pub min_requests: u32,
}

impl Default for Outlier {
    fn default() -> Self {
        Self {
            consecutive_5xx: 5,
            consecutive_connect: 3,
            success_rate: None,
            latency: None,
            interval: Duration::from_secs(10),
            base_ejection: Duration::from_secs(30),
            max_ejection: Duration::from_secs(300),
            max_ejected: Percent::new(50),
        }
    }
}

impl Default for SuccessRate {
    fn default() -> Self {
        Self { deviations: 1.9, min_requests: 100, min_targets: 5 }
    }
}

impl Default for LatencyOutlier {
    fn default() -> Self {
        Self { factor: 3.0, at_least: Duration::from_millis(100), min_requests: 100 }
    }
}
