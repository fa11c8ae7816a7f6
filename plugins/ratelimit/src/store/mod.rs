//! Where limits are counted. All stores answer the same question in one step: may this much be taken of all of
//! these, or of none?

pub(crate) mod guarded;
pub(crate) mod leased;
pub(crate) mod memory;
pub(crate) mod redis;

use std::sync::Arc;

use smallvec::SmallVec;

pub(crate) use guarded::Guarded;

use crate::key::Key;
use crate::rule::{Rule, Verdict};
use memory::Memory;

/// Where a route's limits are counted.
#[derive(Debug, Clone)]
pub(crate) enum Store {
    /// In this gateway alone.
    Memory(Arc<Memory>),
    /// With all other gateways.
    Shared(Arc<Guarded>),
}

impl Store {
    /// Takes of all that is asked, or, if one that isn't a shadow refuses, of none. `None`: the store is lost, and
    /// requests are denied without it. Without verdicts: it is lost, and requests pass.
    pub(crate) async fn take(&self, asks: &[Ask<'_>]) -> Option<Taken> {
        match self {
            Self::Memory(memory) => Some(memory.take(asks, memory.now())),
            Self::Shared(shared) => shared.take(asks).await,
        }
    }

    /// Charges or gives back, now or soon.
    pub(crate) fn settle(&self, settlement: Settlement) {
        match self {
            Self::Memory(memory) => memory.settle(&settlement, memory.now()),
            Self::Shared(shared) => shared.settle(settlement),
        }
    }

    /// A request under a `concurrency` limit has ended: its units, whatever their sign, are given back.
    pub(crate) fn release(&self, settlement: &Settlement) {
        match self {
            Self::Memory(memory) => {
                let units = -settlement.units.saturating_abs();
                memory.settle(&Settlement { units, ..settlement.clone() }, memory.now());
            }
            Self::Shared(shared) => shared.release(settlement),
        }
    }

    /// Counts a strike, now or soon, and bans if it was one too many. True if it is known that it was; a shared store
    /// counts its bans by itself (see `Tally::bans`).
    pub(crate) fn strike(&self, strike: &Strike) -> bool {
        match self {
            Self::Memory(memory) => memory.strike(strike, memory.now()),
            Self::Shared(shared) => shared.strike(strike),
        }
    }

    /// What the limit would say to a request; `None` if the store is lost.
    pub(crate) async fn look(&self, rule: &Rule, key: &Key) -> Option<Verdict> {
        match self {
            Self::Memory(memory) => {
                let ask = Ask { rule, key, cost: 0, shadow: false, policy: 0 };
                Some(memory.look(&ask, memory.now()))
            }
            Self::Shared(shared) => shared.look(rule, key).await,
        }
    }

    /// Forgets what was counted. Whether there was anything; `None` if the store is lost.
    pub(crate) async fn reset(&self, rule: &Rule, key: &Key) -> Option<bool> {
        match self {
            Self::Memory(memory) => Some(memory.reset(rule, key)),
            Self::Shared(shared) => shared.reset(rule, key).await,
        }
    }
}

/// One limit asked for one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub rule: &'a Rule,
    pub key: &'a Key,
    /// Whole units. Zero looks without taking, and is allowed only while one unit could be had.
    pub cost: u64,
    /// Counted by itself and never stands in the way of the others (`mode: shadow`).
    pub shadow: bool,
    /// What metrics know it by: its place in the gateway's list of policies (keys held are counted by it).
    pub policy: u16,
}

/// What all limits of a request said. If one that isn't a shadow refused, nothing was taken from any.
#[derive(Debug, Clone, Default)]
pub(crate) struct Taken {
    pub allowed: bool,
    /// In the order of the asks.
    pub verdicts: SmallVec<[Verdict; 4]>,
}

/// A unit given back or charged afterwards; see `Store::settle`.
#[derive(Debug, Clone)]
pub(crate) struct Settlement {
    pub rule: Rule,
    pub key: Key,
    /// Charged on top of what was taken; negative gives back. May exceed the limit: it is a debt then.
    pub units: i64,
    pub policy: u16,
}

/// Something a client did that may get it banned.
#[derive(Debug, Clone)]
pub(crate) struct Strike {
    /// Counts strikes: a fixed window of the ban's `count` and `window`.
    pub rule: Rule,
    pub key: Key,
    /// The ban itself ([`crate::rule::Shape::Ban`]), set for `length` microseconds when the count is reached.
    pub ban: Rule,
    pub ban_key: Key,
    pub length: u64,
    pub policy: u16,
}
