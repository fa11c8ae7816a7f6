//! A quota by the day, week or month of a time zone. Counts as a fixed window does, by the time of day.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::{SECOND, State, Step, adjusted, counted, fits};
use crate::rule::{Micros, Verdict};

/// How long a calendar's windows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Period {
    /// From midnight to midnight: 23 or 25 hours where the clocks change.
    Day,
    /// From Monday, as ISO 8601 counts.
    Week,
    /// From the first of a month.
    Month,
}

/// At most `limit` in each day, week or month.
#[derive(Debug, Clone)]
pub(crate) struct Calendar {
    /// Whole units in one window.
    pub limit: u64,
    /// Which windows.
    pub period: Period,
    /// Whose midnight.
    pub zone: TimeZone,
    current: Arc<Cached>,
}

impl PartialEq for Calendar {
    fn eq(&self, other: &Self) -> bool {
        (self.limit, self.period, &self.zone) == (other.limit, other.period, &other.zone)
    }
}

impl Eq for Calendar {}

impl Calendar {
    pub(super) fn new(limit: u64, period: Period, zone: TimeZone) -> Self {
        Self { limit, period, zone, current: Arc::default() }
    }

    pub(super) fn with_limit(&self, limit: u64) -> Self {
        Self { limit, ..self.clone() }
    }

    /// The window that holds `wall`: its begin, and its end, which is the next one's begin.
    pub(crate) fn bounds(&self, wall: Micros) -> (Micros, Micros) {
        if let Some(bounds) = self.current.holding(wall) {
            return bounds;
        }
        let bounds = self.computed(wall).unwrap_or_else(|| plain_day(wall));
        self.current.keep(bounds);
        bounds
    }

    pub(super) fn take(&self, state: State, wall: Micros, cost: u64) -> Step {
        let (begin, end) = self.bounds(wall);
        let count = count_in(begin, state);
        if !fits(self.limit, count, cost) {
            let verdict = self.verdict(count, end - wall);
            return Err(Verdict { allowed: false, retry: end - wall, ..verdict });
        }
        let verdict = self.verdict(count + cost, end - wall);
        let after = State { time: begin, amount: count + cost };
        Ok((if cost == 0 { state } else { after }, verdict))
    }

    pub(super) fn charge(&self, state: State, wall: Micros, units: i64) -> State {
        let (begin, _) = self.bounds(wall);
        begun(begin, adjusted(count_in(begin, state), units))
    }

    /// A window that began after the take knows nothing of it.
    pub(super) fn undo(&self, state: State, wall: Micros, taken_at: Micros, cost: u64) -> State {
        let (begin, _) = self.bounds(wall);
        let given_back = if taken_at >= begin { cost } else { 0 };
        begun(begin, count_in(begin, state).saturating_sub(given_back))
    }

    #[cfg(test)]
    pub(super) fn fresh_at(&self, state: State, now: crate::rule::Now) -> Micros {
        let (begin, end) = self.bounds(now.wall);
        if count_in(begin, state) == 0 { 0 } else { now.steady + (end - now.wall) }
    }

    #[cfg(test)]
    pub(super) fn count(&self, state: State, wall: Micros) -> u64 {
        count_in(self.bounds(wall).0, state)
    }

    fn verdict(&self, count: u64, left: Micros) -> Verdict {
        counted(self.limit, count, if count == 0 { 0 } else { left })
    }

    /// Where a clock change at midnight moves the begin of a day, `wall` may lie just outside the window of its own
    /// date; then it belongs to the neighbour.
    fn computed(&self, wall: Micros) -> Option<(Micros, Micros)> {
        let date = Timestamp::from_microsecond(i64::try_from(wall).ok()?).ok()?.to_zoned(self.zone.clone()).date();
        let first = self.period.first_day(date)?;
        let begin = self.midnight(first)?;
        if wall < begin {
            return Some((self.midnight(self.period.first_day(first.yesterday().ok()?)?)?, begin));
        }
        let next = self.period.next_after(first)?;
        let end = self.midnight(next)?;
        if wall < end { Some((begin, end)) } else { Some((end, self.midnight(self.period.next_after(next)?)?)) }
    }

    /// The first moment of a day, which isn't always at 0:00.
    fn midnight(&self, date: Date) -> Option<Micros> {
        let moment = date.to_zoned(self.zone.clone()).ok()?.timestamp();
        u64::try_from(moment.as_second()).ok()?.checked_mul(SECOND)
    }
}

impl Period {
    fn first_day(self, date: Date) -> Option<Date> {
        match self {
            Period::Day => Some(date),
            Period::Week => date.checked_sub(date.weekday().to_monday_zero_offset().days()).ok(),
            Period::Month => Some(date.first_of_month()),
        }
    }

    fn next_after(self, first: Date) -> Option<Date> {
        let span = match self {
            Period::Day => 1.day(),
            Period::Week => 1.week(),
            Period::Month => 1.month(),
        };
        first.checked_add(span).ok()
    }
}

/// What was counted under a later begin was counted by a clock that was ahead. It counts here, so that the key is not
/// locked out until then. Should the clock go forth over that boundary again after a step here, what was counted since
/// the boundary is forgotten: the later window begins anew.
fn count_in(begin: Micros, state: State) -> u64 {
    if state.time >= begin { state.amount } else { 0 }
}

fn begun(begin: Micros, amount: u64) -> State {
    if amount == 0 { State::FRESH } else { State { time: begin, amount } }
}

/// A day of UTC: for a time no calendar can tell.
fn plain_day(wall: Micros) -> (Micros, Micros) {
    const DAY: Micros = 86_400 * SECOND;
    let begin = wall - wall % DAY;
    (begin, begin + DAY)
}

/// The window last asked for: its begin in seconds, and its length in seconds in the lower 24 bits. One word, so that
/// no thread can see one window's begin with another's end.
#[derive(Debug, Default)]
struct Cached(AtomicU64);

impl Cached {
    const LENGTH_BITS: u32 = 24;
    const LENGTH: u64 = (1 << Self::LENGTH_BITS) - 1;

    fn holding(&self, wall: Micros) -> Option<(Micros, Micros)> {
        let word = self.0.load(Relaxed);
        let begin = (word >> Self::LENGTH_BITS) * SECOND;
        let end = begin + (word & Self::LENGTH) * SECOND;
        (begin <= wall && wall < end).then_some((begin, end))
    }

    fn keep(&self, (begin, end): (Micros, Micros)) {
        let length = (end - begin) / SECOND;
        debug_assert!(length <= Self::LENGTH);
        self.0.store((begin / SECOND) << Self::LENGTH_BITS | length.min(Self::LENGTH), Relaxed);
    }
}
