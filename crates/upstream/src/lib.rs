#![doc = include_str!("../README.md")]

mod address;
mod balance;
mod check;
mod config;
mod dns;
mod live;
mod names;
mod peer;
mod pick;
mod pool;
mod refresh;
mod snapshot;
mod tls;
mod ttl;
mod turns;
mod upstreams;

pub use config::{
    AddressFamily, Algorithm, ClientCertificate, H2, HostHeader, Protocol, ResolveConfig, TargetConfig, TcpKeepalive,
    Timeouts, TlsConfig, TlsVersion, UpstreamConfig, Verify,
};
pub use pick::{Pick, Picked, TargetId, TlsTooOld};
pub use pool::Pool;
pub use snapshot::{PoolSnapshot, TargetSnapshot};
pub use upstreams::{Task, Upstreams};
