//! When a name is to be asked for again. Pure: durations in, durations out.

use std::time::Duration;

/// The shortest and the longest time between two questions for one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schedule {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
}

/// A failing name server is asked again after this long at first, and never less often than [`SLOWEST_RETRY`].
const FIRST_RETRY: Duration = Duration::from_secs(1);
const SLOWEST_RETRY: Duration = Duration::from_secs(30);

/// The next question is asked this share of the TTL early, so that the new answer is there when the old one ends.
const LEAD_SHARE: u32 = 10;
const LONGEST_LEAD: Duration = Duration::from_secs(5);

impl Schedule {
    /// For what has no times of its own.
    pub(crate) const RETRIES: Self = Self { min: FIRST_RETRY, max: SLOWEST_RETRY };

    /// How long to wait after an answer that may be kept for `ttl`.
    pub(crate) fn after_answer(self, ttl: Duration) -> Duration {
        let keep = ttl.clamp(self.min, self.max);
        let lead = (keep / LEAD_SHARE).min(LONGEST_LEAD);
        keep.saturating_sub(lead).max(self.min)
    }

    /// How long to wait after the `failures`-th failure in a row (1 is the first): doubling.
    pub(crate) fn after_failure(self, failures: u32) -> Duration {
        let slowest = SLOWEST_RETRY.min(self.max);
        let first = FIRST_RETRY.min(self.min).min(slowest);
        let doublings = failures.saturating_sub(1).min(16);
        first.saturating_mul(1 << doublings).min(slowest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);
    const DEFAULT: Schedule = Schedule { min: Duration::from_secs(5), max: Duration::from_secs(300) };

    #[test]
    fn an_answer_is_refreshed_shortly_before_its_ttl_ends() {
        assert_eq!(DEFAULT.after_answer(60 * S), 55 * S);
        assert_eq!(DEFAULT.after_answer(20 * S), 18 * S);
    }

    #[test]
    fn a_ttl_below_the_minimum_is_raised_to_it() {
        assert_eq!(DEFAULT.after_answer(Duration::ZERO), 5 * S);
        assert_eq!(DEFAULT.after_answer(S), 5 * S);
    }

    #[test]
    fn a_ttl_above_the_maximum_is_cut_to_it() {
        assert_eq!(DEFAULT.after_answer(86_400 * S), 295 * S);
    }

    #[test]
    fn the_wait_is_never_longer_than_the_ttl_nor_shorter_than_the_minimum() {
        for seconds in 0..1_000 {
            let wait = DEFAULT.after_answer(seconds * S);
            assert!(wait >= DEFAULT.min, "ttl {seconds}s waits {wait:?}");
            assert!(wait <= (seconds * S).max(DEFAULT.min), "ttl {seconds}s waits {wait:?}");
        }
    }

    #[test]
    fn failures_back_off_from_one_second_to_thirty() {
        let waits: Vec<_> = (1..=8).map(|n| DEFAULT.after_failure(n).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(DEFAULT.after_failure(u32::MAX), 30 * S);
    }

    #[test]
    fn failures_are_retried_within_the_configured_bounds() {
        let quick = Schedule { min: Duration::from_millis(20), max: Duration::from_millis(50) };
        assert_eq!(quick.after_failure(1), quick.min);
        assert_eq!(quick.after_failure(9), quick.max);
    }
}
