//! Proof that the store counts exactly, whatever threads do, and keeps whom it must when it is full.

mod asks;
mod counting;
mod crowded;
mod interleavings;
mod model;
mod reload;
mod threads;
mod windows;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use tidegate_core::config::Rate;
use tidegate_core::{Clock, TimeSource};

use super::{Memory, Size};
use crate::key::{Key, KeyBytes};
use crate::rule::Rule;
use crate::store::{Ask, Settlement, Strike};

/// Time that a test turns.
#[derive(Clone)]
pub(in crate::store::memory) struct Turned {
    pub(in crate::store::memory) start: (Instant, SystemTime),
    passed: Arc<Mutex<Duration>>,
}

impl Turned {
    pub(in crate::store::memory) fn new() -> Self {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        Self { start: (Instant::now(), wall), passed: Arc::default() }
    }

    pub(in crate::store::memory) fn clock(&self) -> Clock {
        Clock::new(self.clone())
    }

    pub(in crate::store::memory) fn pass(&self, seconds: u64) {
        *self.passed.lock() += Duration::from_secs(seconds);
    }
}

impl TimeSource for Turned {
    fn now(&self) -> Instant {
        self.start.0 + *self.passed.lock()
    }
    fn wall(&self) -> SystemTime {
        self.start.1 + *self.passed.lock()
    }
    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::pending())
    }
}

pub(in crate::store::memory) fn rate(text: &str) -> Rate {
    text.parse().unwrap()
}

pub(in crate::store::memory) fn bucket(capacity: u64, refill: &str) -> Rule {
    Rule::token_bucket(capacity, rate(refill), Duration::ZERO).unwrap()
}

pub(in crate::store::memory) fn fixed(text: &str) -> Rule {
    Rule::fixed_window(rate(text)).unwrap()
}

pub(in crate::store::memory) fn sliding(text: &str) -> Rule {
    Rule::sliding_window(rate(text)).unwrap()
}

pub(in crate::store::memory) fn concurrency(limit: u64) -> Rule {
    Rule::concurrency(limit).unwrap()
}

pub(in crate::store::memory) fn key(limit: u64, whose: u64) -> Key {
    Key { limit, bytes: KeyBytes::from_slice(&whose.to_le_bytes()) }
}

pub(in crate::store::memory) fn ask<'a>(rule: &'a Rule, key: &'a Key) -> Ask<'a> {
    Ask { rule, key, cost: 1, shadow: false, policy: 0 }
}

pub(in crate::store::memory) fn settlement(rule: &Rule, key: &Key, units: i64) -> Settlement {
    Settlement { rule: rule.clone(), key: key.clone(), units, policy: 0 }
}

/// A store of so many bytes, and its clock.
pub(in crate::store::memory) fn store(bytes: usize) -> (Memory, Turned) {
    let clock = Turned::new();
    (Memory::new(bytes, clock.clock()), clock)
}

impl Memory {
    /// Whether one unit is had.
    pub(in crate::store::memory) fn admits(&self, rule: &Rule, key: &Key) -> bool {
        self.take(&[ask(rule, key)], self.now()).allowed
    }

    /// How many of so many requests get through.
    pub(in crate::store::memory) fn burst(&self, rule: &Rule, key: &Key, requests: u64) -> u64 {
        (0..requests).filter(|_| self.admits(rule, key)).count() as u64
    }

    /// What is left for a key.
    pub(in crate::store::memory) fn left(&self, rule: &Rule, key: &Key) -> u64 {
        self.look(&Ask { cost: 0, ..ask(rule, key) }, self.now()).remaining
    }
}
