//! What the benchmark of the memory store needs. Not an interface.

use std::time::Duration;

use tidegate_core::Clock;
use tidegate_core::config::Rate;

use crate::key::{Key, KeyBytes};
use crate::rule::{Now, Rule};
use crate::store::Ask;
use crate::store::memory::{Memory, Size};

/// More than a benchmark asks for.
const MANY: u64 = 30_000_000;

/// A store, and the limits that every request asks.
pub struct Checks {
    store: Memory,
    rules: Vec<Rule>,
}

/// The keys of one request, one for each limit.
pub struct Request(Vec<Key>);

/// A time read from the store's clock.
#[derive(Clone, Copy)]
pub struct Moment(Now);

impl Checks {
    /// A store of `bytes` and so many limits, of several kinds, that admit thirty million requests each.
    pub fn new(bytes: usize, limits: usize) -> Self {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let rules = (0..limits).map(|number| match number % 4 {
            0 => Rate::new(1, minutes(1)).and_then(|refill| Rule::token_bucket(MANY, refill, Duration::ZERO).ok()),
            1 => Rate::new(MANY, minutes(15)).and_then(|rate| Rule::fixed_window(rate).ok()),
            2 => Rate::new(MANY, minutes(60)).and_then(|rate| Rule::fixed_window(rate).ok()),
            _ => Rate::new(2, minutes(1)).and_then(|refill| Rule::token_bucket(MANY, refill, Duration::ZERO).ok()),
        });
        let rules = rules.map(|rule| rule.expect("a rule that can be counted"));
        Self { store: Memory::new(Size::of(bytes, false), Clock::system()), rules: rules.collect() }
    }

    /// The request of one client: keys as long as those of an IPv4 address with its kind and length.
    pub fn request(&self, client: u64) -> Request {
        let bytes = client.to_be_bytes();
        Request((0..self.rules.len() as u64).map(|limit| Key { limit, bytes: KeyBytes::from_slice(&bytes) }).collect())
    }

    /// The time, as a request reads it once.
    pub fn now(&self) -> Moment {
        Moment(self.store.now())
    }

    /// What is measured: whether the request is admitted.
    #[inline]
    pub fn check(&self, request: &Request, now: Moment) -> bool {
        let ask = |at: usize| Ask { rule: &self.rules[at], key: &request.0[at], cost: 1, shadow: false, policy: 0 };
        match self.rules.len() {
            1 => self.store.take(&[ask(0)], now.0).allowed,
            4 => self.store.take(&[ask(0), ask(1), ask(2), ask(3)], now.0).allowed,
            _ => self.store.take(&(0..self.rules.len()).map(ask).collect::<Vec<_>>(), now.0).allowed,
        }
    }

    /// How many keys are held, and how many bytes for them.
    pub fn held(&self) -> (u64, usize) {
        let counts = self.store.counts(self.store.now());
        (counts.keys.values().sum(), counts.bytes)
    }

    /// How many times one of a client's limits was taken, to prove that all were counted.
    pub fn taken(&self, client: u64, limit: usize) -> u64 {
        let request = self.request(client);
        let (Some(rule), Some(key)) = (self.rules.get(limit), request.0.get(limit)) else { return 0 };
        let ask = Ask { rule, key, cost: 0, shadow: false, policy: 0 };
        rule.quota - self.store.look(&ask, self.store.now()).remaining
    }

    /// Requests that went uncounted, or whose key was pushed out.
    pub fn lost(&self) -> u64 {
        let counts = self.store.counts(self.store.now());
        counts.evicted + counts.untracked
    }
}
