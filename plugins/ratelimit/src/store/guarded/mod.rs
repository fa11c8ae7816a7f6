//! A shared store, and what happens without it. A request never waits longer for it than the store's timeout, and not
//! at all while it is known to be down.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use smallvec::SmallVec;
use tidegate_core::StoreError;

use super::leased::Leased;
use super::memory::Memory;
use super::redis::RedisStore;
use super::{Ask, Settlement, Strike, Taken};
use crate::config::{Lease, OnStoreError};
use crate::key::Key;
use crate::metrics::StoreLost;
use crate::rule::{Micros, Now, Rule, Shape, Verdict};

mod shares;

use self::shares::Shares;

/// A store of all gateways, for one group of limits.
#[derive(Debug)]
pub(crate) struct Guarded {
    remote: Remote,
    without: Without,
    lost: StoreLost,
}

#[derive(Debug)]
enum Remote {
    Strict(RedisStore),
    Leased(Leased),
}

/// What is done when the store is lost.
#[derive(Debug)]
enum Without {
    Allow,
    Deny,
    Local { memory: Arc<Memory>, shares: Shares },
}

impl Guarded {
    /// Counts in `store`, by leases if there is one. `local` is where `on_error: local` counts; without it, as `deny`.
    pub(crate) fn new(
        store: RedisStore,
        lease: Option<Lease>,
        on_error: OnStoreError,
        local: Option<Arc<Memory>>,
        lost: StoreLost,
    ) -> Self {
        let without = match (on_error, local) {
            (OnStoreError::Allow, _) => Without::Allow,
            (OnStoreError::Local, Some(memory)) => Without::Local { memory, shares: Shares::default() },
            (OnStoreError::Deny, _) | (OnStoreError::Local, None) => Without::Deny,
        };
        let remote = match lease {
            None => Remote::Strict(store),
            Some(lease) => Remote::Leased(Leased::new(store, lease)),
        };
        Self { remote, without, lost }
    }

    /// `None`: the store is lost, and requests are denied without it. Without verdicts: it is lost, and they pass.
    pub(crate) async fn take(&self, asks: &[Ask<'_>]) -> Option<Taken> {
        let now = self.now();
        let taken = match &self.remote {
            Remote::Strict(store) => store.take(asks, now).await,
            Remote::Leased(leased) => leased.take(asks, now).await,
        };
        match taken {
            Ok(taken) => {
                self.remember_bans(asks, &taken, now);
                Some(taken)
            }
            Err(error) => self.take_without(asks, now, &error),
        }
    }

    fn take_without(&self, asks: &[Ask<'_>], now: Now, error: &StoreError) -> Option<Taken> {
        log::debug!(store = self.store().name(), kind = error.kind(); "limits are decided without their store");
        match &self.without {
            Without::Allow => {
                self.lost.allowed.inc();
                Some(Taken { allowed: true, verdicts: SmallVec::new() })
            }
            Without::Deny => {
                self.lost.denied.inc();
                None
            }
            Without::Local { memory, shares } => {
                self.lost.local.inc();
                let gateways = self.store().gateways();
                let rules: SmallVec<[Arc<Rule>; 4]> = asks.iter().map(|ask| shares.of(ask.rule, gateways)).collect();
                let asks: SmallVec<[Ask<'_>; 4]> =
                    asks.iter().zip(&rules).map(|(ask, rule)| Ask { rule, ..*ask }).collect();
                Some(memory.take(&asks, now))
            }
        }
    }

    /// Bans outlive the loss of the store, for those whom this gateway has turned away.
    fn remember_bans(&self, asks: &[Ask<'_>], taken: &Taken, now: Now) {
        let Without::Local { memory, .. } = &self.without else { return };
        for (ask, verdict) in asks.iter().zip(&taken.verdicts) {
            if ask.rule.shape == Shape::Ban && !verdict.allowed {
                let units = i64::try_from(verdict.retry).unwrap_or(i64::MAX);
                let (rule, key, policy) = (ask.rule.clone(), ask.key.clone(), ask.policy);
                memory.settle(&Settlement { rule, key, units, policy }, now);
            }
        }
    }

    /// Charges or gives back, soon.
    pub(crate) fn settle(&self, settlement: Settlement) {
        if matches!(settlement.rule.shape, Shape::Concurrency { .. }) {
            return self.release(&settlement);
        }
        let store = self.store();
        match self.local() {
            Some((memory, shares)) if !store.is_up() => {
                let rule = Rule::clone(&shares.of(&settlement.rule, store.gateways()));
                memory.settle(&Settlement { rule, ..settlement }, memory.now());
            }
            _ => store.settle(settlement, self.now()),
        }
    }

    /// A request under a `concurrency` limit has ended. It is given back where it was taken: in the store, or here
    /// while the store was lost. Units of one key are alike, so those of one place may stand for those of the other,
    /// but all of them are given back.
    pub(crate) fn release(&self, settlement: &Settlement) {
        let rest = self.store().release(settlement);
        if let Some((memory, _)) = self.local().filter(|_| rest > 0) {
            let units = -i64::try_from(rest).unwrap_or(i64::MAX);
            memory.settle(&Settlement { units, ..settlement.clone() }, memory.now());
        }
    }

    /// Counts a strike: soon, or now while the store is lost. True if it has led to a ban here.
    pub(crate) fn strike(&self, strike: &Strike) -> bool {
        match self.local() {
            Some((memory, _)) if !self.store().is_up() => {
                self.store().forget_ban(strike);
                memory.strike(strike, memory.now())
            }
            _ => {
                self.store().strike(strike);
                false
            }
        }
    }

    /// What the store says of a key; `None` if it is lost.
    pub(crate) async fn look(&self, rule: &Rule, key: &Key) -> Option<Verdict> {
        self.store().look(rule, key, self.now()).await.ok()
    }

    /// Forgets what is counted of a key, here too. Whether there was anything; `None` if the store is lost.
    pub(crate) async fn reset(&self, rule: &Rule, key: &Key) -> Option<bool> {
        if let Some((memory, shares)) = self.local() {
            memory.reset(&shares.of(rule, self.store().gateways()), key);
        }
        match &self.remote {
            Remote::Strict(store) => store.reset(rule, key).await.ok(),
            Remote::Leased(leased) => leased.reset(rule, key).await.ok(),
        }
    }

    fn store(&self) -> &RedisStore {
        match &self.remote {
            Remote::Strict(store) => store,
            Remote::Leased(leased) => leased.store(),
        }
    }

    fn local(&self) -> Option<(&Memory, &Shares)> {
        match &self.without {
            Without::Local { memory, shares } => Some((memory, shares)),
            Without::Allow | Without::Deny => None,
        }
    }

    /// The store has its own clock; only calendars look at this one.
    fn now(&self) -> Now {
        match &self.without {
            Without::Local { memory, .. } => memory.now(),
            Without::Allow | Without::Deny => {
                let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
                Now { steady: 0, wall: Micros::try_from(wall).unwrap_or(Micros::MAX) }
            }
        }
    }
}
