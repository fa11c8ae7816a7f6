//! The plugin's section, and what a route asks of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use tidegate_core::config::{Duration, Secret};

/// The section.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whom the gateway can be at upstreams, by names of your own.
    pub clients: BTreeMap<String, Client>,
}

/// One client of an authorization server: the gateway, as that server knows it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "OauthClient")]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The server's token endpoint.
    pub token_url: String,
    /// As whom the gateway asks.
    pub client_id: String,
    /// The secret that goes with it.
    pub client_secret: Secret,
    /// How id and secret are sent. Default: `basic`.
    #[serde(default)]
    pub auth: ClientAuth,
    /// The scopes that are asked for. Default: none, and the server decides.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What the token is for, where the server wants it as `audience`. Default: not sent.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "String")]
    pub audience: Option<String>,
    /// The services that the token is for, as absolute URIs (RFC 8707). Default: not sent.
    #[serde(default)]
    pub resource: Vec<String>,
    /// A PEM file of the CAs that are trusted, in place of the system's.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "PathBuf")]
    pub ca: Option<PathBuf>,
    /// When the first token is fetched. Default: `at_start`.
    #[serde(default)]
    pub fetch: Fetch,
    /// How long before its end a token is replaced; sooner by up to a tenth of this, so that gateways that started
    /// together don't ask together. Of a token that lives less than twice as long, half its life. Default: `60s`.
    #[serde(default = "minute")]
    pub refresh_before: Duration,
    /// How long a token is good when the server doesn't say. At least `1s`. Default: `5m`.
    #[serde(default = "five_minutes")]
    pub lifetime: Duration,
    /// How often an upstream's 401 may have the token fetched anew: once in so long. At least `1s`. Default: `30s`.
    #[serde(default = "half_a_minute")]
    pub refetch: Duration,
    /// How long the server is waited for, at most `1m`. Default: `5s`.
    #[serde(default = "five_seconds")]
    pub timeout: Duration,
    /// The longest pause between tries while the server fails: they begin a second apart, and each pause is twice the
    /// one before. At least `1s`. Default: `30s`.
    #[serde(default = "half_a_minute")]
    pub max_backoff: Duration,
    /// What becomes of requests when there is no token. Default: `refuse`.
    #[serde(default)]
    pub on_failure: OnFailure,
}

/// How a client says who it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// As Basic authentication, both parts form-encoded first (RFC 6749 section 2.3.1).
    #[default]
    Basic,
    /// As `client_id` and `client_secret` in the body, for servers that want it so.
    Post,
}

/// When the first token is fetched. From then on it is replaced ahead of time, whether anybody asks or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fetch {
    /// As soon as the configuration is in use.
    #[default]
    AtStart,
    /// When the first request needs it, which waits for it.
    OnDemand,
}

/// What becomes of requests when there is no token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// 503 with `Retry-After`.
    #[default]
    Refuse,
    /// They go on without one, and without the client's own.
    WithoutToken,
}

/// What one route asks for.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Whose token is sent: one of `clients`.
    pub client: String,
    /// The header field that it is sent in; whatever the client sent in that field is removed. Default: `Authorization`.
    #[serde(default = "authorization")]
    pub header: String,
    /// The word before the token; empty for none. Default: `Bearer`.
    #[serde(default = "bearer")]
    pub prefix: String,
}

/// A key that stands there with nothing after it is a slip, not a key that was left out.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn minute() -> Duration {
    Duration::from_secs(60)
}

fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

fn authorization() -> String {
    "Authorization".to_owned()
}

fn bearer() -> String {
    "Bearer".to_owned()
}
