//! What a gateway has of one key.

use std::time::{Duration, Instant};

use crate::key::Key;
use crate::rule::{Micros, Now, Rule, Verdict};
use crate::store::redis::RedisStore;

/// A batch, and what was said last.
#[derive(Debug)]
pub(super) struct Lease {
    tokens: u64,
    until: Instant,
    /// When it was granted, by the server's clock; tells it from the one before.
    granted_at: Micros,
    /// When, by this gateway's clocks.
    granted_here: Now,
    /// A request is asking for the next one.
    claimed: bool,
    /// Units of it, or of the one before, that requests have which wait for what the store says of other limits.
    waiting: u64,
    last: Verdict,
    said_at: Instant,
    /// At least this cost is refused until then.
    refused: Option<(u64, Instant)>,
    rule: Rule,
    key: Key,
    store: RedisStore,
}

/// What the store has granted.
#[derive(Debug)]
pub(super) struct Grant {
    pub tokens: u64,
    pub verdict: Verdict,
    /// By the server's clock.
    pub granted_at: Micros,
    /// By this gateway's clocks.
    pub granted_here: Now,
    /// Before the question was sent.
    pub asked: Instant,
    pub until: Instant,
}

/// What came of spending.
#[derive(Debug)]
pub(super) enum Spent {
    Taken {
        verdict: Verdict,
        lease: Micros,
    },
    /// Nothing is taken of it: its client is known not to be banned.
    Known(Verdict),
    Refused(Verdict),
    Missing,
}

/// What a request that asks the store has of a limit.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Claim {
    /// What was left of the lease: less than the cost.
    pub had: u64,
    /// It is the one that asks for the next lease.
    pub first: bool,
    /// What other requests have of leases, and may give back: the next lease is smaller by that.
    pub waiting: u64,
    /// The lease had enough, and the store isn't asked: which lease, and what to say.
    pub held: Option<(Micros, Verdict)>,
}

impl Lease {
    pub(super) fn none(rule: &Rule, key: &Key, store: &RedisStore, at: Instant) -> Self {
        let (rule, key, store) = (rule.clone(), key.clone(), store.clone());
        let last = Verdict { allowed: true, quota: rule.quota, remaining: rule.quota, ..Verdict::default() };
        let (until, said_at) = (at, at);
        let granted_here = Now { steady: 0, wall: 0 };
        let (tokens, granted_at, claimed, waiting, refused) = (0, 0, false, 0, None);
        Self { tokens, until, granted_at, granted_here, claimed, waiting, last, said_at, refused, rule, key, store }
    }

    pub(super) fn spend(&mut self, cost: u64, at: Instant) -> Spent {
        if let Some(refusal) = self.refusal(cost, at) {
            return Spent::Refused(refusal);
        }
        if at >= self.until || self.tokens < cost {
            return Spent::Missing;
        }
        self.tokens -= cost;
        Spent::Taken { verdict: self.last(at), lease: self.granted_at }
    }

    /// Whether it could be put back: into the lease it was of.
    pub(super) fn put_back(&mut self, lease: Micros, cost: u64) -> bool {
        let same = self.granted_at == lease && !self.claimed;
        self.tokens += if same { cost } else { 0 };
        same
    }

    /// For a request that asks the store, of this limit or of others: what there is, if it is enough; else the right to
    /// ask for the next lease.
    pub(super) fn claim(&mut self, cost: u64, at: Instant) -> Claim {
        if at >= self.until {
            self.give_back();
        }
        if self.tokens >= cost {
            self.tokens -= cost;
            self.waiting += cost;
            return Claim { held: Some((self.granted_at, self.last(at))), ..Claim::default() };
        }
        if self.claimed {
            return Claim::default();
        }
        self.claimed = true;
        Claim { had: std::mem::take(&mut self.tokens), first: true, waiting: self.waiting, held: None }
    }

    /// A request that had units of it waits no longer.
    pub(super) fn settled(&mut self, cost: u64) {
        self.waiting = self.waiting.saturating_sub(cost);
    }

    /// The claim came to nothing.
    pub(super) fn unclaim(&mut self, had: u64) {
        self.claimed = false;
        self.tokens += had;
    }

    pub(super) fn granted(&mut self, grant: &Grant) {
        self.claimed = false;
        (self.tokens, self.until) = (grant.tokens, grant.until);
        (self.granted_at, self.granted_here) = (grant.granted_at, grant.granted_here);
        (self.last, self.said_at, self.refused) = (grant.verdict, grant.asked, None);
    }

    /// The store has said how it is, of a request that left the lease alone. Returns what the lease has.
    pub(super) fn said(&mut self, verdict: Verdict, at: Instant) -> u64 {
        (self.last, self.said_at, self.refused) = (verdict, at, None);
        if at < self.until { self.tokens } else { 0 }
    }

    pub(super) fn refused(&mut self, cost: u64, verdict: Verdict, at: Instant, most: Duration) {
        (self.last, self.said_at) = (verdict, at);
        self.refused = Some((cost, at + most.min(Duration::from_micros(verdict.retry))));
    }

    pub(super) fn refusal(&self, cost: u64, at: Instant) -> Option<Verdict> {
        let (least, until) = self.refused?;
        let passed = self.passed(at);
        let retry = self.last.retry.saturating_sub(passed).max(1);
        let reset = self.last.reset.saturating_sub(passed);
        (cost >= least && at < until).then_some(Verdict { allowed: false, retry, reset, ..self.last })
    }

    /// What was said last, as it is now.
    pub(super) fn last(&self, at: Instant) -> Verdict {
        let remaining = self.last.remaining.saturating_add(self.tokens);
        let reset = self.last.reset.saturating_sub(self.passed(at));
        Verdict { allowed: true, remaining, reset, retry: 0, delay: 0, ..self.last }
    }

    /// Gives back what is left to the store.
    pub(super) fn give_back(&mut self) {
        if self.tokens > 0 {
            self.store.undo(&self.rule, &self.key, self.tokens, self.granted_at, self.granted_here);
            self.tokens = 0;
        }
    }

    pub(super) fn forget(&mut self) {
        // Nor can anything be put back into it.
        (self.tokens, self.refused, self.granted_at) = (0, None, 0);
    }

    /// Nothing is left to know about it; tokens are given back.
    pub(super) fn is_over(&mut self, at: Instant) -> bool {
        if self.claimed || self.waiting > 0 || at < self.until {
            return false;
        }
        self.give_back();
        self.refused.is_none_or(|(_, until)| at >= until)
    }

    fn passed(&self, at: Instant) -> Micros {
        u64::try_from(at.saturating_duration_since(self.said_at).as_micros()).unwrap_or(Micros::MAX)
    }
}
