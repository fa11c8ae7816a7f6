//! Where answers are kept: in memory, and on a disk behind it.

pub(crate) mod disk;
mod engine;
mod head;
mod hit;
mod memory;
mod metrics;
mod slot;
mod write;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use siphasher::sip128::{Hasher128, SipHasher13};
use smallvec::SmallVec;
use tidegate_core::Bytes;
use tidegate_core::cache::engine::{CacheLock, HashBinary, Predictor};
use tidegate_core::cache::{CacheKey, Zone};

pub(crate) use self::head::Head;
pub(crate) use self::hit::Hit;
pub(crate) use self::metrics::{StoreMetrics, ZoneMetrics};
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

/// How much a zone may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of memory, with all that belongs to an answer.
    pub(crate) memory: u64,
    /// Bytes of the longest body.
    pub(crate) max_object: u64,
}

/// For how long one request may have others wait for its answer's head before another one asks too.
const LOCK_AGE: Duration = Duration::from_secs(60);

/// How many keys are remembered not to be cacheable: 16 times this, of about 100 bytes each.
const NOT_CACHEABLE: usize = 1024;

/// One zone. Lives as long as the process: what is handed to Pingora is handed over for good.
pub(crate) struct Store {
    pub(crate) marks: Marks,
    memory: memory::Memory,
    secret: (u64, u64),
    lock: CacheLock,
    predictor: Predictor<16>,
}

impl Store {
    /// An empty one.
    pub(crate) fn new(limits: Limits, marks: Marks, metrics: ZoneMetrics) -> Self {
        Self {
            marks,
            memory: memory::Memory::new(limits, metrics),
            secret: (rand::random(), rand::random()),
            lock: CacheLock::new(LOCK_AGE),
            predictor: Predictor::new(NOT_CACHEABLE, None),
        }
    }

    /// By which hash a key is found: nobody outside can choose keys that meet.
    pub(crate) fn hash(&self, key: &[u8]) -> [u8; 16] {
        let hasher = SipHasher13::new_with_keys(self.secret.0, self.secret.1);
        hasher.hash(key).as_bytes()
    }

    /// A whole answer in memory. Takes no lock that anybody holds for longer than a look.
    pub(crate) fn find(&self, key: &CacheKey, variant: Option<HashBinary>) -> Option<Found> {
        self.memory.find(&Slot { key: key.hash(), variant }, key.as_bytes())
    }

    /// What the gateway hands to Pingora.
    pub(crate) fn engine_zone(&'static self, lock_wait: Duration) -> Zone {
        Zone { storage: self, lock: Some(&self.lock), lock_wait, predictor: Some(&self.predictor) }
    }

    /// Whether a body of so many bytes is kept: what is longer is not worth a try.
    pub(crate) fn fits(&self, length: u64) -> bool {
        length <= self.memory.limits().max_object
    }

    /// Other limits from now on. What is too much goes.
    pub(crate) fn resize(&self, limits: Limits) {
        self.memory.resize(limits);
    }

    /// Forgets everything in memory.
    pub(crate) fn clear(&self) {
        self.memory.clear();
    }

    /// What is stored, in numbers.
    pub(crate) fn stats(&self) -> Stats {
        self.memory.stats()
    }
}

/// What is stored, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stats {
    /// Whole answers in memory.
    pub(crate) objects: u64,
    /// Bytes that they take, with all that belongs to them, and those still being written.
    pub(crate) bytes: u64,
    /// How many bytes they may take.
    pub(crate) memory: u64,
    /// Answers still being written.
    pub(crate) writing: u64,
}
