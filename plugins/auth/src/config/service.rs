//! The token service.

mod delivery;
mod events;
mod guard;
mod oidc;
mod password;
mod tokens;
mod user;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::{Duration, Secret};

pub use delivery::{Cookies, Delivery, SameSite};
pub use events::{Events, NewPlace, Webhook};
pub use guard::{Attempts, Challenge, ChallengeKind, Lockout};
pub use oidc::{ClientAuth, Link, LoginWith, RolesFrom};
pub use password::{Argon2id, Breached, PasswordAlgorithm, PasswordRules};
pub use tokens::{Access, Keys, OnReuse, Refresh, SigningAlgorithm};
pub use user::{Session, Signup, Totp};

use super::text::given;

/// The token service: it knows users, checks passwords, and issues tokens that this gateway (and others with the same
/// store) takes.
///
/// ```yaml
/// auth:
///   service: { issuer: "https://api.example.com", store: { file: /var/lib/tidegate/auth.redb } }
/// routing:
///   routes:
///     - { match: { path: "/auth/**" }, endpoint: { auth: {} } }
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "TokenService")]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// `iss` of its tokens: the URL below which clients find the gateway, without the mount's path.
    pub issuer: String,
    /// `aud` of access tokens. Default: `api`.
    #[serde(default = "audience")]
    pub audience: String,
    /// Where users, sessions and revocations are kept.
    pub store: StoreChoice,
    /// The keys that tokens are signed with.
    #[serde(default)]
    pub keys: Keys,
    /// Access tokens: short-lived, checked without asking anybody.
    #[serde(default)]
    pub access: Access,
    /// Refresh tokens: each is good once, for a new pair.
    #[serde(default)]
    pub refresh: Refresh,
    /// How tokens get to clients.
    #[serde(default)]
    pub delivery: Delivery,
    /// Whether people can register themselves.
    #[serde(default)]
    pub signup: Signup,
    /// Passwords: how they are kept, and which are good enough.
    #[serde(default)]
    pub password: PasswordRules,
    /// A second factor (RFC 6238). Default: users may set one up.
    #[serde(default)]
    pub totp: Totp,
    /// Sessions by a cookie, in place of tokens. Default: none.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Session")]
    pub session: Option<Session>,
    /// Other providers that people log in with (OpenID Connect), by a name of your own: small letters, digits and `-`.
    /// Default: none.
    #[serde(default)]
    pub login_with: BTreeMap<String, LoginWith>,
    /// How many attempts are allowed.
    #[serde(default)]
    pub attempts: Attempts,
    /// Accounts are locked after failures, with a growing delay.
    #[serde(default)]
    pub lockout: Lockout,
    /// A puzzle after failures. Default: none.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Challenge")]
    pub challenge: Option<Challenge>,
    /// What is told of logins, failures and theft.
    #[serde(default)]
    pub events: Events,
    /// When what has expired is removed from a store that doesn't do so itself (cron, in UTC). Default: `0 0 * * *`.
    #[serde(default = "midnight")]
    pub sweep: String,
}

fn audience() -> String {
    "api".to_owned()
}

fn midnight() -> String {
    "0 0 * * *".to_owned()
}

/// Where users, sessions and revocations are kept: exactly one of `file` and `redis`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(rename = "TokenServiceStore")]
#[serde(deny_unknown_fields, default)]
pub struct StoreChoice {
    /// One file of this gateway's own: durable, nothing that was acknowledged is lost when the machine stops.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "PathBuf")]
    pub file: Option<PathBuf>,
    /// A store under `stores:`, shared by all gateways that use it. How durable it is, its own configuration says
    /// (`appendfsync always`).
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub redis: Option<String>,
    /// What the keys begin with in Redis. Default: `auth`.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub prefix: Option<String>,
    /// Seals the signing keys that gateways share through Redis (AES-256-GCM): at least 32 characters, the same on all.
    /// Needed with `redis`.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Secret")]
    pub secret: Option<Secret>,
    /// The most users of a file. Default: 10000000.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "u64")]
    pub max_users: Option<u64>,
    /// The most sessions of one user; the oldest ends when there is one more. Default: 100.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "u32")]
    pub max_sessions: Option<u32>,
    /// How long the file's writer may take, or Redis beyond its own `timeout`. Default: `5s`.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Duration")]
    pub timeout: Option<Duration>,
}

/// What a route that mounts the token service says: `endpoint: { auth: {} }`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(rename = "TokenServiceMount")]
#[serde(deny_unknown_fields, default)]
pub struct Mount {
    /// Below which path it is. Needed where the route's match doesn't say: default is `/auth` for a route that matches
    /// `/auth/**`.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub at: Option<String>,
}
