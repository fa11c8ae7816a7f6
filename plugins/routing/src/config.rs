//! The `routing` section.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::{ByteSize, Duration};
use tidegate_core::{RawConfig, Scheme};

use crate::deprecation::DeprecationConfig;
use crate::fields::FieldMatch;
use crate::host::HostPattern;
use crate::methods::MethodName;
use crate::networks::Network;
use crate::normalise::{EscapedSlashes, PathParameters, PathRules, RepeatedSlashes};
use crate::path::PathPattern;
use crate::pattern::Pattern;
use crate::redirect::RedirectConfig;
use crate::reply::ReplyConfig;
use crate::rewrite::RewriteConfig;
use crate::text::OneOrMany;
use crate::version::VersioningConfig;

/// Which route a request takes, and how its path is read before that is decided.
///
/// ```yaml
/// routing:
///   routes:
///     - { name: users, match: { host: api.example.com, path: "/v1/users/**" }, upstream: users }
/// ```
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RoutingConfig {
    /// What is done with `%2F`, `%5C` and `\` in paths. Default `reject`.
    pub escaped_slashes: EscapedSlashes,
    /// What is done with `//` in paths. Default `merge`.
    pub repeated_slashes: RepeatedSlashes,
    /// What is done with `;x=y` in paths. Default `check`.
    pub path_parameters: PathParameters,
    /// The versions of the API, if it has any.
    pub versioning: Option<VersioningConfig>,
    /// The routes. Their order matters only between routes that are equally specific.
    pub routes: Vec<RouteConfig>,
}

impl RoutingConfig {
    pub(crate) fn path_rules(&self) -> PathRules {
        PathRules {
            escaped_slashes: self.escaped_slashes,
            repeated_slashes: self.repeated_slashes,
            path_parameters: self.path_parameters,
        }
    }
}

/// One route: what it matches, and what serves it (exactly one of `upstream`, `split`, `redirect`, `reply`, `endpoint`).
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RouteConfig {
    /// Its name, which no other route has: letters, digits, `.`, `_`, `-`, `:` and `/`, at most 100. Metrics and logs
    /// use it. Default `route-<n>`, counted from 0.
    pub name: Option<String>,
    /// What it matches. Left out, it matches everything.
    #[serde(rename = "match")]
    pub matches: MatchConfig,
    /// The pool of `upstreams` that serves it.
    pub upstream: Option<String>,
    /// Pools that serve it by weight: `[{ upstream: v2, weight: 10 }, { upstream: v1, weight: 90 }]`.
    pub split: Option<Vec<SplitArmConfig>>,
    /// What keeps a user on one side of a split; the first that a request has counts. When weights change, only the
    /// users move that must. Default: each request is decided anew.
    pub sticky: Vec<StickyConfig>,
    /// Sends the client elsewhere.
    pub redirect: Option<RedirectConfig>,
    /// A fixed answer.
    pub reply: Option<ReplyConfig>,
    /// An endpoint that a plugin offers, with its configuration: `{ files: { root: /srv/www } }`.
    pub endpoint: Option<BTreeMap<String, RawConfig>>,
    /// What the upstream sees instead of the client's path and host.
    pub rewrite: Option<RewriteConfig>,
    /// Tells clients that the route will go.
    pub deprecation: Option<DeprecationConfig>,
    /// What requests may be like.
    pub limits: LimitsConfig,
    /// How long things may take.
    pub timeouts: TimeoutsConfig,
    /// What the route asks of plugins, by plugin name; `off` turns a plugin's default policy off.
    pub plugins: BTreeMap<String, RawConfig>,
}

/// What a route matches: all of it must hold. A list means any of it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MatchConfig {
    /// Hosts: `api.example.com`, `*.example.com` (all below it, at any depth, but not itself). Default: any.
    pub host: OneOrMany<HostPattern>,
    /// Paths: `/exact`, `/users/{id}`, `/files/**` (`/files` too). Default `/**`. Case matters; spelling (`%61` for
    /// `a`) doesn't.
    pub path: OneOrMany<PathPattern>,
    /// An expression that the whole path (normalised) must match, beside `path`: `/files/.*\.png`.
    pub path_regex: Option<Pattern>,
    /// Methods. `GET` brings `HEAD` with it, and each method its CORS preflight. Default: any.
    pub methods: OneOrMany<MethodName>,
    /// Conditions on header fields.
    pub headers: Vec<FieldMatch>,
    /// Conditions on query parameters, decoded.
    pub query: Vec<FieldMatch>,
    /// Conditions on cookies.
    pub cookies: Vec<FieldMatch>,
    /// Addresses and networks of clients, as seen through trusted proxies. Default: any.
    pub client: OneOrMany<Network>,
    /// Names of listeners. A host all of whose routes are on other listeners gets a 421. Default: any.
    pub listener: OneOrMany<String>,
    /// `http` or `https`. Default: both.
    pub scheme: Option<SchemeName>,
    /// One of `versioning.versions`, where the version is in a header field or the query.
    pub version: Option<String>,
}

/// How the client reached the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SchemeName {
    /// Plain.
    Http,
    /// TLS.
    Https,
}

impl SchemeName {
    pub(crate) fn get(self) -> Scheme {
        match self {
            Self::Http => Scheme::Http,
            Self::Https => Scheme::Https,
        }
    }
}

/// One side of a split.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitArmConfig {
    /// A pool of `upstreams`.
    pub upstream: String,
    /// Its share among the weights of all sides; 0 gets nothing.
    pub weight: u32,
}

/// What a split knows a user by: `{ header: X-User }`, `{ cookie: session }`, `identity` or `client`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StickyConfig {
    /// The value of this header field.
    Header(String),
    /// The value of this cookie.
    Cookie(String),
    /// The subject of the identity.
    Identity,
    /// The client's address.
    Client,
}

/// What requests of a route may be like.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// The longest body, such as `10MiB`; a longer one is a 413. Default: the gateway's.
    pub body: Option<ByteSize>,
}

/// How long things may take on a route. What is left out has the gateway's default.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TimeoutsConfig {
    /// The whole request; longer is a 504 while no answer has begun, and a cut connection after.
    pub request: Option<Duration>,
    /// To connect to the upstream, TLS included.
    pub connect: Option<Duration>,
    /// Between two reads from the upstream, the first byte of the answer included.
    pub read: Option<Duration>,
    /// For one write to the upstream.
    pub write: Option<Duration>,
}
