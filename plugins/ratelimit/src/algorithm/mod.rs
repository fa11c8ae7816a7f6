//! How each kind of limit counts: pure steps from one state to the next, on whole numbers.
//!
//! Every number stays below 2^53, so that a store whose numbers are doubles (Redis' Lua) counts the same. Products are
//! compared before they are made. Nothing is rounded in the client's favour, and no fraction of a token is lost.

mod ban;
mod bucket;
mod build;
mod calendar;
mod concurrency;
mod error;
mod fingerprint;
mod fixed;
mod sliding;

#[cfg(test)]
pub(crate) mod model;
#[cfg(test)]
mod tests;

pub(crate) use bucket::Bucket;
pub(crate) use calendar::{Calendar, Period};
pub(crate) use error::RuleError;
pub(crate) use fixed::FixedWindow;
pub(crate) use sliding::Log;

use crate::rule::{Micros, Now, Rule, Shape, Verdict};

/// One second.
pub(crate) const SECOND: Micros = 1_000_000;
/// The largest count or amount of water: doubles are exact up to here.
pub(crate) const MOST: u64 = 1 << 53;
/// The last time a [`State`] can hold: 142 years after its epoch.
pub(crate) const LAST: Micros = (1 << 52) - 1;
/// The longest window, and the longest time in which a bucket may drain: 71 years. A time plus a window stays below
/// [`MOST`].
pub(crate) const LONGEST: Micros = 1 << 51;
/// How far a stored time may be ahead of the clock and still be believed. Threads read the clock before they write,
/// and a Redis server's clock is stepped by a little.
const SKEW: Micros = SECOND;

/// What is stored of one key counted by one limit of any shape but [`Shape::Sliding`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct State {
    /// When `amount` was true; for a window its begin; for a ban its end. At most [`LAST`].
    pub time: Micros,
    /// Water, a count, or the length of a ban. At most [`MOST`].
    pub amount: u64,
}

impl State {
    /// A key never seen.
    pub(crate) const FRESH: State = State { time: 0, amount: 0 };
}

/// The step of a shape: the new state and what to say, or what to say and nothing taken.
type Step = Result<(State, Verdict), Verdict>;

impl Shape {
    /// Takes `cost`, if it can be had. `Err` is a refusal: the state stays. A cost of zero takes nothing, and is
    /// allowed only while one unit could be had. Nothing is ever taken from a [`Shape::Ban`].
    #[inline(always)]
    pub(crate) fn take(&self, state: State, now: Now, cost: u64) -> Step {
        let now = bounded(now);
        match self {
            Shape::Bucket(bucket) => bucket.take(state, now.steady, cost),
            Shape::Fixed(fixed) => fixed.take(state, now.steady, cost),
            Shape::Calendar(calendar) => calendar.take(state, now.wall, cost),
            Shape::Sliding { limit, window } => in_one_cell(*limit, *window).take(state, now.steady, cost),
            Shape::Concurrency { limit } => concurrency::take(*limit, state, now.steady, cost),
            Shape::Ban => ban::take(state, now.steady),
        }
    }

    /// What is to be stored instead of a state that was written by a clock ahead of ours, when [`Shape::take`] refuses
    /// and so writes nothing itself. Without it each refusal would begin the wait anew until our clock is there.
    pub(crate) fn corrected(&self, state: State, now: Now) -> Option<State> {
        let now = bounded(now);
        let time = match self {
            Shape::Bucket(_) | Shape::Fixed(_) | Shape::Sliding { .. } => believed(state.time, now.steady),
            Shape::Calendar(calendar) => state.time.min(calendar.bounds(now.wall).0),
            Shape::Concurrency { .. } => state.time,
            Shape::Ban => ban::until(state, now.steady),
        };
        (time != state.time).then_some(State { time, ..state })
    }

    /// What [`Shape::take`] would say to a cost of zero.
    pub(crate) fn look(&self, state: State, now: Now) -> Verdict {
        match self.take(state, now, 0) {
            Ok((_, verdict)) | Err(verdict) => verdict,
        }
    }

    /// Counts `units` whatever the limit says. Positive may go beyond it: it is a debt then. Negative gives back,
    /// never more than there is. For a [`Shape::Ban`] the units are microseconds: it lasts at least that long from
    /// now; negative lifts it.
    pub(crate) fn charge(&self, state: State, now: Now, units: i64) -> State {
        let now = bounded(now);
        match self {
            _ if units == 0 => state,
            Shape::Bucket(bucket) => bucket.charge(state, now.steady, units),
            Shape::Fixed(fixed) => fixed.charge(state, now.steady, units),
            Shape::Calendar(calendar) => calendar.charge(state, now.wall, units),
            Shape::Sliding { limit, window } => in_one_cell(*limit, *window).charge(state, now.steady, units),
            Shape::Concurrency { .. } => concurrency::charge(state, now.steady, units),
            Shape::Ban => ban::charge(state, now.steady, units),
        }
    }

