//! Against guessing.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::{Duration, Secret};

use super::given;

/// How many attempts at login, sign-up, password change and second factor are allowed in a window, failed or not. Each is at
/// least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "LoginAttempts")]
#[serde(deny_unknown_fields, default)]
pub struct Attempts {
    /// Of one client address (64 bits of an IPv6 address). Default: 5.
    pub client: u32,
    /// At one account from one client address. Default: 5.
    pub account: u32,
    /// At one account from everywhere; beyond it only clients that have logged in to it before get through. Default:
    /// 100.
    pub account_total: u32,
    /// The window. Default: `15m`.
    #[schemars(with = "Duration")]
    pub window: Duration,
}

impl Default for Attempts {
    fn default() -> Self {
        Self { client: 5, account: 5, account_total: 100, window: Duration::from_secs(15 * 60) }
    }
}

/// An account is locked after failures, for the client that failed alone: nobody can lock others out from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "LoginLockout")]
#[serde(deny_unknown_fields, default)]
pub struct Lockout {
    /// After how many failures in `window`; 0 never locks. Default: 10.
    pub failures: u32,
    /// The window. Default: `1h`.
    #[schemars(with = "Duration")]
    pub window: Duration,
    /// For how long the first time; doubles each time, up to `max`. Default: `15m`.
    #[schemars(with = "Duration")]
    pub duration: Duration,
    /// The longest. Default: `24h`.
    #[schemars(with = "Duration")]
    pub max: Duration,
}

impl Default for Lockout {
    fn default() -> Self {
        Self {
            failures: 10,
            window: Duration::from_secs(3600),
            duration: Duration::from_secs(15 * 60),
            max: Duration::from_secs(24 * 3600),
        }
    }
}

/// A puzzle that clients have to solve after failures. They are told with 401 and `code: challenge_required`, and send
/// the solution as `challenge` in the body.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "LoginChallenge")]
#[serde(deny_unknown_fields, default)]
pub struct Challenge {
    /// After how many failures of one client, or at one account, in `window`. Default: 3.
    pub after: u32,
    /// The window. Default: `15m`.
    #[schemars(with = "Duration")]
    pub window: Duration,
    /// What kind: `work` lets the client compute, the others ask a service. Default: `work`.
    pub kind: ChallengeKind,
    /// How many zero bits a solution must begin with, for `work`: each doubles what it costs. From 8 to 28. Default: 18.
    pub difficulty: u32,
    /// The key that the page shows, for services.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub site_key: Option<String>,
    /// The gateway's secret, for services.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Secret")]
    pub secret: Option<Secret>,
    /// Names of the sites whose pages show the puzzle, such as `app.example.com`: a solution from a page elsewhere is
    /// wrong, as whoever copies `site_key` to a page of theirs collects solutions there. For services. Default: any.
    pub hostnames: Vec<String>,
    /// Where a solution is verified, for services. Default: the service's own URL.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub url: Option<String>,
}

impl Default for Challenge {
    fn default() -> Self {
        Self {
            after: 3,
            window: Duration::from_secs(15 * 60),
            kind: ChallengeKind::Work,
            difficulty: 18,
            site_key: None,
            secret: None,
            hostnames: Vec::new(),
            url: None,
        }
    }
}

/// What kind of puzzle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChallengeKind {
    /// A proof of work: nobody else is asked.
    #[default]
    Work,
    /// Cloudflare Turnstile.
    Turnstile,
    /// hCaptcha.
    Hcaptcha,
    /// Google reCAPTCHA.
    Recaptcha,
}
