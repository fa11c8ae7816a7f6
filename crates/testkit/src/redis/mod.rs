//! Real Redis servers.

mod cluster;
mod sentinel;
mod server;

use std::collections::BTreeMap;
use std::time::Duration;

use tidegate_core::redis::AsyncConnectionConfig;

use crate::DEADLINE;

pub use cluster::{RedisCluster, redis_cluster};
pub use sentinel::{RedisSentinel, redis_sentinel};
pub use server::{Redis, redis};

/// For the kit's own questions. What redis-rs waits for by itself, a second at most, a busy machine may take.
fn patient() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(Some(DEADLINE)).set_response_timeout(Some(DEADLINE))
}

/// The store that a `stores:` entry of these fields is. With a metrics registry of its own.
fn store(mut entry: serde_json::Value, timeout: Duration) -> tidegate_core::Redis {
    if let Some(entry) = entry.as_object_mut() {
        entry.insert("timeout".to_owned(), format!("{}ms", timeout.as_millis()).into());
    }
    let config = serde_json::from_value(entry).expect("a store's fields");
    let configs = BTreeMap::from([("shared".to_owned(), config)]);
    let stores = tidegate_core::Stores::open(&configs, &tidegate_core::Metrics::new(), None).expect("a good store");
    stores.redis("shared").expect("the one that was named").clone()
}
