//! Requests that have nothing to do with the cache.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// Requests that are neither answered from the cache nor stored. One of these is enough.
///
/// ```yaml
/// bypass:
///   cookies: [session, "wp_*"]
///   headers: { X-Preview: "*" }
///   query: [preview]
///   paths: ["/admin/**"]
/// ```
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(rename = "CacheBypass")]
#[serde(deny_unknown_fields, default)]
pub struct Bypass {
    /// Names of cookies; one may end in `*`. Default: none.
    pub cookies: Vec<String>,
    /// Names of header fields with the value that they must have, or `*` for any. Default: none.
    pub headers: BTreeMap<String, String>,
    /// Names of query parameters; one may end in `*`. Default: none.
    pub query: Vec<String>,
    /// Paths, where `*` stands for anything but a slash and `**` for anything. Default: none.
    pub paths: Vec<String>,
}
