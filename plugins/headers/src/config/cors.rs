//! Which pages of other origins may read the answers.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::Duration;

use super::{WordOr, given};

/// Cross-origin resource sharing, as the Fetch Standard has it.
///
/// The gateway answers preflights and owns all `Access-Control-*` fields of responses: the upstream's are removed.
///
/// ```yaml
/// cors:
///   origins: ["https://app.example.com", "https://*.preview.example.com"]
///   methods: [GET, POST, DELETE]
///   headers: [Authorization, Content-Type]
///   expose: [X-Request-ID]
///   credentials: allow
///   max_age: 10m
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// Whose pages: origins such as `https://app.example.com`; `https://*.example.com` for all hosts below, at any
    /// depth; `http://localhost:*` for any port; `{ regex: … }`; `"null"` for pages without an origin, such as
    /// sandboxed frames; `"*"` for all.
    pub origins: Vec<Origin>,
    /// With which methods; upper case, as methods tell case apart. `"*"` for all. Default: `[GET, HEAD, POST, PUT,
    /// PATCH, DELETE]`.
    #[serde(default = "common_methods")]
    pub methods: Vec<String>,
    /// With which request headers, beside those that are always safe. `["*"]` allows whatever a preflight asks for,
    /// `Authorization` included. Default: `["*"]`.
    #[serde(default = "any")]
    pub headers: Vec<String>,
    /// Which response headers scripts may read, beside those that are always safe. `["*"]` for all, without
    /// credentials only. Default: none.
    #[serde(default)]
    pub expose: Vec<String>,
    /// Whether requests may carry cookies, HTTP authentication or client certificates: `allow` or `omit`. `allow`
    /// needs origins by name: with `"*"` or `"null"` any page at all could act for the user. Default: `omit`.
    #[serde(default)]
    pub credentials: Credentials,
    /// How long browsers remember a preflight's answer; they have limits of their own, Chromium 2h, Firefox 24h.
    /// Default: not sent, which browsers take for 5s.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Duration")]
    pub max_age: Option<Duration>,
    /// Whether pages of a public network may reach this private one (Private Network Access): `allow` or `deny`.
    /// Default: `deny`.
    #[serde(default)]
    pub private_network: PrivateNetwork,
}

/// An origin, or a pattern of origins.
pub type Origin = WordOr<String, OriginPattern>;

/// Origins by a regular expression, for what `*` can't say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OriginPattern {
    /// Must match the whole origin, as if `^` and `$` were around it: `https://pr-[0-9]+\.example\.com`.
    pub regex: String,
}

/// Cookies, HTTP authentication and client certificates in requests of other origins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Credentials {
    /// Browsers leave them out, or hide the answer.
    #[default]
    Omit,
    /// Browsers may send them.
    Allow,
}

/// Requests from pages of a public network to a private one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PrivateNetwork {
    /// Browsers that ask for it hear no.
    #[default]
    Deny,
    /// Browsers that ask for it hear yes.
    Allow,
}

fn common_methods() -> Vec<String> {
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"].map(str::to_owned).into()
}

fn any() -> Vec<String> {
    vec!["*".to_owned()]
}
