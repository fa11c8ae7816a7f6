//! When a request is sent a second time because the first has not answered for a while.
//!
//! See Dean and Barroso, "The Tail at Scale", Communications of the ACM 56(2), 2013.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::quantile::Quantile;
use crate::config::Hedge;

/// After how long, and how many.
pub(super) struct Hedges {
    latest: Quantile,
    min_delay: Duration,
    max_delay: Duration,
    share: Share,
}

impl Hedges {
    pub(super) fn new(config: &Hedge) -> Self {
        Self {
            latest: Quantile::new(config.percentile),
            min_delay: config.min_delay.into(),
            max_delay: config.max_delay.into(),
            share: Share { each: config.max_share.basis_points().into(), saved: AtomicU64::new(0) },
        }
    }

    pub(super) fn heard(&self, took: Duration) {
        self.latest.heard(took);
    }

    /// How long one more request is to wait for its first answer.
    pub(super) fn after(&self) -> Duration {
        self.share.add();
        self.latest.get().unwrap_or(self.max_delay).max(self.min_delay).min(self.max_delay)
    }

    /// Whether it may be sent a second time.
    pub(super) fn take(&self) -> bool {
        self.share.take()
    }
}

/// At most a share of the requests: each saves that part of a second one, and each second one costs a whole.
struct Share {
    /// Of 10,000.
    each: u64,
    saved: AtomicU64,
}

const WHOLE: u64 = 10_000;
/// What quiet hours save is no leave to send everything twice once the upstream slows down.
const MOST_SAVED: u64 = 100 * WHOLE;

impl Share {
    fn add(&self) {
        let more = |saved: u64| (saved < MOST_SAVED).then(|| (saved + self.each).min(MOST_SAVED));
        let _full = self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    fn take(&self) -> bool {
        let less = |saved: u64| saved.checked_sub(WHOLE);
        self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tidegate_core::config::Percent;

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn hedges(max_share: u8) -> Hedges {
        Hedges::new(&Hedge { max_share: Percent::new(max_share), ..Hedge::default() })
    }

    #[test]
    fn the_delay_is_the_longest_until_a_hundred_answers_were_seen() {
        let hedges = hedges(10);
        (0..99).for_each(|_| hedges.heard(ms(50)));
        assert_eq!(hedges.after(), ms(1_000));
        hedges.heard(ms(50));
        assert!((ms(50)..ms(57)).contains(&hedges.after()), "{:?}", hedges.after());
    }

    #[test]
    fn the_delay_stays_within_its_bounds() {
        for (took, after) in [(ms(1), ms(10)), (ms(30_000), ms(1_000))] {
            let hedges = hedges(10);
            (0..100).for_each(|_| hedges.heard(took));
            assert_eq!(hedges.after(), after);
        }
    }

    #[test]
    fn no_more_than_the_share_is_sent_twice() {
        let hedges = hedges(10);
        let sent_twice = (1..=1_000).filter(|request| {
            let _ = hedges.after();
            let may = hedges.take();
            assert_eq!(may, request % 10 == 0, "request {request}");
            may
        });
        assert_eq!(sent_twice.count(), 100);
    }

    #[test]
    fn a_quiet_time_saves_no_more_than_a_hundred() {
        let hedges = hedges(10);
        (0..10_000).for_each(|_| assert_eq!(hedges.after(), ms(1_000)));
        assert_eq!((0..10_000).filter(|_| hedges.take()).count(), 100);
    }

    #[test]
    fn all_or_none_may_be_sent_twice() {
        for (share, expected) in [(0, 0), (100, 500)] {
            let hedges = hedges(share);
            let sent_twice = (0..500).filter(|_| {
                let _ = hedges.after();
                hedges.take()
            });
            assert_eq!(sent_twice.count(), expected);
        }
    }

    #[test]
    fn many_threads_send_no_more_than_the_share_twice() {
        let (hedges, sent_twice) = (hedges(10), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_500 {
                        let _ = hedges.after();
                        sent_twice.fetch_add(usize::from(hedges.take()), Ordering::Relaxed);
                    }
                });
            }
        });
        let left = hedges.share.saved.load(Ordering::Relaxed) / WHOLE;
        assert_eq!(sent_twice.into_inner() as u64 + left, 1_000);
    }
}
