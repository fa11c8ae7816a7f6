//! Users and what they can do by themselves.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::Duration;

/// Whether people can register themselves.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(rename = "SignUp")]
#[serde(deny_unknown_fields, default)]
pub struct Signup {
    /// Default: false.
    pub enabled: bool,
    /// The roles of a new user. Default: none.
    pub roles: Vec<String>,
    /// The most that one client may register in an hour; at least 1. Default: 10.
    #[serde(default = "ten")]
    pub per_hour: u32,
}

fn ten() -> u32 {
    10
}

/// One-time passwords as a second factor (RFC 6238): six digits, 30 s, SHA-1, as the apps know it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "SecondFactor")]
#[serde(deny_unknown_fields, default)]
pub struct Totp {
    /// Whether users may set one up. Default: true.
    pub enabled: bool,
    /// What apps call this place. Default: the issuer's host.
    #[serde(deserialize_with = "super::given")]
    #[schemars(with = "String")]
    pub issuer: Option<String>,
    /// How many steps of 30 s the clocks may differ. At most 2. Default: 1.
    pub window: u32,
}

impl Default for Totp {
    fn default() -> Self {
        Self { enabled: true, issuer: None, window: 1 }
    }
}

/// Sessions: login sets one cookie with a random id, and the store is asked about it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "CookieSession")]
#[serde(deny_unknown_fields, default)]
pub struct Session {
    /// The cookie. Default: `__Host-session`.
    pub cookie: String,
    /// It ends after this long without a request. Requests are noted once a minute at most, so that it may end a minute
    /// earlier. Default: `30m`.
    #[schemars(with = "Duration")]
    pub idle: Duration,
    /// It ends after this long in any case. Default: `12h`.
    #[schemars(with = "Duration")]
    pub absolute: Duration,
}

impl Default for Session {
    fn default() -> Self {
        let (idle, absolute) = (Duration::from_secs(30 * 60), Duration::from_secs(12 * 3600));
        Self { cookie: "__Host-session".to_owned(), idle, absolute }
    }
}
