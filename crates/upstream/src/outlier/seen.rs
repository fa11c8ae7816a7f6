//! What the end of a try says about its target.

use std::time::Duration;

use crate::pick::{Failure, TryOutcome};

/// Something about the target, or nothing (`None`, where this is an `Option`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// An answer, and none of 5xx.
    Good,
    /// It answered, but with 5xx or what gRPC has for it, or the answer broke off.
    Bad,
    /// It gave no answer at all.
    Nothing,
}

impl Seen {
    pub(super) fn of(outcome: TryOutcome, first_byte: Option<Duration>) -> Option<Self> {
        match outcome {
            TryOutcome::Answered { .. } if outcome.is_bad_answer() => Some(Self::Bad),
            TryOutcome::Answered { .. } => Some(Self::Good),
            // How a server ends a connection that has served long enough, and no sign that it is unwell.
            TryOutcome::Failed(Failure::RefusedStream) | TryOutcome::Abandoned => None,
            TryOutcome::Failed(Failure::Connect | Failure::Reset | Failure::Timeout | Failure::Protocol) => {
                Some(if first_byte.is_some() { Self::Bad } else { Self::Nothing })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, grpc: Option<u16>) -> Option<Seen> {
        Seen::of(TryOutcome::Answered { status, grpc }, Some(Duration::ZERO))
    }

    #[test]
    fn answers_are_bad_from_500() {
        assert_eq!([101, 200, 302, 404, 429, 499].map(|status| answered(status, None)), [Some(Seen::Good); 6]);
        assert_eq!([500, 502, 503, 599].map(|status| answered(status, None)), [Some(Seen::Bad); 4]);
    }

    #[test]
    fn an_answer_that_anybody_can_ask_for_is_not_bad() {
        // A method that nobody knows, a version that nobody speaks.
        assert_eq!([501, 505].map(|status| answered(status, None)), [Some(Seen::Good); 2]);
        assert!([501, 505].iter().all(|status| !TryOutcome::Answered { status: *status, grpc: None }.is_failure()));
    }

    #[test]
    fn some_grpc_statuses_are_like_5xx() {
        let bad: Vec<_> = (0..=16).filter(|grpc| answered(200, Some(*grpc)) == Some(Seen::Bad)).collect();
        assert_eq!(bad, [2, 4, 13, 14]);
    }

    #[test]
    fn a_failure_without_an_answer_is_told_from_one_that_broke_off() {
        for failure in [Failure::Connect, Failure::Reset, Failure::Timeout, Failure::Protocol] {
            let of = |first_byte| Seen::of(TryOutcome::Failed(failure), first_byte);
            assert_eq!((of(None), of(Some(Duration::ZERO))), (Some(Seen::Nothing), Some(Seen::Bad)));
        }
    }

    #[test]
    fn a_client_that_leaves_and_a_stream_that_is_refused_say_nothing() {
        for outcome in [TryOutcome::Abandoned, TryOutcome::Failed(Failure::RefusedStream)] {
            assert_eq!(Seen::of(outcome, None), None);
        }
    }
}
