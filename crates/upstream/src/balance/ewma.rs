//! Round-trip times as `peak_ewma` remembers them: an exponentially weighted moving average that takes peaks at once
//! and forgets them with time (as linkerd and Finagle).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::config::LbFields;

/// What is known of a target's round-trip time.
#[derive(Debug, Default)]
pub(crate) struct Ewma {
    /// In nanoseconds, as it was at `at`; 0: nothing was ever heard.
    estimate: AtomicU64,
    at: AtomicU64,
}

/// How round-trip times are reckoned with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RttSettings {
    /// Of a target that was never heard.
    default: f64,
    /// After this time an e-th of what was known is left.
    decay: f64,
}

impl RttSettings {
    pub(crate) fn new(lb: &LbFields) -> Self {
        let nanos = |duration: tidegate_core::config::Duration| Duration::from(duration).as_nanos().max(1) as f64;
        Self { default: nanos(lb.default_rtt), decay: nanos(lb.decay) }
    }

    fn left(&self, elapsed: u64) -> f64 {
        (-(elapsed as f64) / self.decay).exp()
    }
}

impl Ewma {
    /// How long an answer is expected to take, in nanoseconds. The less is heard, the less: so a target that was slow
    /// and is asked no more is tried again one day.
    pub(crate) fn expected(&self, settings: &RttSettings, now: u64) -> f64 {
        match self.estimate.load(Ordering::Relaxed) {
            0 => settings.default,
            estimate => {
                let elapsed = now.saturating_sub(self.at.load(Ordering::Relaxed));
                (estimate as f64 * settings.left(elapsed)).max(1.0)
            }
        }
    }

    /// An answer came within `took`.
    pub(crate) fn heard(&self, took: f64, settings: &RttSettings, now: u64) {
        // Whoever comes next has the time from here on: no moment counts twice, however many come at once.
        let before = self.at.swap(now, Ordering::Relaxed);
        let left = settings.left(now.saturating_sub(before));
        let learn = |estimate: u64| {
            let known = estimate as f64;
            let next = if estimate == 0 || took > known { took } else { known * left + took * (1.0 - left) };
            Some(next.max(1.0) as u64)
        };
        let _ = self.estimate.fetch_update(Ordering::Relaxed, Ordering::Relaxed, learn);
    }

    /// No answer came within `took`. Who refuses at once must not look fast, or it would draw all requests to itself:
    /// each failure doubles what is expected, up to the time in which that is forgotten.
    pub(crate) fn failed(&self, took: f64, settings: &RttSettings, now: u64) {
        let twice = (2.0 * self.expected(settings, now)).min(settings.decay);
        self.heard(took.max(settings.default).max(twice), settings, now);
    }

    /// The client left before an answer. That says nothing, unless it waited for longer than one was expected to take.
    pub(crate) fn abandoned(&self, took: f64, settings: &RttSettings, now: u64) {
        if took > self.expected(settings, now) {
            self.heard(took, settings, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: f64 = 1e6;
    const SECOND: u64 = 1_000_000_000;

    fn settings() -> RttSettings {
        RttSettings::new(&LbFields::default())
    }

    fn near(got: f64, expected: f64) {
        assert!((got - expected).abs() <= expected * 1e-6 + 1.0, "{got} is not {expected}");
    }

    #[test]
    fn a_target_that_was_never_heard_has_the_default() {
        near(Ewma::default().expected(&settings(), 99 * SECOND), 30.0 * MS);
    }

    #[test]
    fn a_peak_counts_at_once_and_is_forgotten_within_the_decay() {
        let (ewma, settings) = (Ewma::default(), settings());
        ewma.heard(2.0 * MS, &settings, SECOND);
        near(ewma.expected(&settings, SECOND), 2.0 * MS);
        ewma.heard(500.0 * MS, &settings, SECOND);
        near(ewma.expected(&settings, SECOND), 500.0 * MS);

        ewma.heard(2.0 * MS, &settings, 11 * SECOND);
        let left = (-1.0_f64).exp();
        near(ewma.expected(&settings, 11 * SECOND), 500.0 * MS * left + 2.0 * MS * (1.0 - left));
    }

    #[test]
    fn silence_makes_a_slow_target_worth_a_try() {
        let (ewma, settings) = (Ewma::default(), settings());
        ewma.heard(1_000.0 * MS, &settings, SECOND);
        assert!(ewma.expected(&settings, 2 * SECOND) > 900.0 * MS);
        assert!(ewma.expected(&settings, 61 * SECOND) < 3.0 * MS);
    }

    #[test]
    fn a_refusal_in_no_time_does_not_look_fast() {
        let (ewma, settings) = (Ewma::default(), settings());
        ewma.failed(0.1 * MS, &settings, SECOND);
        near(ewma.expected(&settings, SECOND), 60.0 * MS);
        ewma.failed(0.1 * MS, &settings, SECOND);
        near(ewma.expected(&settings, SECOND), 120.0 * MS);
        for _ in 0..100 {
            ewma.failed(0.1 * MS, &settings, SECOND);
        }
        near(ewma.expected(&settings, SECOND), 10_000.0 * MS);
    }

    #[test]
    fn a_client_that_left_early_says_nothing_and_one_that_left_late_does() {
        let (ewma, settings) = (Ewma::default(), settings());
        ewma.heard(20.0 * MS, &settings, SECOND);
        ewma.abandoned(10.0 * MS, &settings, SECOND);
        near(ewma.expected(&settings, SECOND), 20.0 * MS);
        ewma.abandoned(900.0 * MS, &settings, SECOND);
        near(ewma.expected(&settings, SECOND), 900.0 * MS);
    }
}
