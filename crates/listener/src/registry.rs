//! Every open connection, so that the sweeper finds it and a drain knows when the last one is gone.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::pulse::{Draining, Pulse, Tick};

const SHARDS: usize = 16;

/// Locked when a connection opens or closes and for a sweep, never per request.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    shards: [Mutex<HashMap<u64, Arc<Pulse>>>; SHARDS],
    next: AtomicU64,
    /// Open connections and accept loops.
    held: AtomicUsize,
    connections: AtomicUsize,
    released: Notify,
}

impl Registry {
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Whether there is no connection, and nobody who could accept one.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.load(Ordering::Acquire) == 0
    }

    /// Waits for that.
    pub(crate) async fn emptied(&self) {
        loop {
            let released = self.released.notified();
            if self.is_empty() {
                return;
            }
            released.await;
        }
    }

    /// Keeps the registry from being empty.
    pub(crate) fn hold(&self) {
        self.held.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn release(&self) {
        if self.held.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.released.notify_waiters();
        }
    }

    /// Adds a connection; returns the number it is to be removed by.
    pub(crate) fn insert(&self, pulse: Arc<Pulse>) -> u64 {
        self.hold();
        self.connections.fetch_add(1, Ordering::Relaxed);
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.shard(id).lock().insert(id, pulse);
        id
    }

    pub(crate) fn remove(&self, id: u64) {
        // Dropped after the lock is released.
        let _pulse = self.shard(id).lock().remove(&id);
        self.connections.fetch_sub(1, Ordering::Relaxed);
        self.release();
    }

    fn shard(&self, id: u64) -> &Mutex<HashMap<u64, Arc<Pulse>>> {
        #[expect(clippy::indexing_slicing, reason = "the remainder is below SHARDS")]
        &self.shards[id as usize % SHARDS]
    }

    /// Ends the connections that waited too long.
    pub(crate) fn sweep(&self, draining: Draining) {
        let now = Tick::now();
        for shard in &self.shards {
            // Acted on after the lock is released: waking a task may drop it, which removes its connection.
            let late: Vec<_> = {
                let shard = shard.lock();
                let late = |pulse: &Arc<Pulse>| Some((pulse.clone(), pulse.verdict(now, draining)?));
                shard.values().filter_map(late).collect()
            };
            for (pulse, verdict) in late {
                pulse.act(verdict);
            }
        }
    }

    /// Every open connection.
    pub(crate) fn all(&self) -> Vec<Arc<Pulse>> {
        self.shards.iter().flat_map(|shard| shard.lock().values().cloned().collect::<Vec<_>>()).collect()
    }
}
