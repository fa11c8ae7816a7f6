//! Tokens that their issuer is asked about.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::{Duration, Secret};

use super::source::{Source, Yes};
use super::text::given;

/// Opaque tokens: their issuer is asked about each (RFC 7662), and its answer remembered for a while.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "IntrospectionProvider")]
#[serde(deny_unknown_fields, default)]
pub struct Introspection {
    /// The issuer's introspection endpoint.
    pub url: String,
    /// As whom the gateway asks: sent with the secret as Basic authentication (RFC 6749 section 2.3.1).
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub client_id: Option<String>,
    /// The gateway's own secret there.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Secret")]
    pub client_secret: Option<Secret>,
    /// What `iss` of the answer must be. Default: not looked at.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub issuer: Option<String>,
    /// One of these must be in `aud` of the answer. Default: not looked at.
    pub audience: Vec<String>,
    /// How long an answer is remembered, and no longer than the token lives: a token that is withdrawn is taken for
    /// this long; requests with the same token that come while its issuer is asked wait for the one answer. `0s` asks
    /// for each request. At most `1h`. Default: `30s`.
    #[schemars(with = "Duration")]
    pub cache: Duration,
    /// How long it is remembered that a token is no good. At most `1h`. Default: `10s`.
    #[schemars(with = "Duration")]
    pub cache_refused: Duration,
    /// The most answers that are remembered. Default: 10000.
    pub entries: usize,
    /// How long an answer is waited for, at most `1m`. While 64 calls are under way, and for a second after five in a
    /// row have failed, tokens that aren't remembered are a 503. Default: `2s`.
    #[schemars(with = "Duration")]
    pub timeout: Duration,
    /// A PEM file of the CAs that are trusted, in place of the system's.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "PathBuf")]
    pub ca: Option<PathBuf>,
    /// The member of the answer that says who; dots go into objects. Default: `sub`.
    pub subject: String,
    /// The members that hold roles. Default: `roles`, `role`.
    pub roles: Vec<String>,
    /// The members that hold scopes. Default: `scope`.
    pub scopes: Vec<String>,
    /// Where the token is. Default: `- bearer: true`.
    pub sources: Vec<Source>,
    /// Takes the token out of what the upstream gets. Default: false.
    pub strip: bool,
}

impl Default for Introspection {
    fn default() -> Self {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            url: String::new(),
            client_id: None,
            client_secret: None,
            issuer: None,
            audience: Vec::new(),
            cache: Duration::from_secs(30),
            cache_refused: Duration::from_secs(10),
            entries: 10_000,
            timeout: Duration::from_secs(2),
            ca: None,
            subject: "sub".to_owned(),
            roles: words(&["roles", "role"]),
            scopes: words(&["scope"]),
            sources: vec![Source::Bearer(Yes)],
            strip: false,
        }
    }
}
