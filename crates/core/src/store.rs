//! Stores that several gateways share.

use std::collections::BTreeMap;
use std::sync::Arc;

use deadpool_redis::redis::{Cmd, FromRedisValue, RedisError};
use deadpool_redis::{Connection, Pool, Runtime};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::{ConfigError, ConfigErrors, ConfigPath, Duration, Secret};

/// One entry of `stores:`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// The Redis server: `redis://[user:password@]host[:port][/database]`. Keep the password out of the file:
    /// `redis://:${REDIS_PASSWORD}@redis.internal`.
    pub redis: Secret,
    /// How long one command may take, connecting included, before the store counts as lost. Default `50ms`.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
    /// How many connections are kept at most. Default 16.
    #[serde(default = "default_pool")]
    pub connections: u32,
}

fn default_timeout() -> Duration {
    Duration::from_millis(50)
}

fn default_pool() -> u32 {
    16
}

/// A store that didn't do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It took longer than its `timeout`.
    #[error("store {store} did not answer within {timeout}")]
    Timeout {
        /// Its name under `stores:`.
        store: Arc<str>,
        /// Its `timeout`.
        timeout: Duration,
    },
    /// No connection could be had.
    #[error("store {store} can't be reached")]
    Unreachable {
        /// Its name under `stores:`.
        store: Arc<str>,
        /// Why.
        #[source]
        cause: deadpool_redis::PoolError,
    },
    /// It answered with an error.
    #[error("store {store} refused a command")]
    Refused {
        /// Its name under `stores:`.
        store: Arc<str>,
        /// What it said.
        #[source]
        cause: RedisError,
    },
}

/// A Redis server under `stores:`. Cheap to clone; connections are pooled, and every use has a deadline.
#[derive(Clone)]
pub struct Redis {
    name: Arc<str>,
    pool: Pool,
    timeout: Duration,
}

impl Redis {
    /// Runs one command.
    pub async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.run(async |connection| command.query_async(connection).await).await
    }

    /// Runs `work` on a pooled connection; all of it within the store's `timeout`.
    pub async fn run<T>(
        &self,
        work: impl AsyncFnOnce(&mut Connection) -> Result<T, RedisError>,
    ) -> Result<T, StoreError> {
        let work = async {
            let mut connection = self.pool.get().await.map_err(|cause| self.unreachable(cause))?;
            work(&mut connection).await.map_err(|cause| StoreError::Refused { store: self.name.clone(), cause })
        };
        let late = |_| StoreError::Timeout { store: self.name.clone(), timeout: self.timeout };
        tokio::time::timeout(self.timeout.get(), work).await.map_err(late)?
    }

    /// Its name under `stores:`.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn unreachable(&self, cause: deadpool_redis::PoolError) -> StoreError {
        StoreError::Unreachable { store: self.name.clone(), cause }
    }
}

/// The address may hold a password: only the name is printed.
impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redis({})", self.name)
    }
}

/// All of `stores:`.
#[derive(Debug, Clone, Default)]
pub struct Stores(BTreeMap<String, Redis>);

impl Stores {
    /// Opens a pool for each; connects to none yet. Errors carry paths relative to `stores`.
    pub fn open(configs: &BTreeMap<String, StoreConfig>) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let mut stores = BTreeMap::new();
        for (name, config) in configs {
            match open(name, config) {
                Ok(store) => drop(stores.insert(name.clone(), store)),
                Err(error) => errors.push(error.under(&ConfigPath::root().key(name))),
            }
        }
        errors.into_result(Self(stores))
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

fn open(name: &str, config: &StoreConfig) -> Result<Redis, ConfigError> {
    if config.connections == 0 {
        return Err(ConfigError::at("connections", "a store needs at least one connection"));
    }
    let mut pool = deadpool_redis::Config::from_url(config.redis.expose());
    pool.pool = Some(deadpool_redis::PoolConfig::new(config.connections as usize));
    let pool = pool.create_pool(Some(Runtime::Tokio1)).map_err(|_| {
        // The cause would quote the address, and with it the password.
        ConfigError::at("redis", "not a Redis address").help("write it as redis://host:port/database")
    })?;
    Ok(Redis { name: name.into(), pool, timeout: config.timeout })
}
