//! What the section says, and what one route asks of the plugin.

mod amount;
mod ban;
mod cost;
mod limit;
pub(crate) mod limits;
mod network;
mod per;
mod store;
mod text;
mod zone;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

pub use amount::{Amount, Period, Quota};
pub use ban::Ban;
pub use cost::{Cost, CostBy};
pub use limit::{Algorithm, Limit, Missing, Mode};
pub use network::Network;
pub use per::{ClaimName, Joined, Per, Source};
pub use store::{Consistency, Lease, Memory, OnStoreError, StoreName};
pub use zone::Zone;

use text::given;

/// What all routes share: where limits are counted, and limits that several routes count together.
///
/// ```yaml
/// ratelimit:
///   store: shared
///   exempt: ["10.0.0.0/8"]
///   ban: { status: [401, 403], count: 20, window: 10m, for: 1h }
///   limits: { general: { rate: 100/15m, per: client } }
///   default: { use: [general] }
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "RateLimit")]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where limits are counted: `memory` for this gateway alone, or the name of a store under `stores:` for all
    /// gateways that use it. Default: `memory`.
    pub store: StoreName,
    /// How exact a shared store counts: `strict`, or `{ leased: { batch: 1%, for: 1s } }`. Default: `strict`.
    pub consistency: Consistency,
    /// What happens to requests while the store is lost: `allow`, `deny` or `local`. Default: `local`.
    pub on_store_error: OnStoreError,
    /// What the names of the plugin's keys in a shared store begin with. Gateways that are to count together have the
    /// same. Default: `rl:`.
    pub prefix: String,
    /// The store in memory.
    pub memory: Memory,
    /// The fields by which clients are told what is left: `ietf`, `draft-03`, `x-ratelimit` or `none`. Default: `ietf`.
    pub fields: FieldStyle,
    /// How much of a client's address counts. Default: all of an IPv4 address, 64 bits of an IPv6 address.
    pub client: ClientPrefix,
    /// Clients that no limit of any route holds for. Default: none.
    pub exempt: Vec<Network>,
    /// When clients are shut out for a time. Default: never.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Ban")]
    pub ban: Option<Ban>,
    /// Limits by name. Routes that say `use: [<name>]` count together. Default: none.
    pub limits: BTreeMap<String, Limit>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store: StoreName::Memory,
            consistency: Consistency::Strict,
            on_store_error: OnStoreError::Local,
            prefix: "rl:".to_owned(),
            memory: Memory::default(),
            fields: FieldStyle::Ietf,
            client: ClientPrefix::default(),
            exempt: Vec::new(),
            ban: None,
            limits: BTreeMap::new(),
        }
    }
}

/// The limits of one route. A request must pass all of them; one that any refuses is taken from none.
///
/// ```yaml
/// ratelimit:
///   use: [general]
///   limits:
///     - { rate: 5/15m, algorithm: fixed_window, per: client }
///     - { algorithm: concurrency, limit: 50, per: route }
/// ```
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(rename = "RateLimitPolicy")]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Limits of the section that hold here too, counted together with the other routes that use them. Default: none.
    #[serde(rename = "use")]
    pub shared: Vec<String>,
    /// Limits of this route alone. Default: none.
    pub limits: Vec<Limit>,
    /// Clients that this route's limits don't hold for, beside those of the section's `exempt`. Default: none.
    pub exempt: Vec<Network>,
    /// Where this route's limits are counted. Default: what the section says.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "StoreName")]
    pub store: Option<StoreName>,
    /// What happens to this route's requests while the store is lost. Default: what the section says.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "OnStoreError")]
    pub on_store_error: Option<OnStoreError>,
    /// The fields by which this route's clients are told what is left. Default: what the section says.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "FieldStyle")]
    pub fields: Option<FieldStyle>,
}

/// The fields by which a client is told what is left, on answers and refusals alike. They speak of the limit of which
/// the least is left; the upstream's own fields of these names are removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum FieldStyle {
    /// `RateLimit` and `RateLimit-Policy`, structured fields (draft-ietf-httpapi-ratelimit-headers-11).
    #[default]
    #[serde(rename = "ietf")]
    Ietf,
    /// `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset` in seconds, as in an earlier draft.
    #[serde(rename = "draft-03")]
    Draft03,
    /// The same with `X-` in front, as many had it before.
    #[serde(rename = "x-ratelimit")]
    XRateLimit,
    /// None; the upstream's stay as they are. `Retry-After` is sent all the same.
    #[serde(rename = "none")]
    None,
}

/// How many bits of a client's address count: clients of one network share a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClientPrefix {
    /// Of an IPv4 address, 1 to 32. Default: 32.
    pub ipv4: u8,
    /// Of an IPv6 address, 1 to 128: providers give a customer 64 bits or more to choose from. Default: 64.
    pub ipv6: u8,
}

impl Default for ClientPrefix {
    fn default() -> Self {
        Self { ipv4: 32, ipv6: 64 }
    }
}
