//! Why a limit can't be counted.

use super::LONGEST;

/// A limit that can't be counted exactly, or at all. Says the number and what to write instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RuleError {
    /// Nothing could ever pass.
    #[error("{what} is 0, so that nothing could ever pass: write at least 1, or leave the limit out")]
    Zero {
        /// Which number.
        what: &'static str,
    },
    /// A number beyond what a double holds.
    #[error("{what} is {given}, and can be at most {most}: write a smaller number")]
    TooMany {
        /// Which number.
        what: &'static str,
        /// What was written.
        given: u64,
        /// What can be.
        most: u64,
    },
    /// A window of more than [`LONGEST`].
    #[error("a time of {} days is too long to be counted, it can be at most {} days: write a shorter one", .0.as_secs() / 86_400, LONGEST / 86_400_000_000)]
    TooLong(
        /// What was written.
        std::time::Duration,
    ),
    /// The bucket's units don't fit.
    #[error(
        "{tokens} tokens at this rate, with what may wait, can not be counted exactly, at most {most} can: write a smaller capacity, queue or delay, a rounder or faster rate, or use fixed_window"
    )]
    TooFine {
        /// Capacity and queue, as far as they can be told.
        tokens: u64,
        /// How many would fit.
        most: u64,
    },
    /// Every request of a sliding window is remembered.
    #[error(
        "a sliding_window remembers every request, so that its limit is at most {most} and not {given}: use token_bucket or fixed_window"
    )]
    TooManyToRemember {
        /// What was written.
        given: u64,
        /// What can be.
        most: u64,
    },
}
