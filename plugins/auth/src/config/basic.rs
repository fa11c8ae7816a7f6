//! A name and a password with every request.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::{Duration, Secret};

use super::text::given;

/// A name and a password with every request (RFC 7617), checked with bcrypt. What was right is remembered by a keyed
/// hash for a while, as each check costs a large part of a second.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "BasicProvider")]
#[serde(deny_unknown_fields, default)]
pub struct Basic {
    /// The users. Default: none.
    pub users: Vec<BasicUser>,
    /// A file with more of them: `name:hash` on each line, as `htpasswd -B` writes it; read again within seconds when it
    /// changes.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "PathBuf")]
    pub file: Option<PathBuf>,
    /// How long a right password is remembered; `0s` checks each time. At most `1h`. Default: `1m`.
    #[schemars(with = "Duration")]
    pub cache: Duration,
    /// Takes the password out of what the upstream gets. Default: true.
    pub strip: bool,
}

impl Default for Basic {
    fn default() -> Self {
        Self { users: Vec::new(), file: None, cache: Duration::from_secs(60), strip: true }
    }
}

/// One user.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicUser {
    /// The name: the identity's subject.
    pub name: String,
    /// The password's bcrypt hash, `$2b$12$…`.
    pub hash: Secret,
    /// The user's roles. Default: none.
    #[serde(default)]
    pub roles: Vec<String>,
    /// The user's scopes. Default: none.
    #[serde(default)]
    pub scopes: Vec<String>,
}
