//! `consistent_hash`: each user on one target, unless that has more than its share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::candidates::Candidates;
use super::maglev::{Maglev, mix};
use crate::target::LiveTarget;

/// Requests in flight on all targets of a pool. A reload goes on counting.
#[repr(align(128))]
#[derive(Default)]
pub(crate) struct Load(AtomicU32);

impl Load {
    pub(crate) fn enter(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// `consistent_hash`.
pub(crate) struct ConsistentHash {
    table: Maglev,
    /// How much of all requests in flight a target may have for each unit of its weight; infinite without a bound.
    bound: f64,
    load: Arc<Load>,
}

/// How many entries are looked at for a target that is below its bound. Each is some target's by chance, and with any
/// bound above 1 some target is below it.
const STEPS: usize = 64;

/// The lot of a slow start isn't that which chose the entry.
const OTHER_LOT: u64 = 0x5851_f42d_4c95_7f2d;

impl ConsistentHash {
    pub(crate) fn new(members: &[Arc<LiveTarget>], weights: &[u32], bound: f64, load: &Arc<Load>) -> Self {
        let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let bound = if bound > 0.0 { bound / sum.max(1) as f64 } else { f64::INFINITY };
        let addresses = members.iter().map(|target| &*target.address);
        Self { table: Maglev::new(addresses.zip(weights.iter().copied())), bound, load: load.clone() }
    }

    /// The target that the request's hash belongs to, or the next in the table that can have it. The next is the same
    /// each time as well, as long as it can; so a user whose target is away is on one other, not on all of them.
    pub(crate) fn choose(&self, among: &Candidates<'_>) -> Option<usize> {
        let hash = among.cx.hash.unwrap_or_else(|| among.moment.lot());
        let entry = self.table.entry(hash);
        let places = || (entry..entry + STEPS).filter_map(|entry| self.table.place(entry));
        // While a target starts slowly, each user moves to it once.
        let takes = |place: &usize| among.takes(*place, || mix(hash ^ OTHER_LOT));
        let load = f64::from(self.load.0.load(Ordering::Relaxed));
        let below = |place: &usize| among.get(*place).is_some_and(|target| self.below_bound(target, load));
        places().find(|place| takes(place) && below(place)).or_else(|| places().find(takes)).or_else(|| among.any())
    }

    /// Whether one more request leaves the target within its share (Mirrokni, Thorup, Zadimoghaddam, "Consistent
    /// hashing with bounded loads", SODA 2018).
    fn below_bound(&self, target: &LiveTarget, load: f64) -> bool {
        let most = ((load + 1.0) * self.bound * f64::from(target.spec.weight)).ceil();
        f64::from(target.state.in_flight()) < most
    }
}
