//! Counts of the latest while, without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// Into how many slices a window is cut: it moves on by one at a time.
const SLICES: u64 = 10;

/// What was counted in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) total: u32,
    pub(super) failed: u32,
    pub(super) slow: u32,
}

/// How many tries there were lately, and how many of them failed or were slow.
#[derive(Debug)]
pub(super) struct Window {
    /// In nanoseconds.
    slice: u64,
    total: Ring,
    failed: Ring,
    slow: Ring,
}

impl Window {
    pub(super) fn new(length: u64) -> Self {
        let slice = (length / SLICES).max(1);
        Self { slice, total: Ring::default(), failed: Ring::default(), slow: Ring::default() }
    }

    pub(super) fn add(&self, failed: bool, slow: bool, now: u64) {
        let slice = self.slice_at(now);
        self.total.add(slice);
        if failed {
            self.failed.add(slice);
        }
        if slow {
            self.slow.add(slice);
        }
    }

    pub(super) fn counted(&self, now: u64) -> Counted {
        let slice = self.slice_at(now);
        Counted { total: self.total.sum(slice), failed: self.failed.sum(slice), slow: self.slow.sum(slice) }
    }

    pub(super) fn clear(&self) {
        [&self.total, &self.failed, &self.slow].into_iter().for_each(Ring::clear);
    }

    fn slice_at(&self, now: u64) -> u32 {
        // Wraps around after four thousand million slices, which is told from its neighbours all the same.
        (now / self.slice) as u32
    }
}

/// A count for each of the latest slices of time.
#[derive(Debug, Default)]
struct Ring([Slice; SLICES as usize]);

/// A slice's number in the upper half, and its count: in one word, so that a new slice begins from zero at once.
#[derive(Debug, Default)]
struct Slice(AtomicU64);

impl Ring {
    fn add(&self, slice: u32) {
        if let Some(place) = self.0.get(u64::from(slice).rem_euclid(SLICES) as usize) {
            place.add(slice);
        }
    }

    fn sum(&self, slice: u32) -> u32 {
        self.0.iter().fold(0, |sum, place| sum.saturating_add(place.count(slice)))
    }

    fn clear(&self) {
        self.0.iter().for_each(|place| place.0.store(0, Ordering::Relaxed));
    }
}

impl Slice {
    fn add(&self, slice: u32) {
        let add = |word| {
            let (number, count) = split(word);
            // Somebody else's clock was read later: what has moved on doesn't go back.
            let behind = number != slice && count > 0 && number.wrapping_sub(slice) < u32::MAX / 2;
            let count = if number == slice { count.saturating_add(1) } else { 1 };
            (!behind).then(|| join(slice, count))
        };
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    fn count(&self, now: u32) -> u32 {
        let (number, count) = split(self.0.load(Ordering::Relaxed));
        if u64::from(now.wrapping_sub(number)) < SLICES { count } else { 0 }
    }
}

fn split(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

fn join(number: u32, count: u32) -> u64 {
    u64::from(number) << 32 | u64::from(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn what_is_older_than_the_window_no_longer_counts() {
        let window = Window::new(10 * SECOND);
        window.add(true, false, SECOND);
        window.add(false, true, 2 * SECOND);
        assert_eq!(window.counted(2 * SECOND), Counted { total: 2, failed: 1, slow: 1 });
        assert_eq!(window.counted(11 * SECOND - 1), Counted { total: 2, failed: 1, slow: 1 });
        assert_eq!(window.counted(11 * SECOND), Counted { total: 1, failed: 0, slow: 1 });
        assert_eq!(window.counted(12 * SECOND), Counted { total: 0, failed: 0, slow: 0 });
    }

    #[test]
    fn a_slice_that_comes_round_again_begins_from_zero() {
        let window = Window::new(10 * SECOND);
        (0..7).for_each(|_| window.add(true, true, 3 * SECOND));
        window.add(false, false, 13 * SECOND);
        assert_eq!(window.counted(13 * SECOND), Counted { total: 1, failed: 0, slow: 0 });
    }

    #[test]
    fn a_late_comer_does_not_bring_an_old_slice_back() {
        let window = Window::new(10 * SECOND);
        window.add(false, false, 13 * SECOND);
        window.add(true, false, 3 * SECOND);
        assert_eq!(window.counted(13 * SECOND), Counted { total: 1, failed: 0, slow: 0 });
    }

    #[test]
    fn threads_lose_no_count() {
        let window = Window::new(10 * SECOND);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|nth| window.add(nth % 2 == 0, false, nth * 1_000)));
            }
        });
        assert_eq!(window.counted(0), Counted { total: 40_000, failed: 20_000, slow: 0 });
    }
}
