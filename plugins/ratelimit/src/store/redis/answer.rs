//! What a script answers, and the verdicts made of it.

use smallvec::SmallVec;

use crate::algorithm::{LAST, MOST, State};
use crate::rule::{Micros, Now, Shape, Verdict};
use crate::store::{Ask, Taken};

/// What `limits.lua` said.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The server's time.
    pub time: Micros,
    /// Whether all that isn't a shadow was allowed; if not, nothing was taken.
    pub allowed: bool,
    cells: SmallVec<[Cell; 4]>,
}

/// What it said of one key.
#[derive(Debug, Clone, Copy)]
struct Cell {
    granted: Option<u64>,
    before: [u64; 3],
}

/// An answer that isn't one of our script.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an answer of {numbers} numbers for {asks} limits")]
pub(super) struct Nonsense {
    numbers: usize,
    asks: usize,
}

impl Answer {
    /// To a question without limits.
    pub(super) fn empty() -> Self {
        Self { time: 0, allowed: true, cells: SmallVec::new() }
    }

    pub(super) fn read(numbers: &[i64], asks: usize) -> Result<Self, Nonsense> {
        let nonsense = Nonsense { numbers: numbers.len(), asks };
        let Some((&[time, allowed], rest)) = numbers.split_first_chunk() else { return Err(nonsense) };
        let (Ok(time), true) = (u64::try_from(time), rest.len() == asks * 4) else { return Err(nonsense) };
        let cells = rest.chunks_exact(4).filter_map(Cell::read).collect::<SmallVec<_>>();
        match cells.len() == asks {
            true => Ok(Self { time: time.min(LAST), allowed: allowed == 1, cells }),
            false => Err(nonsense),
        }
    }

    /// How many units of the ask at `place` were taken.
    pub(crate) fn granted(&self, place: usize) -> u64 {
        self.cells.get(place).filter(|_| self.allowed).and_then(|cell| cell.granted).unwrap_or(0)
    }

    /// The verdict on each ask, for what was granted.
    pub(crate) fn taken(&self, asks: &[Ask<'_>], now: Now) -> Taken {
        let now = Now { steady: self.time, ..now };
        let verdicts = asks.iter().zip(&self.cells).map(|(ask, cell)| self.verdict(ask, *cell, now)).collect();
        Taken { allowed: self.allowed, verdicts }
    }

    fn verdict(&self, ask: &Ask<'_>, cell: Cell, now: Now) -> Verdict {
        match cell.granted {
            None => Verdict { allowed: false, ..cell.take(ask, now, ask.cost) },
            Some(granted) if self.allowed => Verdict { allowed: true, ..cell.take(ask, now, granted) },
            // It would have been allowed, but another limit refused: nothing was taken.
            Some(_) => Verdict { allowed: true, retry: 0, delay: 0, ..cell.take(ask, now, 0) },
        }
    }
}

impl Cell {
    fn read(numbers: &[i64]) -> Option<Self> {
        let &[granted, a, b, c] = numbers else { return None };
        let [a, b, c] = [a, b, c].map(|number| u64::try_from(number).ok().filter(|number| *number <= MOST));
        Some(Self { granted: u64::try_from(granted).ok(), before: [a?, b?, c?] })
    }

    /// The same step as the script's, on the same state, at the same time.
    fn take(self, ask: &Ask<'_>, now: Now, cost: u64) -> Verdict {
        let [time, amount, retry] = self.before;
        let Shape::Sliding { limit, window } = ask.rule.shape else {
            let state = State { time: time.min(LAST), amount };
            return match ask.rule.shape.take(state, now, cost) {
                Ok((_, verdict)) | Err(verdict) => verdict,
            };
        };
        // The script has counted its log: `total`, `reset`, `retry`.
        let (total, reset) = (time, amount);
        let granted = self.granted.map_or(0, |_| cost);
        Verdict {
            allowed: self.granted.is_some(),
            quota: limit,
            remaining: limit.saturating_sub(total.saturating_add(granted)),
            reset: if granted > 0 { reset.max(window) } else { reset },
            retry: if self.granted.is_some() { 0 } else { retry },
            delay: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_are_not_of_our_script_are_errors() {
        for numbers in [&[][..], &[1], &[1, 1], &[-1, 1, 0, 0, 0, 0], &[1, 1, 0, 0, 0], &[1, 1, 0, -5, 0, 0]] {
            Answer::read(numbers, 1).expect_err("nonsense");
        }
        assert!(Answer::read(&[5, 1, 0, 3, 0, 0], 1).expect("an answer").allowed);
        Answer::read(&[5, 1, 0, i64::MAX, 0, 0], 1).expect_err("beyond any time");
    }
}
