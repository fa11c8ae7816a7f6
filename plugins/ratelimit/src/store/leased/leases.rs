//! What a gateway has of all keys of one store.

use std::collections::HashMap;
use std::hash::Hasher;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use siphasher::sip128::{Hasher128, SipHasher13};

use super::bans::Bans;
use super::lease::{Claim, Grant, Lease, Spent};
use crate::key::Key;
use crate::rule::{Micros, Rule, Verdict};
use crate::store::Ask;
use crate::store::redis::RedisStore;

const SHARDS: usize = 64;
/// In each shard. Keys beyond that are asked for strictly.
const MOST: usize = 1024;

/// All leases. A lock is held for a few instructions.
#[derive(Debug)]
pub(crate) struct Leases {
    shards: Box<[Mutex<HashMap<Id, Lease>>]>,
    /// Of the same keys' ids.
    pub(crate) bans: Bans,
    /// Whoever chooses keys can't choose which meet.
    seed: (u64, u64),
}

/// One key under one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Id(u128);

impl Id {
    /// In which of so many shards it is.
    pub(super) fn place(self, shards: usize) -> usize {
        (self.0 % shards as u128) as usize
    }
}

impl Default for Leases {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, bans: Bans::default(), seed: rand::random() }
    }
}

impl Leases {
    pub(crate) fn id(&self, rule: &Rule, key: &Key) -> Id {
        let mut hasher = SipHasher13::new_with_keys(self.seed.0, self.seed.1);
        hasher.write_u64(key.limit);
        hasher.write_u64(rule.fingerprint);
        hasher.write(&key.bytes);
        Id(hasher.finish128().as_u128())
    }

    pub(super) fn spend(&self, id: Id, cost: u64, at: Instant) -> Spent {
        self.with(id, |lease| lease.spend(cost, at)).unwrap_or(Spent::Missing)
    }

    pub(super) fn put_back(&self, id: Id, lease: Micros, cost: u64) -> bool {
        self.with(id, |found| found.put_back(lease, cost)).unwrap_or(false)
    }

    /// What was held for a request that waits for the store is spent, or was put back.
    pub(super) fn settled(&self, id: Id, cost: u64) {
        self.with(id, |lease| lease.settled(cost));
    }

    pub(super) fn claim(&self, id: Id, ask: &Ask<'_>, store: &RedisStore, at: Instant) -> Claim {
        let mut shard = self.shard(id).lock();
        if shard.len() >= MOST && !shard.contains_key(&id) {
            return Claim::default();
        }
        shard.entry(id).or_insert_with(|| Lease::none(ask.rule, ask.key, store, at)).claim(ask.cost, at)
    }

    pub(super) fn unclaim(&self, id: Id, had: u64) {
        self.with(id, |lease| lease.unclaim(had));
    }

    pub(super) fn granted(&self, id: Id, grant: &Grant) {
        self.with(id, |lease| lease.granted(grant));
    }

    pub(super) fn said(&self, id: Id, verdict: Verdict, at: Instant) -> u64 {
        self.with(id, |lease| lease.said(verdict, at)).unwrap_or(0)
    }

    pub(super) fn refused(&self, id: Id, cost: u64, verdict: Verdict, at: Instant, most: Duration) {
        self.with(id, |lease| lease.refused(cost, verdict, at, most));
    }

    pub(super) fn refusal(&self, id: Id, cost: u64, at: Instant) -> Option<Verdict> {
        self.with(id, |lease| lease.refusal(cost, at)).flatten()
    }

    pub(super) fn last(&self, id: Id, at: Instant) -> Option<Verdict> {
        self.with(id, |lease| lease.last(at))
    }

    /// The counts it was taken from are gone as well.
    pub(super) fn forget(&self, id: Id) {
        self.with(id, Lease::forget);
    }

    /// Gives back what has not been spent in its time.
    pub(crate) fn sweep(&self, at: Instant) {
        for shard in &self.shards {
            shard.lock().retain(|_, lease| !lease.is_over(at));
        }
        self.bans.sweep(at);
    }

    /// Gives back everything: the gateway ends.
    pub(crate) fn give_all_back(&self) {
        for shard in &self.shards {
            shard.lock().values_mut().for_each(Lease::give_back);
        }
    }

    fn with<T>(&self, id: Id, step: impl FnOnce(&mut Lease) -> T) -> Option<T> {
        self.shard(id).lock().get_mut(&id).map(step)
    }

    fn shard(&self, id: Id) -> &Mutex<HashMap<Id, Lease>> {
        // 64 of them, and six bits.
        &self.shards[id.place(SHARDS)]
    }
}
