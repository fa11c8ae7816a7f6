//! Who may purge, and who is told.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::Duration;

/// `purge:` of a route: its URLs can be purged by requests with the method `PURGE`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PurgeMethod {
    /// Who may: identities with one of these roles, as a plugin like `auth` has proved them. Nobody else, ever.
    pub roles: Vec<String>,
}

/// `fleet:` of the section: other gateways whose caches purge what this one purges.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FleetConfig {
    /// The store, by its name under `stores`, through which they tell one another.
    pub store: String,
    /// How long it may take to learn of a purge elsewhere. Default: 1s.
    #[serde(default = "learn")]
    pub learn: Duration,
}

fn learn() -> Duration {
    Duration::from_secs(1)
}
