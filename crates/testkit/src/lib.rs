#![doc = include_str!("../README.md")]

#[cfg(feature = "alloc")]
mod alloc;
mod answer;
mod cache_suite;
mod call;
mod certs;
mod client;
mod clock;
#[cfg(feature = "alloc")]
pub mod conformance;
mod fields;
mod gateway;
mod identity_provider;
mod io;
mod load;
mod metrics;
mod name_server;
mod packages;
mod pattern;
mod process;
mod proxy;
mod redis;
mod request;
mod routes;
mod upstream;
mod wait;

#[cfg(feature = "alloc")]
pub use alloc::{CountingAllocator, allocations, counting_allocator};
pub use answer::{Answer, Interim};
pub use cache_suite::{CacheSuite, Kind, Outcome, Tested, cache_suite};
pub use call::{Call, call};
pub use certs::{Certs, Leaf, certs};
pub use client::{Client, Download, Exchange, H2Client, Incoming, tls_exchange};
pub use clock::{ManualClock, manual_clock};
pub use fields::Fields;
pub use gateway::{GatewayBuilder, TestGateway, gateway};
pub use identity_provider::{IdentityProvider, TokenForm, TokenRequest, identity_provider};
pub use io::{BoxIo, Io};
pub use load::{Load, Tally, load};
pub use metrics::{Metrics, Series};
pub use name_server::{NameServer, Srv, name_server};
pub use pattern::{PatternCheck, pattern};
pub use process::{Program, ProgramBuilder, Signal, free_port, program};
pub use proxy::{SlowProxy, slow_proxy};
pub use redis::{Redis, RedisCluster, RedisSentinel, redis, redis_cluster, redis_sentinel};
pub use request::{Http, RawAnswer, Request};
pub use routes::Routes;
pub use upstream::{
    Events, Gate, Recorded, Refusing, Script, Upstream, UpstreamBuilder, events, gate, refusing, upstream,
};
pub use wait::{DEADLINE, wait_until, wait_until_async, within};
