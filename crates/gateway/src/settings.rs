//! The gateway's own sections of the file.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use tidegate_core::config::{ByteSize, ConfigErrors, Duration, RawConfig};
use tidegate_core::{ConfigError, StoreConfig};
use tidegate_listener::{BindAddr, ListenerConfig};
use tidegate_upstream::UpstreamConfig;

use crate::access_log::AccessLogConfig;
use crate::client::TrustedProxy;
use crate::problem::ErrorsConfig;
use crate::request_id::RequestIdConfig;

/// `server:`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServerConfig {
    /// Worker threads: a number, or `auto` for one per core. Read at the start; a reload doesn't change it.
    pub threads: Threads,
    /// What happens on SIGTERM and SIGINT.
    pub drain: DrainConfig,
}

/// How many worker threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Threads {
    /// One per core.
    #[default]
    Auto,
    /// This many.
    Exactly(usize),
}

impl Threads {
    pub(crate) fn count(self) -> usize {
        match self {
            Threads::Auto => std::thread::available_parallelism().map_or(1, usize::from),
            Threads::Exactly(count) => count,
        }
    }
}

impl<'de> Deserialize<'de> for Threads {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Threads;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`auto` or a number from 1 to 1024")
            }
            fn visit_u64<E: de::Error>(self, count: u64) -> Result<Threads, E> {
                match usize::try_from(count) {
                    Ok(count @ 1..=1024) => Ok(Threads::Exactly(count)),
                    _ => Err(E::custom("threads must be `auto` or a number from 1 to 1024")),
                }
            }
            fn visit_i64<E: de::Error>(self, count: i64) -> Result<Threads, E> {
                self.visit_u64(u64::try_from(count).unwrap_or(0))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Threads, E> {
                match text {
                    "auto" => Ok(Threads::Auto),
                    _ => self.visit_u64(text.parse().unwrap_or(0)),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Threads {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Threads".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Worker threads: a number, or `auto` for one per core.",
            "oneOf": [{ "const": "auto" }, { "type": "integer", "minimum": 1, "maximum": 1024 }],
        })
    }
}

/// `server.drain:`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DrainConfig {
    /// How long to go on accepting after the signal, while `/readyz` already says 503, so that load balancers
    /// stop sending first. Default `0s`; in Kubernetes `5s`.
    pub delay: Duration,
    /// How long requests in flight may take to end after that. What is left then is cut, and the exit code is 1.
    /// Default `30s`.
    pub timeout: Duration,
}

impl Default for DrainConfig {
    fn default() -> Self {
        Self { delay: Duration::from_secs(0), timeout: Duration::from_secs(30) }
    }
}

/// `admin:`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdminConfig {
    /// Where `/metrics`, `/healthz` and `/readyz` are served. Keep it on loopback or a private network: it asks
    /// nobody who they are. Default `127.0.0.1:9901`.
    #[serde(default = "default_admin")]
    pub bind: BindAddr,
}

fn default_admin() -> BindAddr {
    BindAddr::from(std::net::SocketAddr::from(([127, 0, 0, 1], 9901)))
}

/// `limits:`, for routes that don't say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsConfig {
    /// Longest request body; more is a 413. Default `10MiB`. A route's own `limits.body` wins.
    pub body: ByteSize,
    /// Longest a whole request may take, from its head to the last byte of the answer. Default: no limit, so that
    /// downloads and event streams may go on; reads and writes have deadlines of their own.
    pub request: Option<Duration>,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self { body: ByteSize::mib(10), request: None }
    }
}

/// Everything the gateway itself reads; plugins and the router read their own sections.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub server: ServerConfig,
    pub listeners: Vec<ListenerConfig>,
    pub admin: Option<AdminConfig>,
    pub limits: LimitsConfig,
    pub trusted_proxies: Vec<TrustedProxy>,
    pub country_header: Option<String>,
    pub request_id: RequestIdConfig,
    pub access_log: AccessLogConfig,
    pub errors: ErrorsConfig,
    pub stores: BTreeMap<String, StoreConfig>,
    pub upstreams: BTreeMap<String, UpstreamConfig>,
}

/// The keys of the gateway's own sections, in the order of the manual.
pub(crate) const SECTIONS: [&str; 12] = [
    "include",
    "server",
    "listeners",
    "admin",
    "limits",
    "trusted_proxies",
    "country_header",
    "request_id",
    "access_log",
    "errors",
    "stores",
    "upstreams",
];

impl Settings {
    /// Reads all sections, and reports what is wrong in any of them.
    pub(crate) fn read(root: &RawConfig, errors: &mut ConfigErrors) -> Option<Self> {
        let server = section(root, "server", errors);
        let listeners: Option<Vec<ListenerConfig>> = match root.get("listeners") {
            Some(raw) => errors.collect(raw.read()),
            None => Some(Vec::new()),
        };
        if listeners.as_ref().is_some_and(Vec::is_empty) {
            let error = ConfigError::at("listeners", "a gateway needs at least one listener");
            errors.push(error.help("add one: listeners: [{ bind: \"0.0.0.0:8080\" }]"));
        }
        let admin = match root.get("admin") {
            Some(raw) if raw.value().as_str() == Some("off") => Some(None),
            _ => section(root, "admin", errors).map(Some),
        };
        Some(Self {
            admin: admin?,
            limits: section(root, "limits", errors)?,
            trusted_proxies: list(root, "trusted_proxies", errors)?,
            country_header: match root.get("country_header") {
                Some(raw) => errors.collect(raw.read())?,
                None => None,
            },
            request_id: section(root, "request_id", errors)?,
            access_log: section(root, "access_log", errors)?,
            errors: section(root, "errors", errors)?,
            stores: section(root, "stores", errors)?,
            upstreams: section(root, "upstreams", errors)?,
            server: server?,
            listeners: listeners?,
        })
    }
}

/// A section unread; an empty map where it is absent.
pub(crate) fn raw_section(root: &RawConfig, key: &str) -> RawConfig {
    let raw = root.get(key).filter(|raw| !raw.is_null());
    raw.unwrap_or_else(|| RawConfig::empty(root.path().key(key)))
}

/// A section as its type; one that is absent as an empty map.
pub(crate) fn section<T: de::DeserializeOwned>(root: &RawConfig, key: &str, errors: &mut ConfigErrors) -> Option<T> {
    errors.collect(raw_section(root, key).read())
}

fn list<T: de::DeserializeOwned>(root: &RawConfig, key: &str, errors: &mut ConfigErrors) -> Option<Vec<T>> {
    match root.get(key) {
        Some(raw) => errors.collect(raw.read()),
        None => Some(Vec::new()),
    }
}
