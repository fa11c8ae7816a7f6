//! One limit.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::{Duration, Rate};

use super::text::given;
use super::{Amount, ClaimName, Cost, Per, Quota, Zone};

/// One limit: how much, and by what it is counted.
///
/// ```yaml
/// limits:
///   - { name: burst, algorithm: token_bucket, capacity: 100, refill: 10/s, per: client, cost: 1 }
///   - { rate: 5/15m, algorithm: fixed_window, per: client }
///   - { algorithm: concurrency, limit: 50, per: route }
///   - { quota: 10000/month, time_zone: Europe/Berlin, per: identity+param.project }
///   - { per: [identity, client], plans: { free: 10/m, pro: 1000/m }, plan: claim.plan, otherwise: free }
///   - { rate: 100/s, delay: 500ms, per: header.X-Tenant, mode: shadow }
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// By what it counts: `client`, `identity`, `api_key` (the field `X-API-Key`), `header.<name>`, `cookie.<name>`,
    /// `query.<name>`, `param.<name>`, `claim.<name>`, `route`, `host` or `country`; several joined by `+`, of which
    /// the request must have all; or a list, of which the first that the request has counts. A limit that needs the
    /// identity runs after authentication, all others before it. A field, cookie or query parameter that is there
    /// with two values counts as missing: the upstream might take the other one. Who may choose such a value freely
    /// chooses a fresh counter with it: put a limit `per: client` beside one by a value that nobody has checked.
    pub per: Per,
    /// What the client and the operator know it by: letters, digits, `.`, `_`, `-` and `+`, at most 64. A limit that is
    /// renamed begins to count anew. Default: the first key of `per`.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "String")]
    pub name: Option<String>,
    /// How it counts: `token_bucket`, `sliding_window`, `fixed_window`, `leaky_bucket` or `concurrency`. Default:
    /// `token_bucket`; a limit with a `quota` counts by the calendar and has no algorithm.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Algorithm")]
    pub algorithm: Option<Algorithm>,
    /// So many in a time: `100/15m`. For a `token_bucket` it is both: a capacity of 100, refilled with 100 in 15
    /// minutes.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Rate")]
    pub rate: Option<Rate>,
    /// `token_bucket`, instead of `rate`: how many at once.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "u64")]
    pub capacity: Option<u64>,
    /// `token_bucket`, with `capacity`: how fast it fills again.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Rate")]
    pub refill: Option<Rate>,
    /// `leaky_bucket`: how many may wait for their turn; one more is refused. None waits longer than 5m.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "u64")]
    pub queue: Option<u64>,
    /// `concurrency`: how many at the same time.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "u64")]
    pub limit: Option<u64>,
    /// So many in each day, week (from Monday) or month of the calendar, in place of `rate`: `10000/month`.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Quota")]
    pub quota: Option<Quota>,
    /// Where the day, week or month of a `quota` begins: a name of the IANA database. Default: `UTC`.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Zone")]
    pub time_zone: Option<Zone>,
    /// `token_bucket`: up to so long a request is held back until its tokens are there, instead of refused. At most
    /// 5m. Default: none is held back.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Duration")]
    pub delay: Option<Duration>,
    /// The rate, or quota, of each plan, in place of `rate`: `{ free: 10/m, pro: 1000/m }`.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "BTreeMap<String, Amount>")]
    pub plans: Option<BTreeMap<String, Amount>>,
    /// With `plans`: the claim that names the plan.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "ClaimName")]
    pub plan: Option<ClaimName>,
    /// With `plans`: the plan of who has no such claim, or one that names no plan.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "String")]
    pub otherwise: Option<String>,
    /// The claim that holds the rate itself, as `100/15m`. `rate` is for who has no such claim, or one that is no
    /// rate.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "ClaimName")]
    pub rate_from: Option<ClaimName>,
    /// With `rate_from`: the fastest rate that a claim can give.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Rate")]
    pub at_most: Option<Rate>,
    /// What happens when the request has none of the keys: `client` counts it by the client's address, so that nobody
    /// escapes by leaving the key out; `skip` lets it pass this limit; `refuse` answers 400. Default: `client`.
    #[serde(default)]
    pub missing: Missing,
    /// How much one request takes: a number, or a map: `{ method: … }`, `{ body: 1KiB }`, `{ response_header: X-Cost,
    /// at_most: 1000 }`. Default: 1.
    #[serde(default)]
    pub cost: Cost,
    /// `shadow` counts, logs and shows in metrics what it would have refused, and lets it pass; clients hear nothing
    /// of it. Default: `enforce`.
    #[serde(default)]
    pub mode: Mode,
}

/// How a limit counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// Tokens that come back at a steady rate: bursts up to the capacity, and the rate in the long run. Exact, in a
    /// few bytes per key.
    #[default]
    TokenBucket,
    /// At most so many in any span of this length. Exact; remembers every request, so at most 10,000.
    SlidingWindow,
    /// So many from a key's first request on, and a new window with the next request after it. Around the end of a
    /// window, twice as many can come in a short time.
    FixedWindow,
    /// One after the other at an even pace; requests wait for their turn, up to `queue` of them.
    LeakyBucket,
    /// So many at the same time.
    Concurrency,
}

impl Algorithm {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TokenBucket => "token_bucket",
            Self::SlidingWindow => "sliding_window",
            Self::FixedWindow => "fixed_window",
            Self::LeakyBucket => "leaky_bucket",
            Self::Concurrency => "concurrency",
        }
    }
}

/// A request that has none of a limit's keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// Is counted by the client's address.
    #[default]
    Client,
    /// Passes this limit.
    Skip,
    /// Is answered 400.
    Refuse,
}

/// Whether a limit holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It does.
    #[default]
    Enforce,
    /// It only counts.
    Shadow,
}
