//! Where answers are kept: in memory, and on a disk behind it.

pub(crate) mod disk;
mod engine;
mod head;
mod hit;
mod memory;
mod metrics;
mod slot;
mod tier;
mod write;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use siphasher::sip128::SipHasher13;
use smallvec::SmallVec;
use tidegate_core::cache::engine::{CacheLock, HashBinary, Predictor};
use tidegate_core::cache::{CacheKey, Zone};
use tidegate_core::{Bytes, Clock, HeaderMap};

use self::disk::DiskHit;
pub(crate) use self::disk::{Disk, Keys, SALT};
pub(crate) use self::head::Head;
pub(crate) use self::hit::Hit;
pub(crate) use self::memory::OVERHEAD;
use self::memory::Said;
pub(crate) use self::metrics::{StoreMetrics, ZoneMetrics};
pub(crate) use self::slot::Slot;
use self::tier::Tier;
use self::write::Writer;
use crate::admit::Refused;
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
    /// Whether the disk has it, or was told to.
    kept: AtomicBool,
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
    tier: Tier,
    secret: (u64, u64),
    lock: CacheLock,
    predictor: Predictor<16>,
}

impl Store {
    /// An empty one.
    pub(crate) fn new(limits: Limits, marks: Marks, clock: Clock, metrics: ZoneMetrics) -> Self {
        Self {
            marks,
            memory: memory::Memory::new(limits, clock, metrics),
            tier: Tier::default(),
            secret: (rand::random(), rand::random()),
            lock: CacheLock::new(LOCK_AGE),
            predictor: Predictor::new(NOT_CACHEABLE, Some(Refused::is_passing)),
        }
    }

    /// The same without anything random in it, so that a bench does the same in each run.
    pub(crate) fn without_chance(self) -> Self {
        self.memory.leave_nothing_to_chance();
        Self { secret: (1, 2), ..self }
    }

    /// The same with a disk, on which bodies of up to `max_object` bytes are kept.
    pub(crate) fn with_disk(self, disk: Arc<Disk>, max_object: u64) -> Self {
        let secret = disk.secret();
        let (first, second) = secret.split_at(8);
        let word = |bytes: &[u8]| bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        self.tier.set(Some(disk), max_object);
        Self { secret: (word(first), word(second)), ..self }
    }

    /// Other limits of the disk from now on.
    pub(crate) fn set_disk(&self, disk: Option<Arc<Disk>>, max_object: u64) {
        self.tier.set(disk, max_object);
    }

    /// By which hash a key is found: nobody outside can choose keys that meet.
    pub(crate) fn hash(&self, key: &[u8]) -> [u8; 16] {
        let hasher = SipHasher13::new_with_keys(self.secret.0, self.secret.1);
        hasher.hash(key).as_bytes()
    }

    /// A whole answer in memory. Takes no lock that anybody holds for longer than a look.
    pub(crate) fn find(&self, key: &CacheKey, variant: Option<HashBinary>) -> Option<Found> {
        let slot = Slot { key: key.hash(), variant };
        let found = self.memory.find(&slot, key.as_bytes())?;
        self.tier.keep(&slot, key.as_bytes(), (&found.head, &found.notes), &found.body);
        Some(found)
    }

    /// What is stored, or is being written.
    pub(crate) async fn look_up(&'static self, slot: &Slot, key: &[u8]) -> Option<Hit> {
        if let Some(hit) = self.memory.hit(slot, key) {
            if let Some((said, body)) = hit.in_memory() {
                self.tier.keep(slot, key, (&said.head, &said.notes), body);
            }
            return Some(hit);
        }
        let disk = self.tier.disk()?;
        if let Some(hit) = self.tier.flight(slot, key) {
            return Some(hit);
        }
        let found = disk.find(slot, key).await?;
        Some(self.found_on_disk(slot, key, found))
    }

