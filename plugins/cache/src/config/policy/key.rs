//! What tells one answer from another.

use schemars::JsonSchema;
use serde::Deserialize;

/// What tells one answer from another, beside scheme, host, port, path, the route, and what the answer's `Vary` names.
///
/// Whatever an upstream's answers depend on must be in the key or in `Vary`: what is left out of both lets one client
/// choose what another one gets.
///
/// ```yaml
/// key:
///   query: { allow: [page, sort] }
///   sort_query: true
///   headers: [X-Api-Version]
///   cookies: [language]
/// ```
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(rename = "CacheKey")]
#[serde(deny_unknown_fields, default)]
pub struct Key {
    /// Which query parameters: `all`, `none`, `{ allow: [names] }` or `{ deny: [names] }`. A name may end in `*`. Names are
    /// compared as the upstream reads them: `%70age` is `page`. Default: `all`.
    pub query: QueryKey,
    /// Whether `?a=1&b=2` and `?b=2&a=1` are the same. Those of one name keep their order. Default: false.
    pub sort_query: bool,
    /// Request header fields whose values tell answers apart although `Vary` does not name them. Default: none.
    pub headers: Vec<String>,
    /// The same for cookies. Default: none.
    pub cookies: Vec<String>,
    /// Whether each identity has answers of its own, also where `mode` is `public`. Default: false.
    pub identity: bool,
    /// Which claims tell the answers of one identity apart, where each has its own: `all` but `exp`, `iat`, `jti` and `nbf`,
    /// `none`, `{ allow: [names] }` or `{ deny: [names] }`. A name may end in `*`. Leave out only what no upstream answers
    /// by: it sees them in the token, and in the fields that tell it of the identity. Default: `all`.
    pub claims: ClaimsKey,
}

/// Which claims of an identity are part of the key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClaimsKey {
    /// All but those that say of a token which one it is, and for how long it is good.
    #[default]
    All,
    /// None: roles and scopes say all.
    None,
    /// These.
    Allow(Vec<String>),
    /// All but these, and those that `all` leaves out.
    Deny(Vec<String>),
}

/// Which query parameters are part of the key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueryKey {
    /// All of the query, to the letter.
    #[default]
    All,
    /// None: `/a?x` and `/a` are the same.
    None,
    /// These.
    Allow(Vec<String>),
    /// All but these.
    Deny(Vec<String>),
}
