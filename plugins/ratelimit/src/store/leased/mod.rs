//! `consistency: leased`: a gateway takes a small batch of tokens from Redis, spends them by itself, and asks again when
//! they are spent. Most requests cost no round trip.
//!
//! # How many too many
//!
//! In any span of time, all gateways together admit at most **the limit + gateways × batch**. Proof:
//!
//! 1. Every unit that is admitted was granted by the script, once, before or when it is admitted. A request whose
//!    tokens are partly leased and partly asked for is admitted when the script runs.
//! 2. A gateway never holds more than one batch of one key that is granted and not spent: a lease is asked for by one
//!    request at a time, which spends what is left of the one before; all others ask for exactly their cost. Units that
//!    requests have while they wait for what the store says of other limits are held, too: the next lease is smaller
//!    by so many.
//! 3. So what is admitted within a span was granted within it, but for what was held when it began: gateways × batch.
//! 4. What is granted within a span and not given back is at most the limit, because the script is exact, and because
//!    giving back never makes more room than the grant took: of a bucket, as many units as can have drained since are
//!    kept; of a window that is over, nothing is given back. The level is never below what it would be if what came
//!    back had never been granted.
//!
//! Of a fixed window or quota no more than the limit is admitted between its begin and its end, whatever the number of
//! gateways: a lease ends with its window, counted from before the question was sent, so no later than the window does.
//! One exception: a request that needs more than one unit and asks while its window ends may bring along units that it
//! still held, fewer than its own cost and at most one batch.
//!
//! In the other direction, up to gateways × batch may be held by gateways that don't need them, each for as long as
//! its lease lasts.
//!
//! Leased are token buckets that don't hold requests back, fixed windows and quotas; all others are asked strictly, in
//! one call. What is held is spent first then, and put back if the store refuses the rest. A refusal is remembered until
//! it may be over, and no longer than a lease lasts.
//!
//! # Bans
//!
//! Whether a client is banned is remembered for as long as a lease lasts, so it costs at most one question in that time.
//! **Another gateway's ban is seen, and its end by an operator, when that time is over**; a ban by a strike of this
//! gateway at once. While it isn't known whether a client is banned, no remembered refusal answers for the store.

mod bans;
mod lease;
mod leases;

#[cfg(test)]
mod tests;

use std::time::Instant;

use smallvec::SmallVec;
use tidegate_core::StoreError;
use tidegate_core::config::{Duration, Percent};

pub(crate) use leases::{Id, Leases};

use self::lease::{Claim, Grant, Spent};
use super::redis::{Answer, RedisStore};
use super::{Ask, Taken};
use crate::config::Lease;
use crate::key::Key;
use crate::rule::{Micros, Now, Rule, Shape, Verdict};

/// Limits counted in Redis, by batches.
#[derive(Debug)]
pub(crate) struct Leased {
    store: RedisStore,
    batch: Percent,
    length: Duration,
}

type Verdicts = SmallVec<[Verdict; 4]>;

impl Leased {
    pub(crate) fn new(store: RedisStore, lease: Lease) -> Self {
        store.leases().bans.remember_for(lease.length.get());
        Self { store, batch: lease.batch, length: lease.length }
    }

    /// Where the leases are taken from.
    pub(crate) fn store(&self) -> &RedisStore {
        &self.store
    }

