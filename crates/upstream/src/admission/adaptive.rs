//! Gathers how long answers take, window by window, for the limit that adapts.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::gradient::Gradient;
use super::nanos;
use crate::config;

/// A window lasts at least this long, or twice the time of an answer, but no longer than `LONGEST`; in nanoseconds.
const SHORTEST: u64 = 100_000_000;
const LONGEST: u64 = 1_000_000_000;
/// And has so many answers: fewer say little.
const ANSWERS: u32 = 10;

/// What answers took in the present window. Requests add to it without a lock; the one that ends a window works out
/// the new limit, while the others go on.
#[derive(Debug)]
pub(super) struct Adaptive {
    sum: AtomicU64,
    answers: AtomicU32,
    busiest: AtomicU32,
    /// When the window may end.
    due: AtomicU64,
    gradient: Mutex<Gradient>,
}

impl Adaptive {
    pub(super) fn new(config: &config::Adaptive) -> Self {
        Self {
            sum: AtomicU64::new(0),
            answers: AtomicU32::new(0),
            busiest: AtomicU32::new(0),
            due: AtomicU64::new(0),
            gradient: Mutex::new(Gradient::new(config)),
        }
    }

    pub(super) fn limit(&self) -> u32 {
        self.gradient.lock().limit()
    }

    /// An answer took `took`, with `in_flight` requests under way. Says what the limit is now if that ended a window.
    pub(super) fn heard(&self, took: Duration, in_flight: u32, now: u64) -> Option<u32> {
        let _ = self.due.compare_exchange(0, now + SHORTEST, Ordering::Relaxed, Ordering::Relaxed);
        self.sum.fetch_add(nanos(took), Ordering::Relaxed);
        self.busiest.fetch_max(in_flight, Ordering::Relaxed);
        let answers = self.answers.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        match answers >= ANSWERS && now >= self.due.load(Ordering::Relaxed) {
            true => self.end_window(now),
            false => None,
        }
    }

    fn end_window(&self, now: u64) -> Option<u32> {
        let mut gradient = self.gradient.try_lock()?;
        let answers = self.answers.swap(0, Ordering::Relaxed);
        if answers == 0 {
            // Somebody else has just ended it.
            return None;
        }
        // What is added between these lines counts for one window or the next.
        let took = self.sum.swap(0, Ordering::Relaxed) / u64::from(answers);
        let busiest = self.busiest.swap(0, Ordering::Relaxed);
        self.due.store(now + took.saturating_mul(2).clamp(SHORTEST, LONGEST), Ordering::Relaxed);
        gradient.learn(took as f64, busiest);
        Some(gradient.limit())
    }
}
