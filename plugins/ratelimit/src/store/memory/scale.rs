//! What a cell must know of its limit so that anyone can judge its state: how full it is, and whether it is over.
//!
//! Written once, when a key gets the cell; so a judgement rests on one atomic word, and is right for as long as that
//! word stands.

use super::word::{Kind, Word};
use crate::rule::{Micros, Now, Rule, Shape};

/// Policy, brim and pace in 64 bits. All rounding makes a state look fuller and longer-lived than it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scale(pub(super) u64);

/// What may be done with a cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Standing {
    /// As good as a key never seen: the cell may be used for another at no loss.
    Free,
    /// Less than half of the limit is used; this share of it. May go if it must.
    Low(f64),
    /// Guilty, in flight, or in the middle of something: stays.
    Stays,
}

/// Longer than any window of the calendar is longer than its period's usual length.
const CALENDAR_MARGIN: Micros = 36 * 3600 * 1_000_000;
/// Threads don't read the clock at the same moment.
const MARGIN: f64 = 1000.0;
/// Makes up for what an `f32` may have rounded down.
const UP: f64 = 1.0 + 1e-6;

impl Scale {
    pub(super) fn of(rule: &Rule, policy: u16) -> Self {
        // Of a bucket the pace is microseconds for each unit to drain, of a window how long it is.
        let (brim, pace) = match &rule.shape {
            Shape::Bucket(b) => (b.burst + b.extra, b.tick as f32 / b.drain as f32),
            Shape::Fixed(f) => (f.limit, f.window as f32),
            Shape::Calendar(c) => (c.limit, (rule.window + CALENDAR_MARGIN) as f32),
            Shape::Sliding { limit, window } => (*limit, *window as f32),
            Shape::Concurrency { limit } => (*limit, 0.0),
            Shape::Ban => (1, 0.0),
        };
        Self(u64::from(policy) << 48 | u64::from(short(brim)) << 32 | u64::from(pace.to_bits()))
    }

    pub(super) fn policy(self) -> u16 {
        (self.0 >> 48) as u16
    }

    pub(super) fn with_policy(self, policy: u16) -> Self {
        Self(self.0 & (u64::MAX >> 16) | u64::from(policy) << 48)
    }

    pub(super) fn standing(self, word: Word, now: Now) -> Standing {
        if word.pending() > 0 {
            return Standing::Stays;
        }
        let state = word.state();
        let (amount, since) = (state.amount as f64, |now: Micros| now as f64 - state.time as f64);
        match word.kind() {
            Some(Kind::Concurrency) if state.amount > 0 => Standing::Stays,
            Some(Kind::Ban) if state.time.min(now.steady.saturating_add(state.amount)) > now.steady => Standing::Stays,
            Some(Kind::Concurrency | Kind::Ban) => Standing::Free,
            _ if state.amount == 0 => Standing::Free,
            Some(Kind::Bucket) => {
                let left = (amount * self.pace() * UP - since(now.steady)).max(0.0) + MARGIN;
                judged(left <= MARGIN && since(now.steady) > MARGIN, left / (self.brim() * self.pace()))
            }
            Some(Kind::Fixed) => judged(since(now.steady) > self.pace() * UP + MARGIN, amount / self.brim()),
            Some(Kind::Calendar) => judged(since(now.wall) > self.pace() * UP + MARGIN, amount / self.brim()),
            None => Standing::Free,
        }
    }

    fn brim(self) -> f64 {
        long((self.0 >> 32) as u16)
    }

    fn pace(self) -> f64 {
        f64::from(f32::from_bits(self.0 as u32))
    }
}

fn judged(over: bool, share: f64) -> Standing {
    match share {
        _ if over => Standing::Free,
        share if share < 0.5 => Standing::Low(share),
        _ => Standing::Stays,
    }
}

/// A number in 16 bits: 6 of exponent, 10 after the leading one; rounded down, and below 2048 exact.
fn short(number: u64) -> u16 {
    let number = number.max(1);
    let exponent = number.ilog2();
    let mantissa = if exponent <= 10 { number << (10 - exponent) } else { number >> (exponent - 10) };
    (exponent as u16) << 10 | (mantissa & 0x3ff) as u16
}

fn long(short: u16) -> f64 {
    f64::from(1024 + (short & 0x3ff)) * f64::from(i32::from(short >> 10) - 10).exp2()
}
