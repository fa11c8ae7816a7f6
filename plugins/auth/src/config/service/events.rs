//! What is told of logins, failures and theft.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::{Duration, Secret};

use super::given;

/// Events: each is a line in the log, a count in `tidegate_auth_events_total`, and a call of the webhook.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(rename = "AuthEvents")]
#[serde(deny_unknown_fields, default)]
pub struct Events {
    /// Who is told. Default: nobody but the log.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Webhook")]
    pub webhook: Option<Webhook>,
    /// What makes a login new: `device` (the user agent) and `place` (the country, or the network where no country is
    /// known). Default: both.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Vec<NewPlace>")]
    pub new_login: Option<Vec<NewPlace>>,
}

/// What is new about a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NewPlace {
    /// The user agent.
    Device,
    /// The country; or the network (24 bits of an IPv4 address, 48 of an IPv6 address) where no country is known.
    Place,
}

/// A service that is told of events: a POST with JSON, signed as `Webhook-Signature: v1,<base64>` by HMAC-SHA256 of
/// `<Webhook-Id>.<Webhook-Timestamp>.<body>` (Standard Webhooks).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "AuthWebhook")]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where to.
    pub url: String,
    /// What it is signed with: at least 24 characters. One that begins with `whsec_` is base64 behind it, as receivers'
    /// libraries have it.
    pub secret: Secret,
    /// Which events, by name. Default: all.
    #[serde(default)]
    pub events: Vec<String>,
    /// How many wait to be told; the oldest are dropped, and counted, beyond it. At most 1000000. Default: 10000.
    #[serde(default = "queue")]
    pub queue: usize,
    /// How long one call may take. Default: `5s`.
    #[serde(default = "timeout")]
    #[schemars(with = "Duration")]
    pub timeout: Duration,
    /// How often one is told again when the service fails, after 1 s, 2 s, 4 s, … up to 5 min. Default: 10.
    #[serde(default = "retries")]
    pub retries: u32,
}

fn queue() -> usize {
    10_000
}

fn timeout() -> Duration {
    Duration::from_secs(5)
}

fn retries() -> u32 {
    10
}
