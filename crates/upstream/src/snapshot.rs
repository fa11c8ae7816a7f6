//! What an operator may know of a pool.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::config::{Algorithm, Protocol};
use crate::pool::Pool;

/// A pool at one moment, for the admin listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolSnapshot {
    /// The upstream's name.
    pub name: String,
    /// How targets are chosen.
    pub lb: Algorithm,
    /// What is spoken to them.
    pub protocol: Protocol,
    /// Whether it is spoken over TLS.
    pub tls: bool,
    /// The targets, in the order of the configuration.
    pub targets: Vec<TargetSnapshot>,
}

/// A target at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetSnapshot {
    /// The target as configured.
    pub target: String,
    /// Its share, relative to the others'.
    pub weight: u32,
    /// The addresses that requests go to at this moment; none for a name that was never resolved.
    pub addresses: Vec<String>,
    /// When its name was last resolved, in seconds since 1970; absent for addresses and sockets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<u64>,
    /// Why the last resolution failed, if it did; `addresses` are then those of the last that didn't.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

impl Pool {
    /// What the pool knows and does at this moment.
    pub fn snapshot(&self) -> PoolSnapshot {
        PoolSnapshot {
            name: self.name.to_string(),
            lb: self.config.lb,
            protocol: self.config.protocol,
            tls: self.config.tls.is_some(),
            targets: (0..self.targets.len()).filter_map(|index| self.target_snapshot(index)).collect(),
        }
    }

    fn target_snapshot(&self, index: usize) -> Option<TargetSnapshot> {
        let target = self.targets.get(index)?;
        let names = self.names.lock();
        let state = names.get(index).and_then(Option::as_ref);
        Some(TargetSnapshot {
            target: target.name.to_string(),
            weight: target.weight,
            addresses: self.live().of(index).map(|live| live.address.to_string()).collect(),
            resolved_at: state.and_then(|state| state.resolved_at).map(unix_seconds),
            failure: state.and_then(|state| state.failure.as_ref()).map(ToString::to_string),
        })
    }
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
