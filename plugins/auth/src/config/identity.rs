//! What upstreams are told of who is asking.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::Duration;

use super::text::given;

/// What upstreams are told of who is asking. The client's own fields of these names are removed on every route, public
/// ones too.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "IdentityForwarding")]
#[serde(deny_unknown_fields, default)]
pub struct Forwarding {
    /// Fields and what is in them: `sub`, `roles`, `scopes`, `provider`, or a claim (dots go into objects). Lists are
    /// written with commas between; what can't stand in a field is percent-encoded. A claim that isn't there sends no
    /// field. Default: `{ X-User-ID: sub }`.
    pub headers: BTreeMap<String, String>,
    /// More fields that clients may not send. Default: none.
    pub strip: Vec<String>,
    /// A short-lived token that the gateway signs, for upstreams that don't take fields on trust. Default: none.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "InternalToken")]
    pub token: Option<InternalToken>,
}

impl Default for Forwarding {
    fn default() -> Self {
        let headers = BTreeMap::from([("X-User-ID".to_owned(), "sub".to_owned())]);
        Self { headers, strip: Vec::new(), token: None }
    }
}

/// A token that says who is asking, signed with the token service's key (published at its `jwks.json`). Needs a
/// `service:`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InternalToken {
    /// The field that carries it. Default: `X-Identity-Token`.
    pub header: String,
    /// Its `aud`. Default: `internal`.
    pub audience: String,
    /// How long it is good for. From `5s` to `10m`. Default: `1m`.
    #[schemars(with = "Duration")]
    pub ttl: Duration,
    /// Claims that it has, beside `sub`, `roles`, `scope`, `iss`, `aud`, `iat` and `exp`. Default: none.
    pub claims: Vec<String>,
}

impl Default for InternalToken {
    fn default() -> Self {
        let header = "X-Identity-Token".to_owned();
        Self { header, audience: "internal".to_owned(), ttl: Duration::from_secs(60), claims: Vec::new() }
    }
}
