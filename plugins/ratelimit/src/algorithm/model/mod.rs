//! Each algorithm once more: slow, and as one would explain it. They remember every request, keep fractions as
//! fractions and search for times instead of computing them. What differs from them is wrong.

mod tokens;
mod windows;

pub(crate) use tokens::{Tokens, Waiting};
pub(crate) use windows::{Almanac, Diary, FirstToLast, Window};

use crate::rule::{Micros, Now, Verdict};

const SECOND: Micros = 1_000_000;

/// An algorithm explained. A refusal and a look write nothing: they leave everything as it was, to the time at which
/// it was true; but for times written by a clock that was ahead, which are corrected.
pub(crate) trait Model {
    /// As [`crate::rule::Shape::take`].
    fn take(&mut self, now: Now, cost: u64) -> Verdict;
    /// As [`crate::rule::Shape::charge`].
    fn charge(&mut self, now: Now, units: i64);
}

/// What a stored time is worth: a second ahead it stands, further ahead the clock was wrong.
fn believed(stored: Micros, now: Micros) -> Micros {
    if stored <= now + SECOND { stored } else { now }
}

/// A room with so many seats.
pub(crate) struct Seats {
    seats: Vec<bool>,
    standing: u64,
}

impl Seats {
    pub(crate) fn new(limit: u64) -> Self {
        Self { seats: vec![false; usize::try_from(limit).unwrap()], standing: 0 }
    }

    fn free(&self) -> u64 {
        self.seats.iter().filter(|taken| !**taken).count() as u64
    }

    fn sit(&mut self) {
        match self.seats.iter_mut().find(|taken| !**taken) {
            Some(seat) => *seat = true,
            None => self.standing += 1,
        }
    }

    fn leave(&mut self) {
        if self.standing > 0 {
            self.standing -= 1;
        } else if let Some(seat) = self.seats.iter_mut().find(|taken| **taken) {
            *seat = false;
        }
    }
}

impl Model for Seats {
    fn take(&mut self, _: Now, cost: u64) -> Verdict {
        let allowed = cost.max(1) <= self.free();
        if allowed {
            (0..cost).for_each(|_| self.sit());
        }
        let empty = self.seats.iter().all(|taken| !taken);
        Verdict {
            allowed,
            quota: self.seats.len() as u64,
            remaining: self.free(),
            reset: if empty { 0 } else { SECOND },
            retry: if allowed { 0 } else { SECOND },
            delay: 0,
        }
    }

    fn charge(&mut self, _: Now, units: i64) {
        (0..units).for_each(|_| self.sit());
        (units..0).for_each(|_| self.leave());
    }
}

/// All sentences; the longest holds. A clock set back ends none earlier than its length from then.
#[derive(Default)]
pub(crate) struct Sentences {
    until: Micros,
    length: Micros,
}

impl Model for Sentences {
    fn take(&mut self, now: Now, _: u64) -> Verdict {
        self.until = self.until.min(now.steady + self.length);
        let left = self.until.saturating_sub(now.steady);
        let allowed = left == 0;
        let remaining = u64::from(allowed);
        Verdict { allowed, quota: 1, remaining, reset: left, retry: left, delay: 0 }
    }

    fn charge(&mut self, now: Now, units: i64) {
        let left = self.take(now, 0).reset;
        self.length = match u64::try_from(units) {
            Ok(length) => length.max(left),
            Err(_) => 0,
        };
        self.until = now.steady + self.length;
    }
}
