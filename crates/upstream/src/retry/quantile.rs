//! How long the slowest of the latest answers took: a histogram of atomics that forgets.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tidegate_core::config::Percent;

/// Buckets grow with what they hold, as in HdrHistogram: eight from each power of two to the next, so that what is
/// told is never more than an eighth too long.
const PARTS: usize = 8;
const PART_BITS: u32 = PARTS.ilog2();
/// The shortest and longest times that are told apart: a microsecond, and eighteen minutes.
const LOWEST: u32 = 10;
const HIGHEST: u32 = 40;
const BUCKETS: usize = (HIGHEST - LOWEST) as usize * PARTS;

/// With fewer answers nothing is told.
const LEAST: u64 = 100;
/// After so many more answers it is found anew.
const EVERY: u64 = 64;
/// After so many, all that was counted counts half: the latest two thousand are most of what is told.
const HALVED: u64 = 1_024;

/// The time within which a share of the latest answers came. Hearing of one costs a few atomics, and now and then a
/// walk through two hundred.
pub(super) struct Quantile {
    share: Percent,
    counts: Box<[AtomicU32]>,
    heard: AtomicU64,
    /// What was found last, in nanoseconds; 0: nothing yet.
    found: AtomicU64,
}

impl Quantile {
    pub(super) fn new(share: Percent) -> Self {
        let counts = (0..BUCKETS).map(|_| AtomicU32::new(0)).collect();
        Self { share, counts, heard: AtomicU64::new(0), found: AtomicU64::new(0) }
    }

    /// `None` before there were enough answers.
    pub(super) fn get(&self) -> Option<Duration> {
        let found = self.found.load(Ordering::Relaxed);
        (found > 0).then(|| Duration::from_nanos(found))
    }

    pub(super) fn heard(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get(bucket(nanos)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let heard = self.heard.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        if heard.is_multiple_of(HALVED) {
            self.halve();
        }
        if heard == LEAST || (heard > LEAST && heard.is_multiple_of(EVERY)) {
            self.found.store(self.find(), Ordering::Relaxed);
        }
    }

    fn halve(&self) {
        for count in &self.counts {
            // The half that is kept is the larger, so that what is rare isn't forgotten at once.
            let _always = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| Some(n - n / 2));
        }
    }

    fn find(&self) -> u64 {
        let counts = || self.counts.iter().map(|count| u64::from(count.load(Ordering::Relaxed)));
        let wanted = self.share.of(counts().sum()).max(1);
        let mut sum = 0;
        let at = counts().position(|count| {
            sum += count;
            sum >= wanted
        });
        at.map_or(0, end)
    }
}

/// Where a time is counted.
fn bucket(nanos: u64) -> usize {
    let nanos = nanos.clamp(1 << LOWEST, (1 << HIGHEST) - 1);
    let power = nanos.ilog2();
    let part = (nanos >> (power - PART_BITS)) as usize % PARTS;
    (power - LOWEST) as usize * PARTS + part
}

/// Where a bucket ends.
fn end(bucket: usize) -> u64 {
    let (power, part) = (LOWEST + (bucket / PARTS) as u32, bucket % PARTS);
    ((PARTS + part + 1) as u64) << (power - PART_BITS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn after(share: u8, times: impl IntoIterator<Item = Duration>) -> Option<Duration> {
        let quantile = Quantile::new(Percent::new(share));
        times.into_iter().for_each(|took| quantile.heard(took));
        quantile.get()
    }

    #[test]
    fn nothing_is_told_before_there_are_a_hundred() {
        assert_eq!(after(95, (0..99).map(|_| ms(5))), None);
        assert!(after(95, (0..100).map(|_| ms(5))).is_some());
    }

    #[test]
    fn it_is_the_time_within_which_the_share_came() {
        // 1ms to 100ms, each once, in no order.
        let times = || (0..100).map(|n| ms(n * 37 % 100 + 1));
        for (share, exact) in [(50, 50), (95, 95), (100, 100)] {
            let told = after(share, times()).unwrap();
            assert!(told >= ms(exact) && told <= ms(exact) * 9 / 8, "{share}%: {told:?}");
        }
    }

    #[test]
    fn it_follows_when_answers_become_slower_and_faster() {
        let quantile = Quantile::new(Percent::new(95));
        for took in [ms(10), ms(400), ms(10)] {
            (0..8_192).for_each(|_| quantile.heard(took));
            let told = quantile.get().unwrap();
            assert!(told >= took && told <= took * 9 / 8, "{told:?}");
        }
    }

    #[test]
    fn a_burst_does_not_outweigh_the_latest_two_thousand() {
        let quantile = Quantile::new(Percent::new(50));
        (0..100_000).for_each(|_| quantile.heard(ms(400)));
        (0..2_048).for_each(|_| quantile.heard(ms(10)));
        assert!(quantile.get().unwrap() < ms(12));
    }

    #[test]
    fn times_beyond_all_bounds_are_counted_at_the_ends() {
        assert_eq!(after(50, (0..100).map(|_| Duration::ZERO)), Some(Duration::from_nanos(1_152)));
        assert_eq!(after(50, (0..100).map(|_| Duration::MAX)), Some(Duration::from_nanos(1 << HIGHEST)));
    }

    proptest! {
        #[test]
        fn a_time_lies_in_its_bucket(nanos in (1u64 << LOWEST)..(1 << HIGHEST)) {
            let at = bucket(nanos);
            prop_assert!(at < BUCKETS);
            prop_assert!(nanos < end(at));
            prop_assert!(at == 0 || nanos >= end(at - 1));
        }
    }
}
