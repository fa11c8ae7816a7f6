//! Stores that several gateways share: Redis servers, clusters, and servers behind sentinels.
//!
//! Commands of all requests share a few multiplexed connections, so one command is one round trip and a connection is
//! never waited for. A server that is lost is left alone: [`StoreError::Down`] is returned at once, without a word on
//! the network, until one probe in the background has found it back.

mod cluster;
mod config;
mod connect;
mod error;
mod finder;
mod map;
mod node;
mod redis;
mod script;
mod search;
mod series;

use std::collections::BTreeMap;

pub use config::{SentinelConfig, StoreConfig};
pub use error::StoreError;
pub use redis::Redis;
pub use script::Script;

use crate::Metrics;
use crate::config::{ConfigError, ConfigErrors, ConfigPath};

/// All of `stores:`.
#[derive(Debug, Clone, Default)]
pub struct Stores(BTreeMap<String, Redis>);

impl Stores {
    /// Opens each; connects to none yet. One that is configured as it was in `before` is the same store, with its
    /// connections and what is known about it. Errors carry paths relative to `stores`.
    pub fn open(
        configs: &BTreeMap<String, StoreConfig>,
        metrics: &Metrics,
        before: Option<&Stores>,
    ) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let mut stores = BTreeMap::new();
        for (name, config) in configs {
            let old = before.and_then(|before| before.redis(name));
            let kept = old.filter(|old| old.is_configured_as(config)).cloned();
            match kept.map_or_else(|| Redis::open(name, config, metrics, old), Ok) {
                Ok(store) => drop(stores.insert(name.clone(), store)),
                Err(error) => errors.push(error.under(&ConfigPath::root().key(name))),
            }
        }
        errors.into_result(Self(stores))
    }

    /// The store called `name`. The error carries no path yet: put it under that of the field that named the store.
    pub fn named(&self, name: &str) -> Result<Redis, ConfigError> {
        self.redis(name).cloned().ok_or_else(|| {
            let known: Vec<_> = self.names().collect();
            let help = match known.is_empty() {
                true => format!("add it: stores: {{ {name}: {{ redis: \"redis://127.0.0.1:6379\" }} }}"),
                false => format!("stores has: {}", known.join(", ")),
            };
            ConfigError::at("", format!("no store is called `{name}`")).help(help)
        })
    }

    /// The store called `name`.
    pub fn redis(&self, name: &str) -> Option<&Redis> {
        self.0.get(name)
    }

    /// The names of all.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}
