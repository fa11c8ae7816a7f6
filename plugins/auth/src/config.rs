//! What the section says, and what one route asks of the plugin.

mod api_key;
mod basic;
mod client_certificate;
mod decide;
mod forward;
mod identity;
mod introspection;
mod jwt;
mod policy;
mod revocation;
pub mod service;
mod source;
mod text;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::Duration;

pub use api_key::{ApiKey, ApiKeyEntry};
pub use basic::{Basic, BasicUser};
pub use client_certificate::{ClientCertificate, NamePart};
pub use decide::{Acl, AclEntry, AclStore, Cedar, Effect, Statement, When};
pub use forward::Forward;
pub use identity::{Forwarding, InternalToken};
pub use introspection::Introspection;
pub use jwt::{Algorithm, Discovery, Jwks, Jwt, JwtKey, KeySource};
pub use policy::{AclRule, CedarAttributes, CedarRule, MethodRule, Mode, Policy, Require};
pub use revocation::{OnStoreError, Revocation, RevocationMode};
pub use service::Service;
pub use source::{Source, Yes};

use text::given;

/// Who may ask: the providers that prove identities, the rules, and the token service.
///
/// ```yaml
/// auth:
///   providers:
///     - jwt: { jwks: { url: "https://issuer.example/jwks.json" }, issuer: "https://issuer.example", audience: [api] }
///   identity: { headers: { X-User-ID: sub, X-User-Role: roles } }
/// ```
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(rename = "Auth")]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What proves identities. Each is tried for requests that carry something for it, in this order; the first that
    /// the request carries something for decides. Default: none, or the token service alone where there is one.
    pub providers: Vec<Provider>,
    /// Tokens that were found good are remembered by their hash until they expire.
    pub cache: Cache,
    /// Tokens that are refused before they expire: those of sessions that were ended.
    pub revocation: Revocation,
    /// What upstreams are told of who is asking.
    pub identity: Forwarding,
    /// What each role may do: permissions by role, such as `users:read`; `*` at the end stands for the rest. Default:
    /// none.
    pub roles: BTreeMap<String, Vec<String>>,
    /// Lists of who may do what with which resource, by name. Default: none.
    pub acl: BTreeMap<String, Acl>,
    /// Statements that allow or deny actions on resources; a route asks for them with `statements: true`. A deny wins,
    /// and what nothing allows is denied. Default: none.
    pub statements: Vec<Statement>,
    /// Policies in Cedar; a route asks for them with `cedar:`. Default: none.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Cedar")]
    pub cedar: Option<Cedar>,
    /// The token service: sign-up, login, refresh and logout, served where a route mounts `endpoint: { auth: {} }`.
    /// Default: none.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Service")]
    pub service: Option<Service>,
    /// What `WWW-Authenticate` calls this place (RFC 9110 section 11.5). Default: `api`.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub realm: Option<String>,
}

/// One way to prove who is asking: a name, and one of the kinds.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(rename = "AuthProvider")]
#[serde(deny_unknown_fields, default)]
pub struct Provider {
    /// What policies, logs and metrics call it. Default: its kind, such as `jwt`; needed where two are of one kind.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub name: Option<String>,
    /// Signed tokens (RFC 7519).
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Jwt")]
    pub jwt: Option<Jwt>,
    /// Tokens that their issuer is asked about (RFC 7662).
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Introspection")]
    pub introspection: Option<Introspection>,
    /// Keys of programs.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "ApiKey")]
    pub api_key: Option<ApiKey>,
    /// A name and a password with every request (RFC 7617).
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Basic")]
    pub basic: Option<Basic>,
    /// The certificate of the TLS connection.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "ClientCertificate")]
    pub client_certificate: Option<ClientCertificate>,
    /// Another service decides.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Forward")]
    pub forward: Option<Forward>,
    /// Tokens and session cookies of this gateway's own token service. `{}` is all there is to say.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Own")]
    pub service: Option<Own>,
}

/// The token service as a provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Own {}

/// How many good tokens are remembered, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "AuthCache")]
#[serde(deny_unknown_fields, default)]
pub struct Cache {
    /// The most tokens that are remembered; 0 checks every signature. Default: 100000.
    pub entries: usize,
    /// The longest a token is remembered, if it doesn't expire before. Default: `5m`.
    #[schemars(with = "Duration")]
    pub max_age: Duration,
}

impl Default for Cache {
    fn default() -> Self {
        Self { entries: 100_000, max_age: Duration::from_secs(300) }
    }
}
