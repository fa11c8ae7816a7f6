//! One line for many faults.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tidegate_core::Clock;

/// At most one line in this time.
const EVERY: Duration = Duration::from_secs(10);

/// Says when a fault is worth a line.
#[derive(Default)]
pub(super) struct Quiet(Mutex<(Option<Instant>, u64)>);

impl Quiet {
    /// How many were kept quiet since the last line, if it is time for another.
    pub(super) fn is_due(&self, clock: &Clock) -> Option<u64> {
        let now = clock.now();
        let mut state = self.0.lock();
        if state.0.is_some_and(|last| now.saturating_duration_since(last) < EVERY) {
            state.1 += 1;
            return None;
        }
        state.0 = Some(now);
        Some(std::mem::take(&mut state.1))
    }
}