    /// What is short enough is in memory from now on.
    fn found_on_disk(&self, slot: &Slot, key: &[u8], found: DiskHit) -> Hit {
        if let Some(body) = found.whole().filter(|_| found.len() <= self.memory.limits().max_object) {
            let said = Said::new(found.head().clone());
            said.notes.kept.store(true, Ordering::Relaxed);
            return Hit::whole(self.memory.promote(*slot, key, said, body.clone()));
        }
        Hit::on_disk(self.tier.notes(slot), key, found)
    }

    /// What the request that writes reads of it.
    fn writers_own(&self, slot: &Slot, tag: u64) -> Option<Hit> {
        self.memory.flight(slot, tag).and_then(Hit::writers_own)
    }

    /// Begins to write. `None`: it is too long.
    fn write(&'static self, slot: Slot, key: &[u8], head: Arc<Head>) -> Option<Writer> {
        let length = head.length();
        if length.is_some_and(|length| !self.fits(length)) {
            self.memory.metrics().too_long.inc();
            return None;
        }
        let flight = self.memory.begin(slot, key, head);
        Some(Writer::new(self, flight, length))
    }

    /// Another head for what is stored, after a 304. Whether it is stored.
    async fn replace_head(&'static self, slot: &Slot, key: &[u8], head: Arc<Head>) -> bool {
        let on_disk = match self.tier.disk() {
            Some(disk) => disk.replace_head(slot, key, &head).await,
            None => false,
        };
        self.tier.forget_notes(slot);
        let in_memory = self.memory.replace_head(slot, key, head);
        if on_disk && let Some(found) = self.memory.find(slot, key) {
            found.notes.kept.store(true, Ordering::Relaxed);
        }
        in_memory || on_disk
    }

    /// A whole answer is in memory: what the disk has in its place is an older one.
    fn is_newer(&self, slot: &Slot) {
        if let Some(disk) = self.tier.disk() {
            self.tier.unlist(slot);
            disk.forget(slot);
        }
    }

    /// Removes what is stored, and what is being written. Whether there was anything.
    pub(crate) async fn remove(&'static self, slot: &Slot) -> bool {
        let in_memory = self.memory.remove(slot);
        self.tier.unlist(slot);
        let on_disk = match self.tier.disk() {
            Some(disk) => disk.remove(slot).await,
            None => false,
        };
        in_memory || on_disk
    }

    /// What the gateway hands to Pingora.
    pub(crate) fn engine_zone(&'static self, lock_wait: Duration) -> Zone {
        Zone { storage: self, lock: Some(&self.lock), lock_wait, predictor: Some(&self.predictor) }
    }

    /// Whether a body of so many bytes is kept: what is longer is not worth a try.
    pub(crate) fn fits(&self, length: u64) -> bool {
        length <= self.memory.limits().max_object.max(self.tier.max_object())
    }

    /// The same of a body with this head, as far as that says.
    pub(crate) fn fits_length_of(&self, headers: &HeaderMap) -> bool {
        head::length(headers).is_none_or(|length| self.fits(length))
    }

    /// Other limits from now on. What is too much goes.
    pub(crate) fn resize(&self, limits: Limits) {
        self.memory.resize(limits);
    }

    /// Forgets everything in memory.
    #[cfg(test)]
    pub(crate) fn clear(&self) {
        self.memory.clear();
    }

    /// Forgets everything in memory, and keeps nothing from now on: what still uses it goes on without.
    pub(crate) fn close(&self) {
        self.memory.resize(Limits { memory: 0, max_object: 0 });
        self.memory.clear();
        self.tier.set(None, 0);
    }

    pub(crate) fn memory(&self) -> &memory::Memory {
        &self.memory
    }

    /// What is stored, in numbers.
    pub(crate) fn stats(&self) -> Stats {
        self.memory.stats()
    }
}

/// What is stored, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Stats {
    /// Whole answers in memory.
    pub(crate) objects: u64,
    /// Bytes that they take, with all that belongs to them, and those still being written.
    pub(crate) bytes: u64,
    /// How many bytes they may take.
    pub(crate) memory: u64,
    /// Bytes of the longest body that is kept.
    pub(crate) max_object: u64,
    /// Answers still being written.
    pub(crate) writing: u64,
}
