//! The three windows.

use super::{Model, believed};
use crate::rule::{Micros, Now, Verdict};

/// A window that begins with a request, and everything in it.
pub(crate) struct FirstToLast {
    pub(crate) limit: u64,
    pub(crate) window: Micros,
    begun: Option<Micros>,
    taken: Vec<u64>,
}

impl FirstToLast {
    pub(crate) fn new(limit: u64, window: Micros) -> Self {
        Self { limit, window, begun: None, taken: Vec::new() }
    }

    fn close_if_over(&mut self, now: Micros) {
        self.begun = self.begun.map(|begun| believed(begun, now)).filter(|begun| now < begun + self.window);
        if self.begun.is_none() {
            self.taken.clear();
        }
    }

    fn used(&self) -> u64 {
        self.taken.iter().sum()
    }

    fn left_of_window(&self, now: Micros) -> Micros {
        self.begun.map_or(0, |begun| begun + self.window - now)
    }
}

impl Model for FirstToLast {
    fn take(&mut self, now: Now, cost: u64) -> Verdict {
        let now = now.steady;
        let before = (self.begun.map(|begun| believed(begun, now)), self.taken.clone());
        self.close_if_over(now);
        let allowed = self.used() + cost.max(1) <= self.limit;
        if allowed && cost > 0 {
            self.begun.get_or_insert(now);
            self.taken.push(cost);
        }
        let never = if self.begun.is_none() { self.window } else { self.left_of_window(now) };
        let verdict = Verdict {
            allowed,
            quota: self.limit,
            remaining: self.limit.saturating_sub(self.used()),
            reset: self.left_of_window(now),
            retry: if allowed { 0 } else { never },
            delay: 0,
        };
        if !allowed || cost == 0 {
            (self.begun, self.taken) = before;
        }
        verdict
    }

    fn charge(&mut self, now: Now, units: i64) {
        self.close_if_over(now.steady);
        let used = self.used().saturating_add_signed(units);
        self.taken = vec![used];
        self.begun = if used == 0 { None } else { Some(self.begun.unwrap_or(now.steady)) };
    }
}

/// The window a time of day belongs to: its begin and its end.
pub(crate) type Window = fn(Micros) -> (Micros, Micros);

/// The days, weeks or months of UTC, told apart by a number.
pub(crate) struct Almanac {
    pub(crate) limit: u64,
    pub(crate) window: Window,
    begin: Micros,
    used: u64,
}

impl Almanac {
    pub(crate) fn new(limit: u64, window: Window) -> Self {
        Self { limit, window, begin: 0, used: 0 }
    }

    fn turn(&mut self, wall: Micros) -> Micros {
        let (begin, end) = (self.window)(wall);
        if begin > self.begin {
            self.used = 0;
        }
        self.begin = begin;
        end - wall
    }
}

impl Model for Almanac {
    fn take(&mut self, now: Now, cost: u64) -> Verdict {
        let page = (self.begin, self.used);
        let left = self.turn(now.wall);
        let allowed = self.used + cost.max(1) <= self.limit;
        if allowed {
            self.used += cost;
        }
        let used = self.used;
        if (!allowed || cost == 0) && page.0 < self.begin {
            (self.begin, self.used) = page;
        }
        let reset = if used == 0 { 0 } else { left };
        let retry = if allowed { 0 } else { left };
        Verdict { allowed, quota: self.limit, remaining: self.limit.saturating_sub(used), reset, retry, delay: 0 }
    }

    fn charge(&mut self, now: Now, units: i64) {
        self.turn(now.wall);
        self.used = self.used.saturating_add_signed(units);
    }
}

/// Every request that was ever let through, one line each.
pub(crate) struct Diary {
    pub(crate) limit: u64,
    pub(crate) window: Micros,
    lines: Vec<Micros>,
}

impl Diary {
    pub(crate) fn new(limit: u64, window: Micros) -> Self {
        Self { limit, window, lines: Vec::new() }
    }

    fn counting(&self, now: Micros) -> u64 {
        self.lines.iter().filter(|line| now < **line + self.window).count() as u64
    }

    fn correct(&mut self, now: Micros) {
        let (kept, ahead): (Vec<_>, Vec<_>) = self.lines.iter().partition(|line| believed(**line, now) == **line);
        let last = kept.iter().copied().max().map_or(now, |last| now.max(last));
        self.lines = kept;
        self.lines.extend(ahead.iter().map(|_| last));
        self.lines.retain(|line| now < line + self.window);
    }

    fn write(&mut self, now: Micros, units: u64) {
        let now = self.lines.iter().copied().max().map_or(now, |last| last.max(now));
        self.lines.extend((0..units).map(|_| now));
    }
}

impl Model for Diary {
    fn take(&mut self, now: Now, cost: u64) -> Verdict {
        let now = now.steady;
        self.correct(now);
        let has_room = |diary: &Self, at: Micros| diary.counting(at) + cost.max(1) <= diary.limit;
        let allowed = has_room(self, now);
        if allowed {
            self.write(now, cost);
        }
        let ends = || self.lines.iter().map(|line| line + self.window);
        let first_room = ends().filter(|end| has_room(self, *end)).min();
        Verdict {
            allowed,
            quota: self.limit,
            remaining: self.limit.saturating_sub(self.counting(now)),
            reset: ends().max().map_or(0, |end| end - now),
            retry: if allowed { 0 } else { first_room.map_or(self.window, |end| end - now) },
            delay: 0,
        }
    }

    fn charge(&mut self, now: Now, units: i64) {
        self.correct(now.steady);
        if units > 0 {
            self.write(now.steady, units.unsigned_abs());
        } else {
            let stay = self.lines.len().saturating_sub(usize::try_from(units.unsigned_abs()).unwrap());
            self.lines.sort_unstable();
            self.lines.truncate(stay);
        }
    }
}
