//! Where limits are counted, and what happens when that is lost.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use tidegate_core::config::{ByteSize, Duration, Percent};

use super::text::given;

/// Where limits are counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum StoreName {
    /// `memory`: in this gateway alone.
    #[default]
    Memory,
    /// In the store that `stores:` calls so, shared with all gateways that use it.
    Named(Box<str>),
}

impl FromStr for StoreName {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "memory" { Self::Memory } else { Self::Named(text.into()) })
    }
}

impl fmt::Display for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

impl<'de> Deserialize<'de> for StoreName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Ok(name) = String::deserialize(deserializer)?.parse();
        Ok(name)
    }
}

impl JsonSchema for StoreName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LimitStore".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "`memory`, or the name of a store under `stores:`.",
            "examples": ["memory", "shared"],
        })
    }
}

/// How exact a shared store counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// To the last request: the store is asked once for each.
    #[default]
    Strict,
    /// Each gateway takes a small batch from the store, spends it by itself, and asks again when it is spent. At most
    /// gateways × batch too many pass in a window, and most requests cost no round trip. For `token_bucket`,
    /// `fixed_window` and quotas; all others are counted strictly.
    Leased(Lease),
}

/// How much a gateway takes from the store at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Lease {
    /// How much of a limit one gateway takes at once, and at least 1. Default: `1%`.
    pub batch: Percent,
    /// What is not spent in this time goes back. Default: `1s`.
    #[serde(rename = "for")]
    pub length: Duration,
}

impl Default for Lease {
    fn default() -> Self {
        Self { batch: Percent::new(1), length: Duration::from_secs(1) }
    }
}

/// What happens to a request when the store can't be asked. Decided within the store's own `timeout`; while it is
/// known to be down, at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnStoreError {
    /// It passes, without any limit.
    Allow,
    /// It is answered 503.
    Deny,
    /// This gateway counts by itself, with its share of each limit: the limit divided by the number of gateways that
    /// were there lately.
    #[default]
    Local,
}

/// The store in this gateway's memory; also used by `on_store_error: local`.
///
/// ```yaml
/// memory: { size: 64MiB, file: /var/lib/tidegate/limits, every: 30s }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    /// How much memory all limits together may use. When it is full, the keys that are furthest from their limit go
    /// first, and those that are near it never. A key takes 32 bytes, one of a `sliding_window` 16 for each request
    /// too. Default: `16MiB`; at least `64KiB`.
    pub size: ByteSize,
    /// A file in which the counts outlive a restart of the gateway. Default: they don't.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub file: Option<PathBuf>,
    /// With `file`: how often it is written, beside when the gateway ends. Default: `30s`.
    pub every: Duration,
}

impl Default for Memory {
    fn default() -> Self {
        Self { size: ByteSize::mib(16), file: None, every: Duration::from_secs(30) }
    }
}
