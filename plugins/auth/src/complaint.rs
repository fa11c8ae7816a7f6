//! Failures in the log: some of them, and how many there were.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tidegate_core::Clock;

use crate::verdict::Failure;

/// One line in this time, however many requests fail.
const EVERY: Duration = Duration::from_secs(1);

/// Writes down why requests can't be checked, once a second.
pub(crate) struct Complaints {
    clock: Clock,
    began: Instant,
    /// When the next may be written, in milliseconds since the beginning.
    next: AtomicU64,
    held_back: AtomicU64,
}

impl Complaints {
    pub(crate) fn new(clock: &Clock) -> Self {
        let began = clock.now();
        Self { clock: clock.clone(), began, next: AtomicU64::new(0), held_back: AtomicU64::new(0) }
    }

    pub(crate) fn of(&self, failure: &Failure, request_id: &str) {
        if let Some(more) = self.due() {
            let Failure { code, detail } = failure;
            log::warn!(request_id, code, cause:% = detail, more; "a request can't be checked");
        }
    }

    /// Whether one may be written now, and how many were not since the last.
    pub(crate) fn due(&self) -> Option<u64> {
        let passed = self.clock.now().saturating_duration_since(self.began);
        let now = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        let next = self.next.load(Relaxed);
        let then = now.saturating_add(EVERY.as_millis() as u64);
        let mine = now >= next && self.next.compare_exchange(next, then, Relaxed, Relaxed).is_ok();
        if !mine {
            self.held_back.fetch_add(1, Relaxed);
            return None;
        }
        Some(self.held_back.swap(0, Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use tidegate_testkit::manual_clock;

    use super::*;

    #[test]
    fn one_a_second_is_written_and_the_others_are_counted() {
        let clock = manual_clock();
        let complaints = Complaints::new(&Clock::new(clock.clone()));
        let said: Vec<_> = (0..100).filter_map(|_| complaints.due()).collect();
        assert_eq!(said, [0]);
        clock.advance(EVERY - Duration::from_millis(1));
        assert_eq!(complaints.due(), None);
        clock.advance(Duration::from_millis(1));
        assert_eq!(complaints.due(), Some(100));
    }
}