    /// Takes back a take of `cost` made at `taken_at`. Gives back no more than was taken then and has not drained or
    /// expired since, so that an undo never admits anyone who would not have been admitted without the take.
    pub(crate) fn undo(&self, state: State, now: Now, taken_at: Now, cost: u64) -> State {
        let (now, taken_at) = (bounded(now), bounded(taken_at));
        match self {
            Shape::Bucket(bucket) => bucket.undo(state, now.steady, taken_at.steady, cost),
            Shape::Fixed(fixed) => fixed.undo(state, now.steady, taken_at.steady, cost),
            Shape::Calendar(calendar) => calendar.undo(state, now.wall, taken_at.wall, cost),
            Shape::Sliding { limit, window } => {
                in_one_cell(*limit, *window).undo(state, now.steady, taken_at.steady, cost)
            }
            Shape::Concurrency { .. } => concurrency::release(state, cost),
            Shape::Ban => state,
        }
    }

    /// The steady time from which this state is as good as [`State::FRESH`], if nothing more is taken. Not later than
    /// `now` if it already is; `u64::MAX` for requests in flight, for which no time can be told.
    #[cfg(test)]
    pub(crate) fn fresh_at(&self, state: State, now: Now) -> Micros {
        let now = bounded(now);
        match self {
            Shape::Bucket(bucket) => bucket.fresh_at(state, now.steady),
            Shape::Fixed(fixed) => fixed.fresh_at(state, now.steady),
            Shape::Calendar(calendar) => calendar.fresh_at(state, now),
            Shape::Sliding { limit, window } => in_one_cell(*limit, *window).fresh_at(state, now.steady),
            Shape::Concurrency { .. } => concurrency::fresh_at(state),
            Shape::Ban => ban::until(state, now.steady),
        }
    }

    /// How much of the limit is used: 0 is fresh, 65535 is when not one unit more can be had.
    #[cfg(test)]
    pub(crate) fn fullness(&self, state: State, now: Now) -> u16 {
        let now = bounded(now);
        match self {
            Shape::Bucket(bucket) => bucket.fullness(state, now.steady),
            Shape::Fixed(fixed) => share(fixed.count(state, now.steady), fixed.limit),
            Shape::Calendar(calendar) => share(calendar.count(state, now.wall), calendar.limit),
            Shape::Sliding { limit, window } => share(in_one_cell(*limit, *window).count(state, now.steady), *limit),
            Shape::Concurrency { limit } => share(state.amount, *limit),
            Shape::Ban => share(u64::from(ban::until(state, now.steady) > now.steady), 1),
        }
    }

    /// The largest cost this shape can ever allow.
    pub(crate) fn largest_cost(&self) -> u64 {
        match self {
            Shape::Bucket(bucket) => bucket.brim() / bucket.token,
            Shape::Fixed(FixedWindow { limit, .. })
            | Shape::Calendar(Calendar { limit, .. })
            | Shape::Sliding { limit, .. }
            | Shape::Concurrency { limit } => *limit,
            Shape::Ban => u64::MAX,
        }
    }
}

impl Rule {
    /// Whether a store keeps a [`Log`] for it instead of a [`State`].
    pub(crate) fn keeps_log(&self) -> bool {
        matches!(self.shape, Shape::Sliding { .. })
    }
}

/// A sliding window has a [`Log`]; in a single cell it can only be counted as a fixed one. No store does so.
fn in_one_cell(limit: u64, window: Micros) -> FixedWindow {
    debug_assert!(false, "a sliding window is counted in a log, not in a cell");
    FixedWindow { limit, window }
}

/// A clock beyond the last time a state can hold stands still there.
fn bounded(now: Now) -> Now {
    Now { steady: now.steady.min(LAST), wall: now.wall.min(LAST) }
}

/// A stored time as it is to be believed at `now`. Ahead by a moment it is kept, and no time has passed since. Ahead by
/// more, the clock was wrong when it was written: it becomes now, so that the error costs one window and not a year.
fn believed(stored: Micros, now: Micros) -> Micros {
    if stored > now + SKEW { now } else { stored }
}

/// Whether `cost` can be had on top of `count`; zero asks for one.
fn fits(limit: u64, count: u64, cost: u64) -> bool {
    cost.max(1) <= limit.saturating_sub(count)
}

/// What a count says of itself once it has decided; `reset` is when it starts again.
fn counted(limit: u64, count: u64, reset: Micros) -> Verdict {
    Verdict { allowed: true, quota: limit, remaining: limit.saturating_sub(count), reset, ..Verdict::default() }
}

/// `count` with `units` added or given back: never below zero, never above [`MOST`].
fn adjusted(count: u64, units: i64) -> u64 {
    count.saturating_add_signed(units).min(MOST)
}

/// `part` of `whole` in 65536 steps; anything at all is at least 1, all of it is 65535.
fn share(part: u64, whole: u64) -> u16 {
    match part {
        0 => 0,
        part if part >= whole => u16::MAX,
        // Below 2^53 a double holds both, and the cast of a float saturates.
        part => ((part as f64 / whole as f64 * 65535.0) as u16).max(1),
    }
}
