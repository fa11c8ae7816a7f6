//! Where answers are kept: in memory, and on a disk behind it.

pub(crate) mod disk;
mod head;
mod memory;
mod slot;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use smallvec::SmallVec;
use tidegate_core::Bytes;
use tidegate_core::cache::CacheKey;
use tidegate_core::cache::engine::HashBinary;

pub(crate) use self::head::Head;
pub(crate) use self::slot::Slot;
use crate::purge::Marks;

/// A stored answer in memory, whole.
pub(crate) struct Found {
    pub(crate) head: Arc<Head>,
    pub(crate) body: SmallVec<[Bytes; 1]>,
    pub(crate) notes: Arc<Notes>,
}

/// What is noted beside a stored answer while it is in memory; it goes with the answer, and is new with a new one.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Up to which purge (see [`Marks::epoch`]) it is known not to be hit; 0: never looked.
    pub(crate) checked: AtomicU64,
    /// Until when (nanoseconds of the gateway's monotonic clock) somebody is having a new one fetched; 0: nobody.
    pub(crate) renewing: AtomicU64,
}

impl Notes {
    /// Whether the caller is the one to have a new one fetched; nobody else is before `until`.
    pub(crate) fn may_renew(&self, now: u64, until: u64) -> bool {
        let before = self.renewing.load(Ordering::Acquire);
        before <= now && self.renewing.compare_exchange(before, until, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

/// One zone.
pub(crate) struct Store {
    pub(crate) marks: Marks,
    memory: memory::Memory,
}

impl Store {
    /// A whole answer in memory. Takes no lock that anybody holds for longer than a look.
    pub(crate) fn find(&self, key: &CacheKey, variant: Option<HashBinary>) -> Option<Found> {
        self.memory.find(&Slot { key: key.hash(), variant }, key.as_bytes())
    }
}
