//! Tokens that are refused before they expire.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::Duration;

use super::text::given;

/// Tokens that are refused before they expire: by their `jti`, or because everything of their subject was ended.
///
/// What is kept is forgotten when the tokens would have expired anyway.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Revocation {
    /// The store under `stores:` that gateways share. Default: the token service's, or none: then nothing is refused
    /// early.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub store: Option<String>,
    /// What the names of the keys in `store` begin with: `service.store.prefix` of the gateways that issue the tokens.
    /// Default: `auth`.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub prefix: Option<String>,
    /// `local`: each gateway knows all revocations and asks nobody about a token; it learns of those on other gateways
    /// within `learn`. `strict`: the store is asked about every token. Default: `local`.
    pub mode: RevocationMode,
    /// How long another gateway may take to learn of a revocation, in `local` mode. Default: `1s`.
    #[schemars(with = "Duration")]
    pub learn: Duration,
    /// What becomes of tokens while the store is lost: `deny` refuses all with 503, `allow` takes what is known here. In
    /// `local` mode it counts as lost when it hasn't answered for three times `learn`. Default: `allow` for `local`,
    /// `deny` for `strict`.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "OnStoreError")]
    pub on_store_error: Option<OnStoreError>,
    /// The most revocations that are kept here; beyond it, the store is asked about every token. Default: 1000000.
    pub entries: usize,
}

impl Default for Revocation {
    fn default() -> Self {
        Self {
            store: None,
            prefix: None,
            mode: RevocationMode::Local,
            learn: Duration::from_secs(1),
            on_store_error: None,
            entries: 1_000_000,
        }
    }
}

/// Who is asked whether a token was revoked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RevocationMode {
    /// What this gateway knows.
    #[default]
    Local,
    /// The store, about every token.
    Strict,
    /// Nobody: tokens are good until they expire.
    Off,
}

/// What happens when somebody who has to be asked does not answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "AuthOnStoreError")]
#[serde(rename_all = "snake_case")]
pub enum OnStoreError {
    /// The request is refused with 503.
    #[default]
    Deny,
    /// It goes on with what is known here.
    Allow,
}
