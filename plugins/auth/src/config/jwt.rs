//! Signed tokens.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::{Duration, Secret};

use super::source::{Source, Yes};
use super::text::given;

/// Signed tokens (RFC 7519, RFC 8725): whose keys, and what their claims must say.
///
/// Keys come from exactly one of `keys`, `jwks` and `discovery`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "JwtProvider")]
#[serde(deny_unknown_fields, default)]
pub struct Jwt {
    /// Keys written out here. Default: none.
    pub keys: Vec<JwtKey>,
    /// A set of keys (RFC 7517) from a file or a URL.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Jwks")]
    pub jwks: Option<Jwks>,
    /// The issuer says itself where its keys are (OpenID Connect Discovery 1.0).
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Discovery")]
    pub discovery: Option<Discovery>,
    /// Which algorithms are taken at all. The token's own `alg` only chooses among those that its key may be used with.
    /// Default: every asymmetric one that fits a key; those with a shared secret (`HS256`) only for keys that are one.
    pub algorithms: Vec<Algorithm>,
    /// What `iss` must be. Default: with `discovery`, the issuer's name; otherwise it is not looked at.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub issuer: Option<String>,
    /// One of these must be in `aud`. Default: a token with an `aud` is refused, as it is meant for somebody else
    /// (RFC 7519 section 4.1.3).
    pub audience: Vec<String>,
    /// Takes tokens for any audience. Default: false.
    pub any_audience: bool,
    /// What `typ` of the token's header may be, in any case, `application/` left out. Default: `JWT`, `at+jwt`, or none
    /// at all.
    pub typ: Vec<String>,
    /// Claims that must be there. Default: `exp`.
    pub require: Vec<String>,
    /// Claims that must be just this, such as `{ type: access }`. Default: none.
    pub claims: BTreeMap<String, serde_json::Value>,
    /// By how much the clocks of issuer and gateway may differ. At most `5m`. Default: `30s`.
    #[schemars(with = "Duration")]
    pub leeway: Duration,
    /// The longest from `iat` to `exp`; a token without `iat` is refused then. Default: any.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Duration")]
    pub max_lifetime: Option<Duration>,
    /// The claim that says who; dots go into objects. Default: `sub`.
    pub subject: String,
    /// The claims that hold roles, lists or words with spaces between. Default: `roles`, `role`.
    pub roles: Vec<String>,
    /// The claims that hold scopes, lists or words with spaces between. Default: `scope`, `scp`.
    pub scopes: Vec<String>,
    /// Where the token is; several are tried in order, and a request with more than one token is refused. Default:
    /// `- bearer: true`.
    pub sources: Vec<Source>,
    /// Takes the token out of what the upstream gets. Default: false.
    pub strip: bool,
}

impl Default for Jwt {
    fn default() -> Self {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            keys: Vec::new(),
            jwks: None,
            discovery: None,
            algorithms: Vec::new(),
            issuer: None,
            audience: Vec::new(),
            any_audience: false,
            typ: Vec::new(),
            require: words(&["exp"]),
            claims: BTreeMap::new(),
            leeway: Duration::from_secs(30),
            max_lifetime: None,
            subject: "sub".to_owned(),
            roles: words(&["roles", "role"]),
            scopes: words(&["scope", "scp"]),
            sources: vec![Source::Bearer(Yes)],
            strip: false,
        }
    }
}

/// A key: exactly one of `secret`, `secret_base64`, `pem` and `file`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JwtKey {
    /// Its id: a token that names another `kid` is not checked with it. Default: none, and it is tried for tokens
    /// without `kid`, or where it is the only key.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub id: Option<String>,
    /// A shared secret, at least as long as its algorithm's hash: 32 bytes for HS256 (RFC 7518 section 3.2).
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Secret")]
    pub secret: Option<Secret>,
    /// The same in base64 or base64url.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Secret")]
    pub secret_base64: Option<Secret>,
    /// A public key or certificate in PEM: RSA of at least 2048 bits, P-256, P-384 or Ed25519.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub pem: Option<String>,
    /// A file with the same.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "PathBuf")]
    pub file: Option<PathBuf>,
    /// What it may be used with. Needed for a secret; default for others: all that fit it.
    pub algorithms: Vec<Algorithm>,
}

/// How a token is signed (RFC 7518 section 3, RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, JsonSchema)]
#[schemars(rename = "JwtAlgorithm")]
#[allow(missing_docs)]
pub enum Algorithm {
    HS256,
    HS384,
    HS512,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    ES512,
    EdDSA,
}

/// A set of keys: exactly one of `url` and `file`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Jwks {
    /// Where it is fetched from. `http` only where the network can be trusted.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub url: Option<String>,
    /// A file, read again when the configuration is.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "PathBuf")]
    pub file: Option<PathBuf>,
    /// How it is fetched.
    pub fetch: KeySource,
}

/// The issuer: its metadata are at `<issuer>/.well-known/openid-configuration`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Discovery {
    /// The issuer's URL, exactly as in `iss`.
    pub issuer: String,
    /// How it is asked.
    pub fetch: KeySource,
}

/// How keys are fetched, and kept. One fetch at a time; while the issuer can't be reached, the last keys stay.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeySource {
    /// How often keys are fetched anew, ahead of need. An answer's `Cache-Control: max-age` makes it sooner, not below
    /// `cooldown`. Default: `10m`.
    #[schemars(with = "Duration")]
    pub refresh: Duration,
    /// A token with an unknown `kid` causes a fetch, at most one in this time. Default: `30s`.
    #[schemars(with = "Duration")]
    pub cooldown: Duration,
    /// How long one fetch may take. Default: `5s`.
    #[schemars(with = "Duration")]
    pub timeout: Duration,
    /// How long the last keys are used while no newer ones can be had. Default: `24h`.
    #[schemars(with = "Duration")]
    pub keep: Duration,
    /// A PEM file of the CAs that are trusted, in place of the system's.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "PathBuf")]
    pub ca: Option<PathBuf>,
}

impl Default for KeySource {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(600),
            cooldown: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            keep: Duration::from_secs(24 * 3600),
            ca: None,
        }
    }
}
