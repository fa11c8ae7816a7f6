//! A key's state in one atomic word, so that every step on it is one compare-and-exchange.
//!
//! ```text
//! bits   0..52   time      of the state, in microseconds
//!       52..55   kind      how the state counts; the same for as long as the cell is one key's
//!       55..64   pending   takes that may yet be undone; all ones while the cell changes hands
//!       64..118  amount    of the state
//!      118..128  version   one more for each key the cell has held
//! ```

use crate::algorithm::State;
use crate::rule::Shape;

/// See the module's documentation. As two halves, for all work on it is on one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word {
    low: u64,
    high: u64,
}

const TIME: u32 = 52;
const KIND: u32 = 3;
const PENDING: u32 = 9;
const AMOUNT: u32 = 54;
const VERSION: u32 = 10;

const PENDING_AT: u32 = TIME + KIND;

const CLAIMED: u64 = ones(PENDING);

const fn ones(bits: u32) -> u64 {
    (1 << bits) - 1
}

/// What an evictor must know to judge a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bucket = 0,
    /// A window in steady time.
    Fixed = 1,
    /// A window in time of day.
    Calendar = 2,
    Concurrency = 3,
    Ban = 4,
}

impl Kind {
    pub(super) fn of(shape: &Shape) -> Self {
        match shape {
            Shape::Bucket(_) => Kind::Bucket,
            // A sliding window is never in a cell; see the logs.
            Shape::Fixed(_) | Shape::Sliding { .. } => Kind::Fixed,
            Shape::Calendar(_) => Kind::Calendar,
            Shape::Concurrency { .. } => Kind::Concurrency,
            Shape::Ban => Kind::Ban,
        }
    }
}

impl Word {
    /// A state that nothing is pending on.
    pub(super) fn new(kind: Kind, state: State) -> Self {
        Self { low: (kind as u64) << TIME, high: 0 }.with(state)
    }

    pub(super) fn state(self) -> State {
        State { time: self.low & ones(TIME), amount: self.high & ones(AMOUNT) }
    }

    /// The same cell with another state. Algorithms keep times below 2^52 and amounts to 2^53; a larger one would be
    /// cut to what fits, never into the fields beside it.
    pub(super) fn with(self, state: State) -> Self {
        let low = self.low & !ones(TIME) | state.time.min(ones(TIME));
        let high = self.high & !ones(AMOUNT) | state.amount.min(ones(AMOUNT));
        Self { low, high }
    }

    /// `None` for a word that no shape writes (from a damaged file).
    pub(super) fn kind(self) -> Option<Kind> {
        match self.low >> TIME & ones(KIND) {
            0 => Some(Kind::Bucket),
            1 => Some(Kind::Fixed),
            2 => Some(Kind::Calendar),
            3 => Some(Kind::Concurrency),
            4 => Some(Kind::Ban),
            _ => None,
        }
    }

    /// How many takes may yet be undone.
    pub(super) fn pending(self) -> u64 {
        self.low >> PENDING_AT
    }

    /// One more take that may be undone; `None` if there are as many as can be counted.
    pub(super) fn held(self) -> Option<Self> {
        (self.pending() + 1 < CLAIMED).then(|| Self { low: self.low + (1 << PENDING_AT), ..self })
    }

    /// One take less that may be undone.
    pub(super) fn let_go(self) -> Self {
        debug_assert!(self.pending() > 0 && !self.is_claimed(), "somebody let go of what nobody held");
        Self { low: self.low - (1 << PENDING_AT), ..self }
    }

    /// Whether the cell is changing hands.
    pub(super) fn is_claimed(self) -> bool {
        self.pending() == CLAIMED
    }

    /// The mark of a cell that changes hands. Its version is the next one already, so that no word of the key that
    /// was there before compares equal ever after.
    pub(super) fn claimed(self) -> Self {
        let version = self.version().wrapping_add(1) & ones(VERSION);
        Self { low: CLAIMED << PENDING_AT, high: version << AMOUNT }
    }

    /// This word as the first of the key that claimed `cell`.
    pub(super) fn in_place_of(self, cell: Word) -> Self {
        debug_assert!(cell.is_claimed());
        Self { low: self.low, high: self.high & ones(AMOUNT) | cell.high & !ones(AMOUNT) }
    }

    /// The word without what is only about its cell.
    pub(super) fn bare(self) -> Self {
        Self { low: self.low & ones(PENDING_AT), high: self.high & ones(AMOUNT) }
    }

    pub(super) fn version(self) -> u64 {
        self.high >> AMOUNT
    }
}

impl From<u128> for Word {
    #[inline]
    fn from(whole: u128) -> Self {
        Self { low: whole as u64, high: (whole >> 64) as u64 }
    }
}

impl From<Word> for u128 {
    #[inline]
    fn from(word: Word) -> u128 {
        u128::from(word.low) | u128::from(word.high) << 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::{LAST, MOST};

    const EDGES: [State; 4] = [
        State::FRESH,
        State { time: LAST, amount: MOST },
        State { time: 1, amount: MOST },
        State { time: LAST, amount: 1 },
    ];

    #[test]
    fn fields_do_not_touch_each_other() {
        for state in EDGES {
            let mut word = Word::new(Kind::Ban, state).in_place_of(Word::from(u128::MAX).claimed().claimed());
            let version = word.version();
            for pending in 1..=510 {
                word = word.held().expect("room for 510 pending takes");
                assert_eq!((word.pending(), word.state()), (pending, state));
                assert_eq!((word.kind(), word.version()), (Some(Kind::Ban), version));
                assert!(!word.is_claimed());
            }
            assert_eq!(word.held(), None, "one more would look like a claim");
            assert_eq!((0..510).fold(word, |word, _| word.let_go()).bare(), Word::new(Kind::Ban, state));
        }
    }

    #[test]
    fn a_state_that_does_not_fit_spills_into_nothing() {
        let word = Word::new(Kind::Fixed, State { time: u64::MAX, amount: u64::MAX });
        assert_eq!((word.kind(), word.pending(), word.version()), (Some(Kind::Fixed), 0, 0));
    }

    #[test]
    fn a_claim_changes_the_version_for_good() {
        let old = Word::new(Kind::Bucket, State { time: 7, amount: 3 });
        let mark = old.claimed();
        assert!(mark.is_claimed());
        let new = Word::new(Kind::Bucket, State { time: 7, amount: 3 }).in_place_of(mark);
        assert_ne!(new, old, "the same state of another key is another word");
        assert_eq!((new.version(), new.pending()), (1, 0));
    }
}
