//! What is issued.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::Duration;

use super::given;

/// The keys that tokens are signed with: made on the first start, kept beside the store's file with mode 0600 (or, with
/// Redis, sealed in the store), replaced on a schedule.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "SigningKeys")]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// With what is signed: `ES256`, `RS256`, `EdDSA`. Default: `ES256`.
    pub algorithm: SigningAlgorithm,
    /// How often a new key takes over. It is published a while before; the old one stays published until its last token
    /// has expired. At least `access.ttl`. Default: `30d`.
    #[schemars(with = "Duration")]
    pub rotate: Duration,
    /// How long before it signs a key is published; others are told to keep `jwks.json` for half of that. At least `10s`,
    /// and less than `rotate`. Default: `1h`.
    #[schemars(with = "Duration")]
    pub publish_before: Duration,
    /// The folder of the keys, for a store that is a file. Default: the file's name with `.keys` at its end.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "PathBuf")]
    pub folder: Option<PathBuf>,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            algorithm: SigningAlgorithm::ES256,
            rotate: Duration::from_secs(30 * 24 * 3600),
            publish_before: Duration::from_secs(3600),
            folder: None,
        }
    }
}

/// With what tokens are signed (RFC 7518 section 3, RFC 8037).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub enum SigningAlgorithm {
    #[default]
    ES256,
    RS256,
    EdDSA,
}

/// Access tokens.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "AccessTokens")]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// How long one is good for. At most `24h`. Default: `15m`.
    #[schemars(with = "Duration")]
    pub ttl: Duration,
    /// What a token says of its user, beside `sub`, `iss`, `aud`, `iat`, `exp`, `jti`, `sid`, `roles` and
    /// `type: access`: `name`, `email`. Default: none.
    pub claims: Vec<String>,
}

impl Default for Access {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(15 * 60), claims: Vec::new() }
    }
}

/// Refresh tokens. Every refresh gives a new pair and ends the old refresh token (RFC 9700 section 4.14).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "RefreshTokens")]
#[serde(deny_unknown_fields, default)]
pub struct Refresh {
    /// How long one is good for. Default: `7d`.
    #[schemars(with = "Duration")]
    pub ttl: Duration,
    /// How long a login lasts at most, however often it is refreshed. Default: `30d`.
    #[schemars(with = "Duration")]
    pub absolute: Duration,
    /// For this long after a refresh the old token gives the same successor again: two tabs that refresh at once are no
    /// thief. At most `5m`. Default: `10s`.
    #[schemars(with = "Duration")]
    pub grace: Duration,
    /// What ends when an old token is used after that: `revoke_family` ends that login, `revoke_user` all of the user's.
    /// Default: `revoke_family`.
    pub on_reuse: OnReuse,
}

impl Default for Refresh {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(7 * 24 * 3600),
            absolute: Duration::from_secs(30 * 24 * 3600),
            grace: Duration::from_secs(10),
            on_reuse: OnReuse::RevokeFamily,
        }
    }
}

/// What ends when a refresh token is used a second time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnReuse {
    /// The login that it belongs to.
    #[default]
    RevokeFamily,
    /// All logins of the user.
    RevokeUser,
}
