//! Proof that each algorithm counts as it says.

mod calendars;
mod clocks;
mod differential;
mod edges;
mod rules;
mod trace;
mod undoing;

use std::time::Duration;

use jiff::tz::TimeZone;
use tidegate_core::config::Rate;

use super::{Log, Period, State};
use crate::rule::{Micros, Now, Rule, Shape, Verdict};

/// A clock at the begin of 2026, far enough from every epoch.
const START: Micros = 1_767_225_600 * 1_000_000;

fn rate(text: &str) -> Rate {
    text.parse().unwrap()
}

fn bucket(capacity: u64, refill: &str) -> Rule {
    Rule::token_bucket(capacity, rate(refill), Duration::ZERO).unwrap()
}

/// Europe/Berlin as it has been since 1996, whatever zone data the machine has.
fn berlin() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

fn at(micros: Micros) -> Now {
    Now { steady: micros, wall: micros }
}

fn at_ms(millis: u64) -> Now {
    at(START + millis * 1000)
}

/// One key counted by one rule, as a store keeps it.
struct Counter {
    rule: Rule,
    state: State,
    log: Log,
}

impl Counter {
    fn new(rule: Rule) -> Self {
        Self { rule, state: State::FRESH, log: Log::default() }
    }

    fn take(&mut self, now: Now, cost: u64) -> Verdict {
        if let Shape::Sliding { limit, window } = self.rule.shape {
            return self.log.take(limit, window, now, cost).unwrap_or_else(|refusal| refusal);
        }
        let said = self.rule.shape.take(self.state, now, cost);
        assert_eq!(said.is_ok(), said.map_or_else(|refusal| refusal, |(_, verdict)| verdict).allowed);
        match said {
            Ok((state, verdict)) if cost > 0 => {
                self.state = state;
                verdict
            }
            Ok((_, verdict)) | Err(verdict) => {
                self.state = self.rule.shape.corrected(self.state, now).unwrap_or(self.state);
                verdict
            }
        }
    }

    fn charge(&mut self, now: Now, units: i64) {
        match self.rule.shape {
            Shape::Sliding { limit, window } => self.log.charge(limit, window, now, units),
            _ => self.state = self.rule.shape.charge(self.state, now, units),
        }
    }

    /// How many of so many requests at the same time get through.
    fn burst(&mut self, now: Now, requests: u64) -> u64 {
        (0..requests).filter(|_| self.take(now, 1).allowed).count() as u64
    }
}
