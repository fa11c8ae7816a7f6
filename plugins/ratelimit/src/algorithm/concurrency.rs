//! `concurrency`: so many at the same time. What is taken is given back when the request is over.

use super::{SECOND, State, Step, adjusted, counted, fits};
use crate::rule::{Micros, Verdict};

/// When somebody leaves can't be known; a second is what a polite client waits.
const A_WHILE: Micros = SECOND;

pub(super) fn take(limit: u64, state: State, now: Micros, cost: u64) -> Step {
    if !fits(limit, state.amount, cost) {
        return Err(Verdict { allowed: false, retry: A_WHILE, ..verdict(limit, state.amount) });
    }
    let amount = state.amount + cost;
    let after = if cost == 0 { state } else { State { time: now, amount } };
    Ok((after, verdict(limit, amount)))
}

pub(super) fn charge(state: State, now: Micros, units: i64) -> State {
    in_flight(now, adjusted(state.amount, units))
}

pub(super) fn release(state: State, cost: u64) -> State {
    in_flight(state.time, state.amount.saturating_sub(cost))
}

#[cfg(test)]
pub(super) fn fresh_at(state: State) -> Micros {
    if state.amount == 0 { 0 } else { Micros::MAX }
}

fn verdict(limit: u64, amount: u64) -> Verdict {
    counted(limit, amount, if amount == 0 { 0 } else { A_WHILE })
}

fn in_flight(time: Micros, amount: u64) -> State {
    if amount == 0 { State::FRESH } else { State { time, amount } }
}
