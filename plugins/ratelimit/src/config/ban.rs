//! Clients that are shut out for a time.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::Duration;

use super::Network;

/// Shuts a client out for a time when it has got too many answers of some kind: the guesser of passwords, the scanner.
/// A banned client is answered 403 on every route of the gateway, before any other limit.
///
/// ```yaml
/// ban: { status: [401, 403], count: 20, window: 10m, for: 1h, exempt: ["10.0.0.0/8"] }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ban {
    /// Which statuses count. Default: none.
    #[serde(default)]
    pub status: Vec<u16>,
    /// Which of the gateway's own answers count, by the `code` in their body: `too_many_requests`, `origin_refused`.
    /// Default: none.
    #[serde(default)]
    pub codes: Vec<String>,
    /// How many of them in `window` are too many.
    pub count: u64,
    /// The time in which they are counted, from the first one on.
    pub window: Duration,
    /// How long the client is shut out.
    #[serde(rename = "for")]
    pub length: Duration,
    /// Clients that are never banned, beside those of the section's `exempt`. Default: none.
    #[serde(default)]
    pub exempt: Vec<Network>,
}
