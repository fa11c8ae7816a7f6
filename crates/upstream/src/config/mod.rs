//! The `upstreams:` section, as people write it.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::de::{Deserialize, Deserializer};
use serde::{Deserialize as DeserializeFields, Serialize};
use tidegate_core::config::Duration;

mod discovery;
mod health;
mod lb;
mod limits;
mod retry;
mod retry_on;
mod target;

pub use discovery::{Discovery, DiscoveryKind};
pub use health::{Expect, Health, HealthKind, HealthMethod, LatencyOutlier, Outlier, SuccessRate};
pub use lb::{Algorithm, Lb, LbFields, SameSite, Sticky, ZoneAware};
pub use limits::{Adaptive, Breaker, PoolLimits};
pub use retry::{Backoff, Budget, Hedge, Mirror, Retry, RetryOn};
pub use target::TargetConfig;

/// A named set of servers that do the same work, and how to speak to them.
///
/// ```yaml
/// upstreams:
///   users:
///     targets: ["10.0.0.1:3002", { address: "users.internal:3002", weight: 2 }]
///     timeouts: { connect: 2s, read: 30s }
/// ```
#[derive(Debug, Clone, PartialEq, DeserializeFields, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpstreamConfig {
    /// Where the servers are: `10.0.0.1:3000`, `[2001:db8::1]:3000`, a name such as `users.internal:3002`, or a unix
    /// socket such as `unix:/run/app.sock`; or `{ address, weight, zone, priority, max_in_flight }`. Each once. A name
    /// stands for all addresses it resolves to; it is resolved again when the answer's TTL ends. At least one, unless
    /// there is `discovery`.
    #[serde(default)]
    pub targets: Vec<TargetConfig>,
    /// Where more targets come from: DNS SRV records, a file, a URL, or Docker.
    #[serde(default)]
    pub discovery: Vec<Discovery>,
    /// Speak TLS to the targets; `tls: {}` takes the defaults, which verify the target's certificate. Default: plain
    /// text.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "TlsConfig")]
    pub tls: Option<TlsConfig>,
    /// The HTTP version to speak: `http1`, `h2` or `auto`. Default: `http1`.
    #[serde(default)]
    pub protocol: Protocol,
    /// What the targets see in `Host`: `preserve`, `upstream`, or `{ literal: name }`. Default: `preserve`.
    #[serde(default)]
    pub host_header: HostHeader,
    /// How long to wait for a target.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// HTTP/2 to the targets.
    #[serde(default)]
    pub h2: H2,
    /// Have the system probe connections that carry nothing, so that one whose other end is gone is noticed before
    /// a request is sent on it; `tcp_keepalive: {}` takes the defaults. Default: no probes.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "TcpKeepalive")]
    pub tcp_keepalive: Option<TcpKeepalive>,
    /// How the names among the targets are resolved.
    #[serde(default)]
    pub resolve: ResolveConfig,
    /// How the target of a request is chosen: `round_robin`, `random`, `least_request`, `peak_ewma` or
    /// `consistent_hash`; or `{ algorithm: ..., ... }`. Default: `round_robin`.
    #[serde(default)]
    pub lb: Lb,
    /// Keep a browser on one target with a signed cookie. Default: no.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Sticky")]
    pub sticky: Option<Sticky>,
    /// A target that is new, or usable again, gets its full share only after this time, and a growing one until then.
    /// Default: at once.
    #[serde(default)]
    pub slow_start: Option<Duration>,
    /// Ask the targets how they are, beside the requests; `health: {}` takes the defaults. Default: no checks.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Health")]
    pub health: Option<Health>,
    /// Leave out targets that fail the requests they are sent; `outlier: {}` takes the defaults. Default: none is.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Outlier")]
    pub outlier: Option<Outlier>,
    /// When a request that failed is tried again. Default: up to twice, when nothing was sent, or when the connection
    /// broke before an answer and the method is idempotent.
    #[serde(default)]
    pub retry: Retry,
    /// Send a second request when the first takes long; `hedge: {}` takes the defaults. Default: no.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Hedge")]
    pub hedge: Option<Hedge>,
    /// Copy requests to another upstream. Default: no.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Mirror")]
    pub mirror: Option<Mirror>,
    /// How much the upstream is asked at a time. Default: no limit.
    #[serde(default)]
    pub limits: PoolLimits,
    /// Stop asking an upstream that fails; `breaker: {}` takes the defaults. Default: no.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Breaker")]
    pub breaker: Option<Breaker>,
    /// Find the limit of requests in flight by itself; `adaptive: {}` takes the defaults. Default: no.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Adaptive")]
    pub adaptive: Option<Adaptive>,
}

/// TLS to the targets.
#[derive(Debug, Clone, Default, PartialEq, Eq, DeserializeFields, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// `full`: the target's certificate must be valid, trusted and made for its name. `none`: any certificate will do,
    /// so whoever can answer in the target's place can read and change everything. Default: `full`.
    #[serde(default)]
    pub verify: Verify,
    /// A PEM file with the CA certificates to trust in place of the system's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// The name to ask for and to verify, in place of the target's own. Needed for unix sockets. A target that is an
    /// IP address is verified by that address unless this is given.
    #[serde(default)]
    pub sni: Option<String>,
    /// The certificate that the gateway shows to targets that ask for one (mutual TLS).
    #[serde(default)]
    pub certificate: Option<ClientCertificate>,
    /// The oldest TLS version to accept: `"1.2"` or `"1.3"`. A target that agrees on less is sent no request. Default:
    /// `"1.2"`.
    #[serde(default)]
    pub min_version: TlsVersion,
}

