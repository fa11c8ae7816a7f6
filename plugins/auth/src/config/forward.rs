//! Another service decides.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::Duration;

use super::revocation::OnStoreError;
use super::text::given;

/// Another service is asked with the request's head (as nginx `auth_request` does): 2xx lets it through; 401, 403 and
/// redirects refuse it with the service's status, `WWW-Authenticate`, `Location` and `Set-Cookie`; anything else is a
/// failure.
///
/// It is told `X-Forwarded-Method`, `-Proto`, `-Host`, `-Uri` and `-For`, and the fields of `send`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "ForwardAuthProvider")]
#[serde(deny_unknown_fields, default)]
pub struct Forward {
    /// The service.
    pub url: String,
    /// The request's fields that it is sent. Default: `Authorization`, `Cookie`.
    pub send: Vec<String>,
    /// Asks only for requests that have one of `send`; others carry nothing for this provider. Default: true.
    pub only_with_credentials: bool,
    /// Fields of the answer that say who: `{ subject: X-User, roles: X-Roles, scopes: X-Scopes }`, lists with commas or
    /// spaces between; any other name becomes a claim. A 2xx without the subject proves nobody: the request goes on as
    /// one without credentials, which a route with `optional` lets through. Default: `{ subject: X-User-ID }`.
    pub identity: BTreeMap<String, String>,
    /// How long an answer of 2xx is remembered, by the fields of `key`; requests with the same key that come while it
    /// is asked for wait for the one answer. `0s` asks for each request. At most `1h`. Default: `0s`.
    #[schemars(with = "Duration")]
    pub cache: Duration,
    /// What answers are remembered by, beside the scheme: `method`, `host`, `path`, `query`, `client`, or the name of a
    /// header field. Everything that the service looks at must be among them, and the fields of `send` are asked to be.
    /// Default: `method`, `host`, `path`, `query` and the fields of `send`.
    pub key: Vec<String>,
    /// The most answers that are remembered. Default: 10000.
    pub entries: usize,
    /// How long an answer is waited for, at most `1m`. 64 calls at most are under way at once, and after five in a row
    /// have failed, one in a second is made. Default: `2s`.
    #[schemars(with = "Duration")]
    pub timeout: Duration,
    /// What becomes of requests while the service fails: `deny` (503) or `allow` (as nobody). Default: `deny`.
    pub on_error: OnStoreError,
    /// A PEM file of the CAs that are trusted, in place of the system's.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "PathBuf")]
    pub ca: Option<PathBuf>,
}

impl Default for Forward {
    fn default() -> Self {
        Self {
            url: String::new(),
            send: vec!["Authorization".to_owned(), "Cookie".to_owned()],
            only_with_credentials: true,
            identity: BTreeMap::from([("subject".to_owned(), "X-User-ID".to_owned())]),
            cache: Duration::from_secs(0),
            key: Vec::new(),
            entries: 10_000,
            timeout: Duration::from_secs(2),
            on_error: OnStoreError::Deny,
            ca: None,
        }
    }
}
