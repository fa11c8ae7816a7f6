//! Both buckets: tokens that come back.

use std::time::Duration;

use super::{Model, believed};
use crate::rule::{Micros, Now, Verdict};

/// Tokens that come back, as a fraction: `tokens / nanos` of them are there. Negative: borrowed by waiting, or owed.
pub(crate) struct Tokens {
    pub(crate) capacity: u64,
    pub(crate) rate: u64,
    pub(crate) nanos: u64,
    pub(crate) tick: Micros,
    pub(crate) waiting: Waiting,
    pub(crate) quota: u64,
    tokens: i128,
    time: Micros,
}

/// What may be had that isn't there yet.
#[derive(Clone, Copy)]
pub(crate) enum Waiting {
    Requests(u64),
    Time(Duration),
}

impl Tokens {
    pub(crate) fn bucket(capacity: u64, rate: u64, per: Duration, tick: Micros, waiting: Waiting, quota: u64) -> Self {
        let nanos = u64::try_from(per.as_nanos()).unwrap();
        let tokens = i128::from(capacity) * i128::from(nanos);
        Self { capacity, rate, nanos, tick, waiting, quota, tokens, time: 0 }
    }

    fn one(&self) -> i128 {
        i128::from(self.nanos)
    }

    fn full(&self) -> i128 {
        i128::from(self.capacity) * self.one()
    }

    fn come_in_a_tick(&self) -> i128 {
        i128::from(self.rate) * i128::from(self.tick) * 1000
    }

    fn may_be_borrowed(&self) -> i128 {
        match self.waiting {
            Waiting::Requests(queue) => i128::from(queue) * self.one(),
            Waiting::Time(time) => time.as_micros() as i128 / i128::from(self.tick) * self.come_in_a_tick(),
        }
    }

    fn refill(&mut self, now: Micros) {
        self.time = believed(self.time, now);
        let mut ticks = 0;
        if now > self.time {
            ticks = (now - self.time) / self.tick;
        }
        self.time += ticks * self.tick;
        self.tokens += i128::from(ticks) * self.come_in_a_tick();
        if self.tokens >= self.full() {
            self.tokens = self.full();
            self.time = self.time.max(now);
        }
    }

    /// How long until there are as many: the first tick at which there are, by halving.
    fn until_there_are(&self, wanted: i128, now: Micros) -> Micros {
        if self.tokens >= wanted {
            return 0;
        }
        let (mut too_few, mut enough) = (0_u64, 1_u64);
        while self.tokens + i128::from(enough) * self.come_in_a_tick() < wanted {
            (too_few, enough) = (enough, enough * 2);
        }
        while enough - too_few > 1 {
            let middle = too_few + (enough - too_few) / 2;
            let there = self.tokens + i128::from(middle) * self.come_in_a_tick() >= wanted;
            if there { enough = middle } else { too_few = middle }
        }
        self.time + enough * self.tick - now
    }

    fn whole(&self) -> u64 {
        u64::try_from(self.tokens.max(0) / self.one()).unwrap()
    }
}

impl Model for Tokens {
    fn take(&mut self, now: Now, cost: u64) -> Verdict {
        let now = now.steady;
        let before = (self.tokens, believed(self.time, now));
        self.refill(now);
        let lowest = -self.may_be_borrowed();
        let wanted = i128::from(cost.max(1)) * self.one();
        let allowed = self.tokens - wanted >= lowest;
        let mut verdict = Verdict { allowed, quota: self.quota, ..Verdict::default() };
        if allowed {
            self.tokens -= i128::from(cost) * self.one();
            verdict.delay = if cost > 0 { self.until_there_are(0, now) } else { 0 };
        } else if self.full() - wanted >= lowest {
            verdict.retry = self.until_there_are(lowest + wanted, now);
        } else {
            let all = self.full() - lowest;
            verdict.retry = u64::try_from(all / self.come_in_a_tick()).unwrap() * self.tick;
            verdict.retry += if all % self.come_in_a_tick() > 0 { self.tick } else { 0 };
        }
        verdict.remaining = self.whole();
        verdict.reset = self.until_there_are(self.full(), now);
        if !allowed || cost == 0 {
            (self.tokens, self.time) = before;
        }
        verdict
    }

    fn charge(&mut self, now: Now, units: i64) {
        self.refill(now.steady);
        self.tokens = (self.tokens - i128::from(units) * self.one()).min(self.full());
    }
}
