//! What one route asks of the plugin.

mod cors;
mod security;
mod word;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use tidegate_core::Template;

pub use cors::{Cors, Credentials, Origin, OriginPattern, PrivateNetwork};
pub use security::{
    ContentTypeOptions, CrossDomainPolicies, DnsPrefetch, DownloadOptions, EmbedderPolicy, FrameOptions, Hsts, Mode,
    Omit, OpenerPolicy, OriginAgentCluster, Preload, Preset, ReferrerPolicy, ResourcePolicy, Security, Subdomains,
    XssProtection,
};
pub use word::WordOr;

/// What one route does to the header fields of its requests and responses.
///
/// A route that has this policy, be it as short as `headers: {}`, tells clients nothing about the upstream: see
/// `privacy`. All else is done only when it is asked for.
///
/// ```yaml
/// headers:
///   request:
///     remove: [X-Internal-*]
///     set: { X-User-ID: "{identity.subject}" }
///   security: helmet
///   cors: { origins: ["https://app.example.com"], credentials: allow }
/// ```
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(rename = "HeadersPolicy")]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// What the upstream sees. Default: what the client sent.
    pub request: Edits,
    /// What the client sees; done last, so it has the last word on every field that the rest of the policy does not
    /// own. Default: what the upstream sent, and what the rest of the policy makes of it.
    pub response: Edits,
    /// The headers by which browsers guard a page: `helmet` for the set of Helmet 8 for Express, `off`, or a map that
    /// says what differs. Default: `off`.
    pub security: WordOr<Preset, Security>,
    /// Which web pages of other origins may read the answers. Preflights are answered by the gateway. Default: the
    /// upstream decides.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Cors")]
    pub cors: Option<Cors>,
    /// What clients may learn about the upstream. Default: nothing.
    pub privacy: Privacy,
    /// What becomes of the cookies that the upstream sets. Default: they are kept, without domains that are internal.
    pub cookies: Cookies,
}

/// Rules for header fields, done in this order: `remove`, `rename`, `set`, `add`.
///
/// Names ignore case, and all values of a name are one field. Fields of the connection and of the framing
/// (`Connection`, `Content-Length`, `Transfer-Encoding`, …), the request's `Host` and the response's `Date` are
/// refused: the gateway makes its own.
///
/// ```yaml
/// request:
///   remove: [X-Internal-*]
///   rename: { X-Client-Version: X-App-Version }
///   set: { X-Correlation-ID: "{request_id}", X-User-ID: "{identity.subject}" }
///   add: { X-Via-Route: "{route}" }
/// ```
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(rename = "HeaderEdits")]
#[serde(deny_unknown_fields, default)]
pub struct Edits {
    /// Names, or patterns with `*` for any characters: `X-Internal-*`. On requests `_` counts as `-`, since CGI, WSGI
    /// and others do not tell `X_User_ID` from `X-User-ID`. Default: none.
    pub remove: Vec<String>,
    /// Old name to new name. A field that is there replaces the one of the new name; one that isn't changes nothing.
    /// All are renamed at once, so two can swap. Default: none.
    pub rename: BTreeMap<String, String>,
    /// Name to the one value it is to have, in place of all others. When a fact in the value is missing, such as
    /// `{identity.subject}` of an anonymous client, the field is removed: a client can't forge what it does not have.
    /// On requests this holds for `_` in place of `-` too. Default: none.
    pub set: BTreeMap<String, Template>,
    /// Name to a value to send beside those that are there. When a fact in it is missing, nothing is added.
    /// Default: none.
    pub add: BTreeMap<String, Template>,
}

/// What clients may learn about the upstream.
///
/// ```yaml
/// privacy:
///   server: { set: tidegate }
///   internal_hosts: ["*.internal", users-service]
/// ```
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Privacy {
    /// The `Server` field: `hide`, `keep`, or `{ set: <name> }`. Default: `hide`.
    pub server: ServerField,
    /// Fields that name the upstream's software, version or machine: `Via`, `X-Powered-By`, `X-AspNet-Version`,
    /// `X-Backend-*` and others; the manual lists them. `hide` or `keep`. Default: `hide`.
    pub fingerprints: Fingerprints,
    /// What becomes of a `Location`, `Content-Location`, `Refresh` or `Link` of the upstream that points at an
    /// internal host, or at the `Host` that the upstream was given: `rewrite` puts the client's own scheme and host in
    /// its place, `keep` leaves it. Default: `rewrite`.
    pub locations: Locations,
    /// Hosts that no client should hear of, beside private addresses (RFC 1918, RFC 4193, RFC 6598 and link-local),
    /// which always count: names, names with `*.` in front for all below, addresses, or networks such as
    /// `203.0.113.0/24`. Ports don't matter. Default: none.
    pub internal_hosts: Vec<String>,
}

/// The `Server` field of responses.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServerField {
    /// There is none.
    #[default]
    Hide,
    /// The upstream's.
    Keep,
    /// This one on every response, the gateway's own included.
    Set(String),
}

/// Fields that tell which software or machine made a response.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fingerprints {
    /// They are removed.
    #[default]
    Hide,
    /// They stay.
    Keep,
}

/// References to internal hosts in responses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Locations {
    /// They lead to the host that the client asked.
    #[default]
    Rewrite,
    /// They stay.
    Keep,
}

/// What becomes of cookies.
///
/// ```yaml
/// cookies:
///   force: [secure, httponly, samesite=lax]
///   except: [XSRF-TOKEN]
///   domain: { app.internal: example.com, "*.svc": host_only }
/// ```
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cookies {
    /// Attributes that every cookie leaves with: `secure`, `httponly`, `samesite=lax`, `samesite=strict` or
    /// `samesite=none`. `samesite=lax` leaves a stricter cookie strict; `samesite=none` needs `secure`, as browsers
    /// refuse it otherwise. Default: none.
    pub force: Vec<CookieAttribute>,
    /// Names of cookies that `force` leaves as they are, case included: those that a page's script must read.
    /// Default: none.
    pub except: Vec<String>,
    /// What a cookie's `Domain` becomes: a domain, or one with `*.` in front for all below it, to the new domain or to
    /// `host_only` for no `Domain` at all, which makes the cookie one of the host that the client asked. The nearest
    /// match counts. A `Domain` that is one of `privacy.internal_hosts` is dropped anyway. Default: none.
    pub domain: BTreeMap<String, String>,
}

/// An attribute of a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CookieAttribute {
    /// Sent by browsers over TLS only. Is forced on plain HTTP too.
    Secure,
    /// Not to be read by scripts.
    HttpOnly,
    /// Sent with requests from other sites only when a link is followed.
    #[serde(rename = "samesite=lax")]
    SameSiteLax,
    /// Never sent with requests from other sites.
    #[serde(rename = "samesite=strict")]
    SameSiteStrict,
    /// Sent with all requests.
    #[serde(rename = "samesite=none")]
    SameSiteNone,
}

/// A key that stands there with nothing after it is a slip, not a key that was left out.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
