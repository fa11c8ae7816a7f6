//! Leaving a service alone that doesn't answer.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Counts failures in a row. After some of them, one call in a while finds out whether the service is back, and all
/// others are spared the wait.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: AtomicU32,
    /// When the next call may be made, once it has come to that.
    next: Mutex<Option<Instant>>,
}

impl Breaker {
    /// How many calls in a row must fail.
    pub(super) const FAILURES: u32 = 5;
    /// How long it is from one attempt to the next.
    pub(super) const PAUSE: Duration = Duration::from_secs(1);

    /// Whether a call may be made now.
    pub(super) fn allows(&self, now: Instant) -> bool {
        if self.failures.load(Relaxed) < Self::FAILURES {
            return true;
        }
        let mut next = self.next.lock();
        let due = next.is_none_or(|next| now >= next);
        if due {
            *next = now.checked_add(Self::PAUSE);
        }
        due
    }

    /// The service answered; true if it had been left alone.
    pub(super) fn answered(&self) -> bool {
        // Nearly always zero: a load keeps the line in every core's cache.
        self.failures.load(Relaxed) > 0 && self.failures.swap(0, Relaxed) >= Self::FAILURES
    }

    /// It didn't; true if it is left alone from now on.
    pub(super) fn failed(&self, now: Instant) -> bool {
        let before = self.failures.fetch_update(Relaxed, Relaxed, |failures| Some(failures.saturating_add(1)));
        let failures = before.map_or(u32::MAX, |before| before.saturating_add(1));
        if failures >= Self::FAILURES {
            *self.next.lock() = now.checked_add(Self::PAUSE);
        }
        failures == Self::FAILURES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_failures_in_a_row_one_call_at_a_time_is_let_through() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for nth in 1..=Breaker::FAILURES {
            assert!(breaker.allows(now), "{nth}");
            assert_eq!(breaker.failed(now), nth == Breaker::FAILURES);
        }
        assert!(!breaker.allows(now));
        let later = now + Breaker::PAUSE;
        assert_eq!([breaker.allows(later), breaker.allows(later)], [true, false]);
        assert!(!breaker.failed(later), "known already");
        assert!(!breaker.allows(later));
        assert!(breaker.allows(later + Breaker::PAUSE));
        assert!(breaker.answered());
        assert!(breaker.allows(later) && breaker.allows(later));
    }

    #[test]
    fn an_answer_between_failures_begins_the_count_anew() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..100 {
            assert!(!breaker.failed(now));
            assert!(!breaker.answered());
        }
        assert!(breaker.allows(now));
    }
}
