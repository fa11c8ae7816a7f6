//! Stores against real Redis servers, clusters and sentinels that are killed, stopped and slowed.

mod breaker;
mod calls;
mod cluster;
mod config;
mod lifetime;
mod sentinel;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tidegate_core::config::ConfigErrors;
use tidegate_core::redis::{Cmd, cmd};
use tidegate_core::{Metrics, Redis, StoreConfig, StoreError, Stores};
use tidegate_testkit::wait_until_async;

/// Longer than any answer takes on a busy machine.
const LONG: Duration = Duration::from_secs(10);

fn ping() -> Cmd {
    cmd("PING")
}

async fn pong(store: &Redis) -> Result<String, StoreError> {
    store.command(&ping()).await
}

async fn until_it_answers(store: &Redis) {
    wait_until_async("the store answers", async || pong(store).await.is_ok()).await;
}

async fn until_it_is_down(store: &Redis) {
    wait_until_async("the store is down", async || matches!(pong(store).await, Err(StoreError::Down { .. }))).await;
}

fn configs(entry: Value) -> BTreeMap<String, StoreConfig> {
    BTreeMap::from([("shared".to_owned(), serde_json::from_value(entry).expect("a store's fields"))])
}

fn open(entry: Value, metrics: &Metrics, before: Option<&Stores>) -> Result<Stores, ConfigErrors> {
    Stores::open(&configs(entry), metrics, before)
}

fn shared(stores: &Stores) -> Redis {
    stores.redis("shared").expect("the store that was opened").clone()
}
