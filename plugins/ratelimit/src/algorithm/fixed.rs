//! `fixed_window`: so many from a key's first request on; when the window is over the next request begins another.
//! Up to twice the limit can pass in a moment at the boundary of two windows; that is what a fixed window is.

use super::{State, Step, adjusted, believed, counted, fits};
use crate::rule::{Micros, Verdict};

/// At most `limit` from the first request until `window` later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FixedWindow {
    /// Whole units in one window.
    pub limit: u64,
    /// How long a window lasts.
    pub window: Micros,
}

impl FixedWindow {
    #[inline(always)]
    pub(super) fn take(&self, state: State, now: Micros, cost: u64) -> Step {
        let current = self.current(state, now);
        if !fits(self.limit, current.amount, cost) {
            let verdict = self.verdict(current, now);
            // Of a fresh key only a cost above the limit is refused, and that for ever.
            let retry = if current.amount == 0 { self.window } else { verdict.reset };
            return Err(Verdict { allowed: false, retry, ..verdict });
        }
        if cost == 0 {
            return Ok((state, self.verdict(current, now)));
        }
        let taken = State { amount: current.amount + cost, ..current };
        Ok((taken, self.verdict(taken, now)))
    }

    pub(super) fn charge(&self, state: State, now: Micros, units: i64) -> State {
        let current = self.current(state, now);
        begun(current.time, adjusted(current.amount, units))
    }

    /// A window that began after the take knows nothing of it. In doubt nothing is given back.
    pub(super) fn undo(&self, state: State, now: Micros, taken_at: Micros, cost: u64) -> State {
        let current = self.current(state, now);
        let given_back = if current.time <= taken_at { cost } else { 0 };
        begun(current.time, current.amount.saturating_sub(given_back))
    }

    #[cfg(test)]
    pub(super) fn fresh_at(&self, state: State, now: Micros) -> Micros {
        if state.amount == 0 { 0 } else { believed(state.time, now) + self.window }
    }

    #[cfg(test)]
    pub(super) fn count(&self, state: State, now: Micros) -> u64 {
        self.current(state, now).amount
    }

    /// The window that holds `now`; one that begins now if there is none.
    fn current(&self, state: State, now: Micros) -> State {
        let begin = believed(state.time, now);
        let over = state.amount == 0 || now >= begin + self.window;
        if over { State { time: now, amount: 0 } } else { State { time: begin, amount: state.amount } }
    }

    fn verdict(&self, current: State, now: Micros) -> Verdict {
        let reset = if current.amount == 0 { 0 } else { current.time + self.window - now };
        counted(self.limit, current.amount, reset)
    }
}

/// A window in which nothing is counted has not begun.
fn begun(time: Micros, amount: u64) -> State {
    if amount == 0 { State::FRESH } else { State { time, amount } }
}
