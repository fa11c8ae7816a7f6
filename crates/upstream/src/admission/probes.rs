//! The requests that find out whether an upstream has recovered.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bits of one count.
const BITS: u32 = 24;
const MASK: u64 = (1 << BITS) - 1;
/// One good answer, in [`Probes`].
const GOOD: u64 = 1 << BITS;

/// Which trial of an upstream a probe belongs to: what it says afterwards does not concern the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trial(u64);

/// The number of the trial, how many of its probes have ended well, and how many are under way: in one word, so that
/// there are never more of them than may be.
#[derive(Debug, Default)]
pub(super) struct Probes(AtomicU64);

impl Probes {
    /// The most that can be counted.
    pub(super) const MOST: u32 = MASK as u32;

    /// Begins another trial.
    pub(super) fn begin(&self) {
        let next = |word: u64| Some((word >> (2 * BITS)).wrapping_add(1) << (2 * BITS));
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Relaxed, next);
    }

    /// One more probe, unless those under way and those that have ended well are as many as are `allowed`.
    pub(super) fn enter(&self, allowed: u32) -> Option<Trial> {
        let enter = |word: u64| (under_way(word) + good(word) < u64::from(allowed)).then(|| word + 1);
        let before = self.0.fetch_update(Ordering::AcqRel, Ordering::Relaxed, enter).ok()?;
        Some(Trial(before >> (2 * BITS)))
    }

    /// A probe is over. Unless it was counted as good, another may take its place.
    pub(super) fn leave(&self, trial: Trial) {
        let leave = |word: u64| (word >> (2 * BITS) == trial.0 && under_way(word) > 0).then(|| word - 1);
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Relaxed, leave);
    }

    /// One has ended well; says how many have by now.
    pub(super) fn succeed(&self) -> u32 {
        let succeed = |word: u64| (good(word) < MASK).then(|| word + GOOD);
        let before = self.0.fetch_update(Ordering::AcqRel, Ordering::Relaxed, succeed);
        before.map_or(Self::MOST, |word| good(word) as u32 + 1)
    }
}

fn under_way(word: u64) -> u64 {
    word & MASK
}

fn good(word: u64) -> u64 {
    word >> BITS & MASK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_allowed_and_what_is_given_back_is_given_again() {
        let probes = Probes::default();
        let first = probes.enter(2).expect("a place");
        probes.enter(2).expect("another");
        assert_eq!(probes.enter(2), None);
        probes.leave(first);
        assert!(probes.enter(2).is_some());
    }

    #[test]
    fn a_good_one_keeps_its_place() {
        let probes = Probes::default();
        let first = probes.enter(1).expect("a place");
        assert_eq!(probes.succeed(), 1);
        probes.leave(first);
        assert_eq!(probes.enter(1), None);
    }

    #[test]
    fn a_probe_of_an_earlier_trial_gives_nothing_back() {
        let probes = Probes::default();
        let old = probes.enter(1).expect("a place");
        probes.begin();
        probes.enter(1).expect("a place of the new trial");
        probes.leave(old);
        assert_eq!(probes.enter(1), None);
    }

    #[test]
    fn the_numbers_of_trials_may_come_round() {
        let probes = Probes::default();
        (0..70_000).for_each(|_| probes.begin());
        assert!(probes.enter(1).is_some());
        assert_eq!(probes.enter(1), None);
    }

    #[test]
    fn threads_never_get_more_places_than_there_are() {
        let probes = Probes::default();
        let entered: usize = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..1_000).filter(|_| probes.enter(7).is_some()).count())).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!(entered, 7);
    }
}
