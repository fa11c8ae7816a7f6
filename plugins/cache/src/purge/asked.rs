//! When URLs were last asked for.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many times are kept: half a mebibyte of them.
const PLACES: u64 = 1 << 16;

/// Says of a URL until when nobody has asked for it: what was not asked for since it was made invalid needs no other mark,
/// and there are more unsafe requests than answers that are stored. URLs that share a place have the later one's time:
/// there are some marks then that nobody needed, and never one too few.
pub(super) struct AskedFor(Box<[AtomicU64]>);

impl AskedFor {
    /// What was asked for until `at` isn't known, in nanoseconds since 1970; 0: nothing was.
    pub(super) fn since(at: u64) -> Self {
        Self((0..PLACES).map(|_| AtomicU64::new(at)).collect())
    }

    pub(super) fn note(&self, hash: u64, at: u64) {
        if let Some(place) = self.place(hash) {
            place.fetch_max(at, Ordering::AcqRel);
        }
    }

    /// Not later than this.
    pub(super) fn last(&self, hash: u64) -> u64 {
        self.place(hash).map_or(u64::MAX, |place| place.load(Ordering::Acquire))
    }

    fn place(&self, hash: u64) -> Option<&AtomicU64> {
        self.0.get(usize::try_from(hash % PLACES).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_time_is_known_and_of_others_there_was_none() {
        let spread = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let asked = AskedFor::since(0);
        (1..1000).for_each(|n| asked.note(spread(n), n));
        asked.note(spread(7), 3);
        assert!((1..1000).all(|n| asked.last(spread(n)) >= n));
        assert!((1000..2000).filter(|n| asked.last(spread(*n)) > 0).count() < 60);
        assert_eq!(AskedFor::since(9).last(1), 9);
    }
}
