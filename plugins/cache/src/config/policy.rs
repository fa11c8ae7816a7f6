//! What one route asks for.

mod bypass;
mod key;
mod rule;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::{ByteSize, Duration, Percent};

pub use bypass::Bypass;
pub use key::{ClaimsKey, Key, QueryKey};
pub use rule::{Match, Rule};

use super::PurgeMethod;

/// What one route wants cached, and for how long.
///
/// Without a word more, `cache: {}` does what RFC 9111 asks of a shared cache: answers to GET and HEAD are stored as long
/// as the upstream says, and an hour where it says nothing. Nothing here overrides `no-store`, `private` or `no-cache` of
/// the upstream.
///
/// ```yaml
/// cache:
///   default_ttl: 1h
///   stale_while_revalidate: 30s
///   stale_if_error: 1d
///   negative: { "404": 10s, "410": 1m }
///   key: { query: { deny: ["utm_*", fbclid] } }
///   bypass: { cookies: [session] }
///   rules:
///     - match: { extensions: [css, js, woff2] }
///       override_ttl: 1d
///       cache_control: public, max-age=31536000, immutable
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "CachePolicy")]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// In which zone answers are kept. Routes of one zone share its room, and nothing else. Default: `main`.
    pub zone: Option<String>,
    /// Who may get a stored answer: `public` for everybody who asks for the same, or `private_per_identity` for nobody but
    /// the identity that it was made for. Default: `public`.
    pub mode: Mode,
    /// What becomes of requests without an identity where `mode` is `private_per_identity`: they `bypass` the cache, or
    /// `share` the answers that are for everybody. Default: `bypass`.
    pub anonymous: Option<Anonymous>,
    /// The statuses that may be stored. Default: all final ones that say for how long they are fresh, but 206 and 304; of
    /// those that don't say, 200, 203, 204, 300, 301 and 308, and those of `negative`.
    pub status: Option<Vec<u16>>,
    /// The media types that may be stored, such as `image/*`. Answers without a type are stored with `*/*` only. Event
    /// streams and gRPC never are. Default: all.
    pub content_types: Option<Vec<String>>,
    /// For how long an answer is fresh of which the upstream says neither that (`Cache-Control`, `CDN-Cache-Control`,
    /// `Expires`) nor anything against it; `0s` for not at all. Where `heuristic` is on and the answer has a
    /// `Last-Modified`, that wins. Default: 1h.
    pub default_ttl: Duration,
    /// The same by status, for answers that are errors. The keys are 300 to 599, in quotes; one that isn't there is stored
    /// only if the upstream says for how long. Default: `{ "404": 10s, "410": 1m }`.
    pub negative: BTreeMap<String, Duration>,
    /// The share of the time since `Last-Modified` for which an answer is fresh that says nothing else (RFC 9111 section
    /// 4.2.2 suggests 10%): at most a day. `0%` turns it off. Default: `0%`.
    pub heuristic: Percent,
    /// For how long answers are fresh, whatever the upstream says of it; `no-cache` stays in force. Default: what the
    /// upstream says.
    pub override_ttl: Option<Duration>,
    /// Answers are fresh for at most so long. Default: as long as the upstream says.
    pub max_ttl: Option<Duration>,
    /// Answers are fresh for at least so long. Default: as long as the upstream says.
    pub min_ttl: Option<Duration>,
    /// For how long after its time an answer is still sent while a new one is fetched, where it doesn't say so itself and
    /// none of `no-cache`, `must-revalidate`, `proxy-revalidate` and `s-maxage` forbids it (RFC 5861). Default: `0s`.
    pub stale_while_revalidate: Duration,
    /// The same for when the upstream can't be reached or answers 500, 502, 503 or 504. Default: `0s`.
    pub stale_if_error: Duration,
    /// What tells one answer from another.
    pub key: Key,
    /// Requests that are neither answered from the cache nor stored.
    pub bypass: Bypass,
    /// What becomes of an answer that sets cookies: it is not stored (`refuse`), or stored and sent without them (`strip`).
    /// Default: `refuse`.
    pub set_cookie: SetCookie,
    /// Whether a client may ask for a newer answer, or for none that is fetched (`Cache-Control: no-cache`, `no-store`,
    /// `max-age`, `min-fresh`, `max-stale`, `only-if-cached`; `Pragma: no-cache`). Default: true.
    pub respect_client: bool,
    /// What differs for some of the route's requests. The first rule that fits counts.
    pub rules: Vec<Rule>,
    /// Fetches and stores answers in slices of this size, each by itself, with `Range`: for video and other large files, of
    /// which clients want parts. 64KiB to 64MiB, and no more than the zone's `max_object`. What the upstream can't cut is
    /// fetched whole. Default: whole answers only. Example: `slice: 1MiB`.
    pub slice: Option<ByteSize>,
    /// How many requests for the same become one.
    pub lock: Lock,
    /// By which name the cache tells in `Cache-Status` (RFC 9211) what it did: letters, digits, `-` and `.`, the first a
    /// letter; `off` for no such field. Default: `tidegate`.
    pub status_header: String,
    /// Who may purge what this route has stored, with requests of the method `PURGE`. Default: nobody.
    pub purge: Option<PurgeMethod>,
}

impl Default for Policy {
    fn default() -> Self {
        let negative = [("404", 10), ("410", 60)];
        Self {
            zone: None,
            mode: Mode::default(),
            anonymous: None,
            status: None,
            content_types: None,
            default_ttl: Duration::from_secs(3600),
            negative: negative.map(|(status, secs)| (status.to_owned(), Duration::from_secs(secs))).into(),
            heuristic: Percent::new(0),
            override_ttl: None,
            max_ttl: None,
            min_ttl: None,
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            key: Key::default(),
            bypass: Bypass::default(),
            set_cookie: SetCookie::default(),
            respect_client: true,
            rules: Vec::new(),
            slice: None,
            lock: Lock::default(),
            status_header: "tidegate".to_owned(),
            purge: None,
        }
    }
}

/// Who may get a stored answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Everybody who asks for the same. What was asked for with `Authorization`, or by a known identity, is stored only if
    /// the answer says `public`, `s-maxage` or `must-revalidate` (RFC 9111 section 3.5).
    #[default]
    Public,
    /// The identity that it was made for, with the same roles, scopes and claims. What says `private` is stored, too.
    PrivatePerIdentity,
}

/// What becomes of requests without an identity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Anonymous {
    /// They go to the upstream.
    #[default]
    Bypass,
    /// They share one another's answers, as with `mode: public`.
    Share,
}

/// What becomes of an answer that sets cookies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SetCookie {
    /// It is not stored.
    #[default]
    Refuse,
    /// It is stored without them. No client gets them, the first one neither.
    Strip,
}

/// How many requests for the same become one.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Lock {
    /// How long a request waits for another one that is asking the upstream for the same; then it asks too. `0s`: each
    /// asks at once. Default: 5s.
    pub timeout: Duration,
}

impl Default for Lock {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(5) }
    }
}
