//! What people write. The doc comments are the manual, and the descriptions in the JSON Schema.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::Duration;

/// The `maintenance:` section.
///
/// ```yaml
/// maintenance: { retry_after: 10m }
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// When clients should come back, as `Retry-After` says it: whole seconds. Default: `120s`.
    pub retry_after: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { retry_after: Duration::from_secs(120) }
    }
}

/// A route that is being worked on.
///
/// ```yaml
/// plugins: { maintenance: { message: "back at noon", allow: [203.0.113.7] } }
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// What clients read. Default: `under maintenance`.
    pub message: String,
    /// Clients that are let in all the same, by IP address. Default: none.
    pub allow: Vec<IpAddr>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { message: "under maintenance".to_owned(), allow: Vec::new() }
    }
}
