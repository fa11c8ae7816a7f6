//! Answers in memory, bounded by bytes.

mod entry;
mod flight;

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use smallvec::SmallVec;
use tidegate_core::Bytes;

pub(crate) use self::entry::{Entry, Said};
pub(crate) use self::flight::{Flight, Read, Reader};
use super::{Found, Head, Hit, Limits, Slot, Stats, ZoneMetrics};

/// How many locks there are, so that few wait for one.
const SHARDS: usize = 64;

/// Answers in memory.
pub(crate) struct Memory {
    shards: Box<[RwLock<Shard>]>,
    order: Mutex<VecDeque<Arc<Entry>>>,
    limits: RwLock<Limits>,
    /// Of whole answers.
    bytes: AtomicU64,
    /// Of those that are still being written.
    writing: AtomicU64,
    tags: AtomicU64,
    metrics: ZoneMetrics,
}

#[derive(Default)]
struct Shard {
    whole: HashMap<Slot, Arc<Entry>, Spread>,
    /// All that are being written, by their tags.
    flights: HashMap<u64, Arc<Flight>>,
    /// The one of a slot that began last.
    newest: HashMap<Slot, Arc<Flight>, Spread>,
}

impl Memory {
    pub(crate) fn new(limits: Limits, metrics: ZoneMetrics) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            order: Mutex::default(),
            limits: RwLock::new(limits),
            bytes: AtomicU64::new(0),
            writing: AtomicU64::new(0),
            tags: AtomicU64::new(1),
            metrics,
        }
    }

    pub(crate) fn metrics(&self) -> &ZoneMetrics {
        &self.metrics
    }

    pub(crate) fn limits(&self) -> Limits {
        *self.limits.read()
    }

    fn shard(&self, slot: &Slot) -> &RwLock<Shard> {
        // The table inside uses other bits.
        &self.shards[usize::from(slot.key[15]) % SHARDS]
    }

    pub(crate) fn find(&self, slot: &Slot, key: &[u8]) -> Option<Found> {
        let shard = self.shard(slot).read();
        let entry = shard.whole.get(slot).filter(|entry| entry.key() == key)?;
        entry.visit();
        Some(entry.found())
    }

    /// The one that is being written, or a whole one.
    pub(crate) fn hit(&self, slot: &Slot, key: &[u8]) -> Option<Hit> {
        let shard = self.shard(slot).read();
        let flight = shard.newest.get(slot).filter(|flight| *flight.key == *key).cloned();
        if let Some(hit) = flight.and_then(Hit::written) {
            return Some(hit);
        }
        let entry = shard.whole.get(slot).filter(|entry| entry.key() == key)?;
        entry.visit();
        Some(Hit::whole(entry.clone()))
    }

    pub(crate) fn flight(&self, slot: &Slot, tag: u64) -> Option<Arc<Flight>> {
        self.shard(slot).read().flights.get(&tag).cloned()
    }

    pub(crate) fn begin(&self, slot: Slot, key: &[u8], head: Arc<Head>) -> Arc<Flight> {
        let tag = self.tags.fetch_add(1, Ordering::Relaxed);
        let flight = Arc::new(Flight::new(tag, slot, key, head));
        let mut shard = self.shard(&slot).write();
        shard.flights.insert(tag, flight.clone());
        shard.newest.insert(slot, flight.clone());
        flight
    }

    pub(crate) fn append(&self, flight: &Flight, data: &[u8]) {
        self.writing.fetch_add(data.len() as u64, Ordering::Relaxed);
        flight.append(Bytes::copy_from_slice(data));
    }

    /// It is whole.
    pub(crate) fn commit(&self, flight: &Arc<Flight>) {
        if !flight.is_detached() && flight.written() <= self.limits().max_object {
            let entry = Entry::new(flight.slot, flight.key.clone(), flight.said().clone(), flight.body());
            self.insert(Arc::new(entry));
        }
        flight.end(true);
        self.forget(flight);
    }

    /// Nothing more comes of it.
    pub(crate) fn give_up(&self, flight: &Arc<Flight>) {
        flight.end(false);
        self.forget(flight);
    }

    fn forget(&self, flight: &Arc<Flight>) {
        let mut shard = self.shard(&flight.slot).write();
        if shard.flights.remove(&flight.tag()).is_some() {
            self.writing.fetch_sub(flight.written(), Ordering::Relaxed);
        }
        if shard.newest.get(&flight.slot).is_some_and(|newest| Arc::ptr_eq(newest, flight)) {
            shard.newest.remove(&flight.slot);
        }
    }

    fn insert(&self, entry: Arc<Entry>) {
        let mut order = self.order.lock();
        self.bytes.fetch_add(entry.bytes() as u64, Ordering::Relaxed);
        order.push_back(entry.clone());
        let old = self.shard(&entry.slot).write().whole.insert(entry.slot, entry);
        if let Some(old) = old {
            self.bytes.fetch_sub(old.bytes() as u64, Ordering::Relaxed);
        }
        let memory = self.limits().memory;
        while self.bytes.load(Ordering::Relaxed) > memory {
            let Some(oldest) = order.pop_front() else { break };
            self.drop_exactly(&oldest);
        }
    }

    fn drop_exactly(&self, entry: &Arc<Entry>) -> bool {
        let mut shard = self.shard(&entry.slot).write();
        let there = shard.whole.get(&entry.slot).is_some_and(|there| Arc::ptr_eq(there, entry));
        if there {
            shard.whole.remove(&entry.slot);
            self.bytes.fetch_sub(entry.bytes() as u64, Ordering::Relaxed);
        }
        there
    }

    /// Removes what is stored, and has what is being written not stored. Whether there was anything.
    pub(crate) fn remove(&self, slot: &Slot) -> bool {
        let mut shard = self.shard(slot).write();
        let flight = shard.newest.remove(slot);
        shard.flights.values().filter(|flight| flight.slot == *slot).for_each(|flight| flight.detach());
        let entry = shard.whole.remove(slot);
        if let Some(entry) = &entry {
            self.bytes.fetch_sub(entry.bytes() as u64, Ordering::Relaxed);
        }
        entry.is_some() || flight.is_some()
    }

    pub(crate) fn replace_head(&self, slot: &Slot, key: &[u8], head: Arc<Head>) -> bool {
        let shard = self.shard(slot).read();
        let Some(entry) = shard.whole.get(slot).filter(|entry| entry.key() == key) else { return false };
        let more = entry.replace_head(head);
        self.bytes.fetch_add(more as u64, Ordering::Relaxed);
        true
    }

    pub(crate) fn resize(&self, limits: Limits) {
        *self.limits.write() = limits;
    }

    pub(crate) fn clear(&self) {
        for shard in &self.shards {
            let whole = std::mem::take(&mut shard.write().whole);
            let bytes: u64 = whole.values().map(|entry| entry.bytes() as u64).sum();
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        self.order.lock().clear();
    }

    pub(crate) fn stats(&self) -> Stats {
        let (mut objects, mut writing) = (0, 0);
        for shard in &self.shards {
            let shard = shard.read();
            objects += shard.whole.len() as u64;
            writing += shard.flights.len() as u64;
        }
        let bytes = self.bytes.load(Ordering::Relaxed) + self.writing.load(Ordering::Relaxed);
        Stats { objects, bytes, memory: self.limits().memory, writing }
    }
}

/// Slots are hashes already.
type Spread = BuildHasherDefault<SlotHasher>;

#[derive(Default)]
struct SlotHasher(u64);

impl Hasher for SlotHasher {
    fn write(&mut self, bytes: &[u8]) {
        for eight in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..eight.len()].copy_from_slice(eight);
            self.0 = self.0.rotate_left(5) ^ u64::from_le_bytes(word);
        }
    }

    fn write_isize(&mut self, _: isize) {}

    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}