    /// Takes of all or, if one that isn't a shadow refuses, of none.
    pub(crate) async fn take(&self, asks: &[Ask<'_>], now: Now) -> Result<Taken, StoreError> {
        let at = Instant::now();
        if let Some(taken) = self.take_here(asks, now, at) {
            return Ok(taken);
        }
        let claims = self.claim(asks, now, at);
        let missing: SmallVec<[Ask<'_>; 4]> = claims.missing().collect();
        let most: SmallVec<[u64; 4]> = claims.most().collect();
        let answer = self.store.ask(&missing, &most, now, None).await?;
        Ok(claims.settle(&missing, &answer, at))
    }

    /// Forgets what was counted, the lease included.
    pub(crate) async fn reset(&self, rule: &Rule, key: &Key) -> Result<bool, StoreError> {
        let id = self.leases().id(rule, key);
        self.leases().forget(id);
        let reset = self.store.reset(rule, key).await;
        if rule.shape == Shape::Ban {
            self.leases().bans.forget(id);
        }
        reset
    }

    /// Decides by what this gateway has and remembers; `None` if it has to ask.
    fn take_here(&self, asks: &[Ask<'_>], now: Now, at: Instant) -> Option<Taken> {
        if let Some(refused) = self.refused_here(asks, at) {
            return Some(refused);
        }
        if !asks.iter().all(|ask| is_leased(ask) || is_ban(ask)) {
            return None;
        }
        let mut verdicts = Verdicts::new();
        let mut spent: SmallVec<[(Id, Micros, &Ask<'_>); 4]> = SmallVec::new();
        for ask in asks {
            let id = self.leases().id(ask.rule, ask.key);
            match self.spend(id, ask, at) {
                Spent::Known(verdict) => verdicts.push(verdict),
                Spent::Taken { verdict, lease } => {
                    verdicts.push(verdict);
                    spent.push((id, lease, ask));
                }
                Spent::Refused(verdict) if ask.shadow => verdicts.push(verdict),
                Spent::Refused(_) | Spent::Missing => {
                    for (id, lease, ask) in spent {
                        self.put_back(id, lease, ask, now);
                    }
                    return None;
                }
            }
        }
        Some(Taken { allowed: true, verdicts })
    }

    fn spend(&self, id: Id, ask: &Ask<'_>, at: Instant) -> Spent {
        match self.leases().bans.known(id, at).filter(|_| is_ban(ask)) {
            Some(verdict) if verdict.allowed || ask.shadow => Spent::Known(verdict),
            _ if is_leased(ask) => self.leases().spend(id, ask.cost, at),
            _ => Spent::Missing,
        }
    }

    /// The lease may have been replaced or given back in between.
    fn put_back(&self, id: Id, lease: Micros, ask: &Ask<'_>, now: Now) {
        if !self.leases().put_back(id, lease, ask.cost) {
            self.store.undo(ask.rule, ask.key, ask.cost, lease, now);
        }
    }

    /// A refusal remembered is one for the whole request; unless its client may be banned, which counts for more.
    fn refused_here(&self, asks: &[Ask<'_>], at: Instant) -> Option<Taken> {
        let ban = |ask: &Ask<'_>| self.leases().bans.known(self.leases().id(ask.rule, ask.key), at);
        if asks.iter().any(|ask| is_ban(ask) && ban(ask).is_none()) {
            return None;
        }
        let remembered = |ask: &Ask<'_>| match is_leased(ask) {
            true => self.leases().refusal(self.leases().id(ask.rule, ask.key), ask.cost, at),
            false if is_ban(ask) => ban(ask).filter(|verdict| !verdict.allowed),
            false => None,
        };
        asks.iter().filter(|ask| !ask.shadow).find_map(remembered)?;
        let said = |ask: &Ask<'_>| {
            let quota = ask.rule.quota;
            let unknown = Verdict { allowed: true, quota, remaining: quota, ..Verdict::default() };
            let last = || self.leases().last(self.leases().id(ask.rule, ask.key), at);
            remembered(ask).or_else(last).unwrap_or(unknown)
        };
        Some(Taken { allowed: false, verdicts: asks.iter().map(said).collect() })
    }

    fn claim<'a>(&'a self, asks: &[Ask<'a>], now: Now, at: Instant) -> Claims<'a> {
        let claim = |ask: &Ask<'a>| {
            let id = self.leases().id(ask.rule, ask.key);
            let claim = if is_leased(ask) { self.leases().claim(id, ask, &self.store, at) } else { Claim::default() };
            (id, *ask, claim)
        };
        Claims { leased: self, claims: asks.iter().map(claim).collect(), now }
    }

    fn leases(&self) -> &Leases {
        self.store.leases()
    }

    fn batch(&self, rule: &Rule) -> u64 {
        self.batch.of(rule.quota).max(1)
    }
}

/// A cost of zero looks, and the truth is in the store.
fn is_leased(ask: &Ask<'_>) -> bool {
    ask.cost > 0
        && match &ask.rule.shape {
            Shape::Bucket(bucket) => bucket.extra == 0,
            Shape::Fixed(_) | Shape::Calendar(_) => true,
            Shape::Sliding { .. } | Shape::Concurrency { .. } | Shape::Ban => false,
        }
}

fn is_ban(ask: &Ask<'_>) -> bool {
    ask.rule.shape == Shape::Ban
}

/// What a request that asks the store has of each of its limits, and the right to lease those that it lacks. Dropped
/// before it is settled, all is as it was before: the store was lost, or the client has gone.
struct Claims<'a> {
    leased: &'a Leased,
    claims: SmallVec<[(Id, Ask<'a>, Claim); 4]>,
    now: Now,
}

impl<'a> Claims<'a> {
    /// Those that the store is asked for.
    fn asked(&self) -> impl Iterator<Item = &(Id, Ask<'a>, Claim)> {
        self.claims.iter().filter(|(.., claim)| claim.held.is_none())
    }

    /// What the store is asked for: the cost, less what is left of the last lease.
    fn missing(&self) -> impl Iterator<Item = Ask<'a>> {
        self.asked().map(|(_, ask, claim)| Ask { cost: ask.cost - claim.had.min(ask.cost), ..*ask })
    }

    /// What it may give.
    fn most(&self) -> impl Iterator<Item = u64> {
        self.missing().zip(self.asked()).map(|(missing, (_, ask, claim))| {
            let batch = if claim.first { self.leased.batch(ask.rule).saturating_sub(claim.waiting) } else { 0 };
            missing.cost.saturating_add(batch)
        })
    }

    fn settle(mut self, missing: &[Ask<'_>], answer: &Answer, at: Instant) -> Taken {
        let (leased, now) = (self.leased, self.now);
        let said = answer.taken(missing, now);
        // A ban says nothing of the limits, and what they said beside it is not for later.
        let banned = missing.iter().zip(&said.verdicts).any(|(ask, verdict)| is_ban(ask) && !verdict.allowed);
        let mut taken = Taken { allowed: said.allowed, verdicts: Verdicts::new() };
        let mut place = 0;
        for (id, ask, claim) in &mut self.claims {
            if let Some((_, verdict)) = claim.held {
                if said.allowed {
                    leased.leases().settled(*id, ask.cost);
                    *claim = Claim::default();
                    taken.verdicts.push(verdict);
                } else {
                    let remaining = verdict.remaining.saturating_add(ask.cost);
                    taken.verdicts.push(Verdict { remaining, ..verdict });
                }
                continue;
            }
            let verdict = said.verdicts.get(place).copied().unwrap_or_default();
            let asked = missing.get(place).map_or(0, |ask| ask.cost);
            let rest = answer.granted(place).saturating_sub(asked);
            place += 1;
            taken.verdicts.push(match &ask.rule.shape {
                Shape::Ban => {
                    leased.leases().bans.said(*id, verdict, at);
                    verdict
                }
                _ if !is_leased(ask) => verdict,
                _ if !verdict.allowed => {
                    if !banned {
                        leased.leases().refused(*id, ask.cost, verdict, at, leased.length.get());
                    }
                    verdict
                }
                _ => {
                    let mut held = rest;
                    if said.allowed && claim.first {
                        let until = at + lasts(ask.rule, &verdict, leased.length.get());
                        let (granted_at, granted_here) = (answer.time, now);
                        let grant = Grant { tokens: rest, verdict, granted_at, granted_here, asked: at, until };
                        leased.leases().granted(*id, &grant);
                        *claim = Claim::default();
                    } else if !claim.first {
                        held = leased.leases().said(*id, verdict, at);
                    }
                    Verdict { remaining: verdict.remaining.saturating_add(held), ..verdict }
                }
            });
        }
        taken
    }
}

impl Drop for Claims<'_> {
    fn drop(&mut self) {
        for (id, ask, claim) in &self.claims {
            if let Some((lease, _)) = claim.held {
                self.leased.put_back(*id, lease, ask, self.now);
                self.leased.leases().settled(*id, ask.cost);
            } else if claim.first {
                self.leased.leases().unclaim(*id, claim.had);
            }
        }
    }
}

/// A lease of a window ends with it: no later, since the question was sent before it was answered.
fn lasts(rule: &Rule, verdict: &Verdict, length: std::time::Duration) -> std::time::Duration {
    match rule.shape {
        Shape::Fixed(_) | Shape::Calendar(_) => length.min(std::time::Duration::from_micros(verdict.reset)),
        _ => length,
    }
}