/// A certificate and its key, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq, DeserializeFields, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificate {
    /// The certificate, followed by those that lead to a CA the target knows.
    pub cert: PathBuf,
    /// The unencrypted private key of the certificate.
    pub key: PathBuf,
}

/// How much of a target's certificate is verified.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, DeserializeFields, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// Its chain, its validity and its name.
    #[default]
    Full,
    /// Nothing. The connection is encrypted, but to whom is unknown.
    None,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, DeserializeFields, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2, RFC 5246.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3, RFC 8446.
    #[serde(rename = "1.3")]
    Tls13,
}

/// The HTTP version spoken to targets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, DeserializeFields, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP/1.1. Carries everything but gRPC.
    #[default]
    Http1,
    /// HTTP/2 only; without TLS with prior knowledge (h2c). What gRPC needs. Carries no WebSocket.
    H2,
    /// With TLS, HTTP/2 where the target offers it and HTTP/1.1 elsewhere and for WebSocket; without TLS, HTTP/1.1.
    Auto,
}

/// What targets see in `Host`.
#[derive(Debug, Clone, Default, PartialEq, Eq, DeserializeFields, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HostHeader {
    /// What the client sent.
    #[default]
    Preserve,
    /// The target's own name, with its port unless that is the usual one. A unix socket is `localhost`.
    Upstream,
    /// This name, and port if it has one.
    Literal(String),
}

/// How long to wait for a target. Each is longer than zero.
#[derive(Debug, Clone, PartialEq, Eq, DeserializeFields, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// For the connection to stand, TCP and TLS together. Default: 5s.
    pub connect: Duration,
    /// For the target to send something: the head of the response, or the next part of its body. Default: 60s.
    pub read: Duration,
    /// For the target to take what is sent to it. Default: 60s.
    pub write: Duration,
    /// How long a connection without a request is kept for the next one. Set it below the target's own keep-alive
    /// timeout. Default: 60s.
    pub idle: Duration,
}

/// HTTP/2 to the targets.
#[derive(Debug, Clone, PartialEq, Eq, DeserializeFields, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct H2 {
    /// Requests under way at a time on one connection; more open another one. At least 1. Default: 100.
    #[schemars(range(min = 1))]
    pub max_streams: u32,
    /// Ping each connection this often, and give up on one that doesn't answer. Default: no pings.
    pub ping_interval: Option<Duration>,
}

/// The system's probes of connections that carry nothing.
#[derive(Debug, Clone, PartialEq, Eq, DeserializeFields, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TcpKeepalive {
    /// How long a connection carries nothing before the first probe. At least 1s. Default: 60s.
    pub idle: Duration,
    /// How long from one probe to the next. At least 1s. Default: 10s.
    pub interval: Duration,
    /// How many probes without an answer end the connection. At least 1. Default: 3.
    #[schemars(range(min = 1))]
    pub count: u32,
}

/// How names are resolved: asynchronously, from the hosts file, then from name servers. When a name server fails or
/// says that there is no such name, the last good answer is kept, and asked for again with growing pauses.
#[derive(Debug, Clone, PartialEq, Eq, DeserializeFields, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResolveConfig {
    /// The shortest time an answer is kept, whatever its TTL. At least 10ms. Default: 5s.
    pub min: Duration,
    /// The longest time an answer is kept, whatever its TTL. At least `min`. Default: 300s.
    pub max: Duration,
    /// How long to wait for an answer, repeated questions included. Default: 2s.
    pub timeout: Duration,
    /// The name server to ask, as `ip:port`. Default: those of the system.
    pub nameserver: Option<SocketAddr>,
    /// Which addresses of a name are used: `prefer_ipv4`, `prefer_ipv6`, `ipv4`, `ipv6` or `all`. Default:
    /// `prefer_ipv4`.
    pub addresses: AddressFamily,
}

/// Which addresses of a name are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, DeserializeFields, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AddressFamily {
    /// The IPv4 addresses, or the IPv6 ones if the name has none.
    #[default]
    PreferIpv4,
    /// The IPv6 addresses, or the IPv4 ones if the name has none.
    PreferIpv6,
    /// The IPv4 addresses only.
    Ipv4,
    /// The IPv6 addresses only.
    Ipv6,
    /// Both. Every one must be reachable: requests are spread over all of them.
    All,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self { connect: Duration::from_secs(5), read: minute, write: minute, idle: minute }
    }
}

impl Default for H2 {
    fn default() -> Self {
        Self { max_streams: 100, ping_interval: None }
    }
}

impl Default for TcpKeepalive {
    fn default() -> Self {
        Self { idle: Duration::from_secs(60), interval: Duration::from_secs(10), count: 3 }
    }
}

impl Default for ResolveConfig {
    fn default() -> Self {
        Self {
            min: Duration::from_secs(5),
            max: Duration::from_secs(300),
            timeout: Duration::from_secs(2),
            nameserver: None,
            addresses: AddressFamily::default(),
        }
    }
}

impl TlsVersion {
    /// Whether a connection with `version`, as rustls names it, is good enough.
    pub(crate) fn allows(self, version: &str) -> bool {
        let version = match version {
            "TLSv1_2" => Self::Tls12,
            "TLSv1_3" => Self::Tls13,
            _ => return false,
        };
        version >= self
    }
}

/// A section that is there but empty is not one that was left out: `tls:` with nothing under it must not mean plain
/// text.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
