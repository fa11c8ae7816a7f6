//! A ban: refuses everything until its time is over. The state holds its end and its length.

use super::{LAST, MOST, State, Step};
use crate::rule::{Micros, Verdict};

pub(super) fn take(state: State, now: Micros) -> Step {
    let left = until(state, now).saturating_sub(now);
    let verdict = Verdict { quota: 1, reset: left, ..Verdict::default() };
    if left > 0 {
        return Err(Verdict { retry: left, ..verdict });
    }
    Ok((state, Verdict { allowed: true, remaining: 1, ..verdict }))
}

/// A later strike never shortens a ban.
pub(super) fn charge(state: State, now: Micros, units: i64) -> State {
    let Ok(length) = u64::try_from(units) else { return State::FRESH };
    let standing = until(state, now);
    let end = (now + length.min(MOST)).max(standing).min(LAST);
    State { time: end, amount: end - now }
}

/// Its end. A ban that would last longer than it was long was written by a clock ahead of ours; it begins now.
pub(super) fn until(state: State, now: Micros) -> Micros {
    state.time.min(now + state.amount.min(MOST))
}
