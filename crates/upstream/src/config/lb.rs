//! `lb:`, `sticky:` and `slow_start:`: which target a request goes to.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Deserialize as DeserializeFields, Serialize};
use tidegate_core::config::{Duration, Percent, Secret};

/// How targets are chosen: the name of an algorithm, or a map with what it can be told.
#[derive(Debug, Clone, PartialEq, DeserializeFields, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LbFields {
    /// The rule by which one of the usable targets is chosen. Default: `round_robin`.
    pub algorithm: Algorithm,
    /// `least_request` and `peak_ewma`: how many targets are drawn by lot, of which the least loaded is taken.
    /// From 2 to 8. Default: 2.
    #[schemars(range(min = 2, max = 8))]
    pub choices: u8,
    /// `peak_ewma`: what a target that has never answered is taken to need. Default: 30ms.
    pub default_rtt: Duration,
    /// `peak_ewma`: how fast an old round-trip time is forgotten. Default: 10s.
    pub decay: Duration,
    /// `consistent_hash`: what requests of one user have in common, the first that a request has: `client`, `path`,
    /// `identity`, `header.<name>` or `cookie.<name>`. A request that has none goes by lot. Default: `[client]`.
    pub hash_on: Vec<String>,
    /// `consistent_hash`: how much more than its share of the requests in flight a target may have, before what
    /// belongs to it goes to the next one: 1.25 is a quarter more. From 1 to 10; 0 is no bound. Default: 1.25.
    pub bound: f64,
    /// Prefer targets in the gateway's own zone. Default: zones don't matter.
    #[serde(deserialize_with = "super::given")]
    #[schemars(with = "ZoneAware")]
    pub zone_aware: Option<ZoneAware>,
    /// When less than this share of the targets of the tier that serves is usable, the rest is likely not broken but
    /// misjudged: all are used, whatever their health. Default: `0%`, never; with no usable target the answer is 503.
    pub panic_threshold: Percent,
}

/// How targets are chosen.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Lb(LbFields);

impl std::ops::Deref for Lb {
    type Target = LbFields;

    fn deref(&self) -> &LbFields {
        &self.0
    }
}

impl From<LbFields> for Lb {
    fn from(fields: LbFields) -> Self {
        Self(fields)
    }
}

impl From<Algorithm> for Lb {
    fn from(algorithm: Algorithm) -> Self {
        Self(LbFields { algorithm, ..LbFields::default() })
    }
}

impl Default for LbFields {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::default(),
            choices: 2,
            default_rtt: Duration::from_millis(30),
            decay: Duration::from_secs(10),
            hash_on: vec!["client".to_owned()],
            bound: 1.25,
            zone_aware: None,
            panic_threshold: Percent::new(0),
        }
    }
}

/// The rule by which one of the usable targets is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, DeserializeFields, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// One after the other, each as often as its weight says, evenly spread (smooth weighted round robin, as nginx).
    #[default]
    RoundRobin,
    /// By lot, each as likely as its weight says.
    Random,
    /// Of `choices` targets drawn by lot the one with the fewest requests in flight for its weight (the power of two
    /// choices, Mitzenmacher 1996).
    LeastRequest,
    /// Of `choices` targets drawn by lot the one with the least expected time: requests in flight times a moving
    /// average of round-trip times that takes peaks at once (as linkerd and Finagle).
    PeakEwma,
    /// Each user on one target as long as it is usable (Maglev hashing, Eisenbud et al. 2016, with bounded loads,
    /// Mirrokni et al. 2018).
    ConsistentHash,
}

/// Prefer targets that are near.
#[derive(Debug, Clone, PartialEq, Eq, DeserializeFields, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ZoneAware {
    /// The zone that the gateway is in; `${ZONE}` takes it from the environment.
    pub local: String,
    /// As long as this share of the local zone's targets is usable, all requests stay in it. Below, they spill over
    /// to the other zones in proportion; with none usable, all of them do. Default: `50%`.
    #[serde(default = "half")]
    pub min_local: Percent,
}

fn half() -> Percent {
    Percent::new(50)
}

/// A cookie that keeps a browser on the target of its first answer, for as long as that target is usable and across
/// its restarts.
#[derive(Debug, Clone, PartialEq, Eq, DeserializeFields, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sticky {
    /// The cookie's name. Default: `tidegate_target`.
    #[serde(default = "cookie_name")]
    pub cookie: String,
    /// What the cookie is signed with (HMAC-SHA-256), so that nobody can choose a target; at least 16 bytes, the same
    /// on every gateway. The target's address can't be read from the cookie.
    pub secret: Secret,
    /// How long browsers keep it (`Max-Age`). Default: until they are closed.
    #[serde(default)]
    pub ttl: Option<Duration>,
    /// Sent back over TLS only (`Secure`). Default: true.
    #[serde(default = "yes")]
    pub secure: bool,
    /// Sent along from other sites: `lax`, `strict` or `none`. Default: `lax`.
    #[serde(default)]
    pub same_site: SameSite,
}

/// Whether a cookie comes along with requests from other sites (RFC 6265bis).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, DeserializeFields, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SameSite {
    /// With links only.
    #[default]
    Lax,
    /// Never.
    Strict,
    /// Always; needs `secure`.
    None,
}

fn cookie_name() -> String {
    "tidegate_target".to_owned()
}

fn yes() -> bool {
    true
}

impl<'de> Deserialize<'de> for Lb {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LbVisitor)
    }
}

struct LbVisitor;

impl<'de> Visitor<'de> for LbVisitor {
    type Value = Lb;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of an algorithm, or { algorithm, ... }")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Lb, E> {
        Algorithm::deserialize(StrDeserializer::new(name)).map(Lb::from)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Lb, A::Error> {
        LbFields::deserialize(MapAccessDeserializer::new(map)).map(Lb)
    }
}

impl JsonSchema for Lb {
    fn schema_name() -> Cow<'static, str> {
        "Lb".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "How targets are chosen: the name of an algorithm, or a map with what it can be told.",
            "anyOf": [generator.subschema_for::<Algorithm>(), generator.subschema_for::<LbFields>()],
        })
    }
}
