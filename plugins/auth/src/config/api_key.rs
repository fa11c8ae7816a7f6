//! Keys of programs.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::source::Source;
use super::text::given;

/// Keys of programs. Only their hashes are known: `printf %s "$KEY" | sha256sum`. A key has the form
/// `<prefix>.<secret>` (or `<prefix>_<secret>`, at the last such sign), its secret at least 20 characters of randomness;
/// it is found by its prefix.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "ApiKeyProvider")]
#[serde(deny_unknown_fields, default)]
pub struct ApiKey {
    /// The keys. Default: none.
    pub keys: Vec<ApiKeyEntry>,
    /// A file with more of them: a YAML or JSON list as in `keys`, read again within seconds when it changes.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "PathBuf")]
    pub file: Option<PathBuf>,
    /// Where the key is. Default: `- header: X-API-Key`.
    pub sources: Vec<Source>,
    /// Takes the key out of what the upstream gets. Default: true.
    pub strip: bool,
}

impl Default for ApiKey {
    fn default() -> Self {
        Self { keys: Vec::new(), file: None, sources: vec![Source::Header("X-API-Key".to_owned())], strip: true }
    }
}

/// One key.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ApiKeyEntry {
    /// The part before the secret: what logs and metrics call the key. Unique.
    pub prefix: String,
    /// SHA-256 of the whole key, in hexadecimal.
    pub sha256: String,
    /// Whose key it is: the identity's subject.
    pub owner: String,
    /// The owner's roles. Default: none.
    pub roles: Vec<String>,
    /// What the key may be used for. Default: nothing in particular.
    pub scopes: Vec<String>,
    /// From when on it is refused (RFC 3339: `2027-01-31T00:00:00Z`). Default: never.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub expires: Option<String>,
}
