//! What differs for some of a route's requests.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::Duration;

/// What differs for some of the route's requests. What is left out is as the policy says.
///
/// ```yaml
/// rules:
///   - match: { paths: ["/assets/**"] }
///     override_ttl: 30d
///     cache_control: public, max-age=31536000, immutable
///   - match: { extensions: [html] }
///     default_ttl: 0s
///     cache_control: no-cache
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "CacheRule")]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which requests.
    #[serde(rename = "match")]
    pub matches: Match,
    /// As the policy's `default_ttl`.
    #[serde(default)]
    pub default_ttl: Option<Duration>,
    /// As the policy's `override_ttl`.
    #[serde(default)]
    pub override_ttl: Option<Duration>,
    /// As the policy's `max_ttl`.
    #[serde(default)]
    pub max_ttl: Option<Duration>,
    /// As the policy's `stale_while_revalidate`.
    #[serde(default)]
    pub stale_while_revalidate: Option<Duration>,
    /// As the policy's `stale_if_error`.
    #[serde(default)]
    pub stale_if_error: Option<Duration>,
    /// The `Cache-Control` that clients get with answers of 2xx, 3xx: for how long *they* may keep it. Answers that say
    /// `no-store` or `private`, or set a cookie, keep their own. Default: what the upstream says.
    #[serde(default)]
    pub cache_control: Option<String>,
}

/// Which requests. One of each list that is given must fit.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(rename = "CacheMatch")]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// What the last part of the path ends in, without the dot and whatever the case: `css`, `tar.gz`.
    pub extensions: Vec<String>,
    /// Paths, where `*` stands for anything but a slash and `**` for anything.
    pub paths: Vec<String>,
}
