#![doc = include_str!("../README.md")]

mod address;
mod admission;
mod balance;
mod by_hand;
mod check;
mod client;
mod config;
mod discovery;
mod dns;
mod health;
mod life;
mod listing;
mod metrics;
mod names;
mod operator;
mod outlier;
mod peer;
mod pick;
mod pool;
mod refresh;
mod registry;
mod retry;
mod site;
mod snapshot;
mod state;
mod sticky;
mod succession;
mod target;
mod tls;
mod ttl;
mod upstreams;
mod view;
mod web;

pub use admission::{Admitted, Overloaded};
pub use balance::hash_on::{HashOn, hash_key};
#[doc(hidden)]
pub use by_hand::Seen;
pub use client::{Answer, Client, ClientError, Connected};
pub use config::{
    Adaptive, AddressFamily, Algorithm, Backoff, Breaker, Budget, ClientCertificate, Discovery, DiscoveryKind, Expect,
    H2, Health, HealthKind, HealthMethod, Hedge, HostHeader, LatencyOutlier, Lb, LbFields, Mirror, Outlier, PoolLimits,
    Protocol, ResolveConfig, Retry, RetryOn, SameSite, Sticky, SuccessRate, TargetConfig, TcpKeepalive, Timeouts,
    TlsConfig, TlsVersion, UpstreamConfig, Verify, ZoneAware,
};
pub use discovery::{Source, SourceError};
pub use metrics::Mirrored;
pub use pick::{Failure, NoTarget, Pick, Picked, TargetId, TlsTooOld, TryOutcome};
pub use pool::Pool;
pub use retry::{NoRetry, RetryPermit, Tried, Why};
pub use snapshot::{
    AddressSnapshot, BreakerSnapshot, CheckSnapshot, PoolSnapshot, SourceSnapshot, TargetSnapshot, TriesSnapshot,
};
pub use upstreams::{Task, Upstreams};
pub use web::{Trust, Web};
