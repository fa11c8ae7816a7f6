//! What can go wrong with a store.

use std::sync::Arc;

use deadpool_redis::redis::RedisError;

use crate::config::Duration;

/// A store that didn't do what it was asked to.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It took longer than its `timeout`. What was sent may still be done.
    #[error("store {store} did not answer within {timeout}")]
    Timeout {
        /// Its name under `stores:`.
        store: Arc<str>,
        /// Its `timeout`.
        timeout: Duration,
    },
    /// There is no connection, or it broke. What was sent may have been done.
    #[error("store {store} can't be reached")]
    Unreachable {
        /// Its name under `stores:`.
        store: Arc<str>,
        /// Why.
        #[source]
        cause: RedisError,
    },
    /// It was lost before, and the probe in the background has not found it back. Nothing was sent or waited for.
    #[error("store {store} is down")]
    Down {
        /// Its name under `stores:`.
        store: Arc<str>,
    },
    /// It answered with an error, or with what was not expected.
    #[error("store {store} refused a command")]
    Refused {
        /// Its name under `stores:`.
        store: Arc<str>,
        /// What it said.
        #[source]
        cause: RedisError,
    },
}

impl StoreError {
    /// Which of them, as metrics say it: `timeout`, `unreachable`, `down` or `refused`.
    pub fn kind(&self) -> &'static str {
        match self {
            StoreError::Timeout { .. } => "timeout",
            StoreError::Unreachable { .. } => "unreachable",
            StoreError::Down { .. } => "down",
            StoreError::Refused { .. } => "refused",
        }
    }
}
