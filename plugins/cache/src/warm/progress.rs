//! How far a run has got.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};

/// One run, or the last.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    running: AtomicBool,
    total: AtomicU64,
    done: AtomicU64,
    failed: AtomicU64,
}

/// A run; its end is noted however it ends.
pub(crate) struct Run(Arc<Progress>);

impl Progress {
    /// A run begins; `None` while there is one.
    pub(crate) fn begin(self: &Arc<Self>) -> Option<Run> {
        if self.running.swap(true, Ordering::AcqRel) {
            return None;
        }
        for counter in [&self.total, &self.done, &self.failed] {
            counter.store(0, Ordering::Relaxed);
        }
        Some(Run(self.clone()))
    }

    /// Whether there is a run.
    pub(crate) fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    /// As JSON.
    pub(crate) fn listed(&self) -> Value {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        json!({
            "running": self.is_running(),
            "requests": get(&self.total),
            "done": get(&self.done),
            "failed": get(&self.failed),
        })
    }
}

impl Run {
    /// How many requests it has.
    pub(super) fn expect(&self, total: usize) {
        self.0.total.store(total as u64, Ordering::Relaxed);
    }

    /// One request is over. Returns how many are.
    pub(super) fn count(&self, good: bool) -> u64 {
        if !good {
            self.0.failed.fetch_add(1, Ordering::Relaxed);
        }
        self.0.done.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn failed(&self) -> u64 {
        self.0.failed.load(Ordering::Relaxed)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::Release);
    }
}
