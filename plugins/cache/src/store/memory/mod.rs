//! Answers in memory, bounded by bytes.

mod entry;
mod flight;
mod order;
mod pieces;
mod sketch;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use smallvec::SmallVec;
use tidegate_core::{Bytes, Clock};

pub(crate) use self::entry::{Entry, OVERHEAD, Said};
pub(crate) use self::flight::{Flight, Read, Reader};
use self::order::{Leaves, Order};
pub(crate) use self::pieces::Behind;
use self::table::Table;
use super::{Found, Head, Hit, Limits, Slot, Stats, ZoneMetrics};

/// The share of the memory that is set aside for what is still being written.
const SET_ASIDE: u64 = 64;

/// Answers in memory.
///
/// Who takes `order` may take a lock of the table while holding it, never the other way round. Finding something takes the
/// table's alone.
pub(crate) struct Memory {
    table: Table,
    order: Mutex<Order>,
    limits: RwLock<Limits>,
    /// How often all counts were halved: what [`Order`] has, to be seen without its lock.
    age: AtomicU32,
    /// Bytes of what is still being written.
    writing: Arc<AtomicU64>,
    /// Bytes of what has left, and is being read yet.
    lingering: Arc<AtomicU64>,
    tags: AtomicU64,
    clock: Clock,
    metrics: ZoneMetrics,
}

impl Memory {
    pub(crate) fn new(limits: Limits, clock: Clock, metrics: ZoneMetrics) -> Self {
        Self {
            table: Table::new(),
            order: Mutex::new(Order::new()),
            limits: RwLock::new(limits),
            age: AtomicU32::new(0),
            writing: Arc::default(),
            lingering: Arc::default(),
            tags: AtomicU64::new(1),
            clock,
            metrics,
        }
    }

    /// Who goes depends on nothing but on what it is asked.
    pub(crate) fn leave_nothing_to_chance(&self) {
        self.order.lock().leave_nothing_to_chance();
    }

    pub(crate) fn metrics(&self) -> &ZoneMetrics {
        &self.metrics
    }

    pub(crate) fn limits(&self) -> Limits {
        *self.limits.read()
    }

    pub(crate) fn find(&self, slot: &Slot, key: &[u8]) -> Option<Found> {
        self.table.find(slot, key, |entry| {
            entry.visits.add(self.age.load(Ordering::Relaxed));
            entry.found()
        })
    }

    /// The one that is being written, or a whole one.
    pub(crate) fn hit(&self, slot: &Slot, key: &[u8]) -> Option<Hit> {
        if let Some(flight) = self.table.newest(slot, key) {
            flight.visits.fetch_add(1, Ordering::Relaxed);
            if let Some(hit) = Hit::written(flight) {
                return Some(hit);
            }
        }
        self.table.find(slot, key, |entry| {
            entry.visits.add(self.age.load(Ordering::Relaxed));
            Hit::whole(entry.clone())
        })
    }

    /// The one that is being written under this tag.
    pub(crate) fn flight(&self, slot: &Slot, tag: u64) -> Option<Arc<Flight>> {
        self.table.flight(slot, tag)
    }

    /// Begins to write an answer.
    pub(crate) fn begin(&self, slot: Slot, key: &[u8], head: Arc<Head>) -> Arc<Flight> {
        let tag = self.tags.fetch_add(1, Ordering::Relaxed);
        let flight = Arc::new(Flight::new(tag, slot, key, head, self.writing.clone()));
        self.table.begin(flight.clone());
        flight
    }

    /// More of what is being written. What gets too long is not kept from now on; whether it just did.
    pub(crate) fn append(&self, flight: &Arc<Flight>, data: &[u8]) -> bool {
        flight.append(data);
        let passes = self.outgrows(flight, 0) && flight.pass();
        if passes {
            self.table.unlist(flight);
        }
        if self.writing.load(Ordering::Relaxed) > self.limits().memory / SET_ASIDE {
            self.settle(&mut self.order.lock());
        }
        passes
    }

    /// Whether it is too long to be kept with so many bytes more.
    pub(crate) fn outgrows(&self, flight: &Flight, more: u64) -> bool {
        let limits = self.limits();
        let writing = self.writing.load(Ordering::Relaxed) + more;
        flight.written() + more > limits.max_object || writing > limits.memory / 2
    }

    /// A whole answer that the disk had, unless there is a newer one.
    pub(crate) fn promote(&self, slot: Slot, key: &[u8], said: Arc<Said>, body: SmallVec<[Bytes; 1]>) -> Arc<Entry> {
        let entry = Arc::new(Entry::new(slot, key.into(), said, body, self.lingering.clone()));
        let mut order = self.order.lock();
        if self.table.find(&slot, key, |_| ()).is_none() {
            let (old, asked) = self.table.insert(&entry);
            order.asked(asked + 1);
            self.age.store(order.age(), Ordering::Relaxed);
            // It was asked for more than once, or it would not be on the disk.
            order.insert(&entry, 1, old.as_deref());
            old.iter().for_each(|old| old.leave());
            self.settle(&mut order);
        }
        entry
    }

    /// There is a newer answer, which is too long for memory.
    pub(crate) fn forget(&self, slot: &Slot) {
        let mut order = self.order.lock();
        if let Some(old) = self.table.remove(slot) {
            order.remove(&old);
            old.leave();
            self.metrics.replaced.inc();
            self.show(&order);
        }
    }

    /// It is whole.
    pub(crate) fn commit(&self, flight: &Arc<Flight>) {
        if !flight.is_detached() && !flight.passes() {
            let entry = Entry::new(
                flight.slot,
                flight.key.clone(),
                flight.said().clone(),
                flight.body(),
                self.lingering.clone(),
            );
            self.insert(&Arc::new(entry), flight);
        }
        flight.end(true);
        self.table.end(flight);
        self.show(&self.order.lock());
    }

    /// Nothing more comes of it. Whether it had not ended already.
    pub(crate) fn give_up(&self, flight: &Arc<Flight>) -> bool {
        flight.end(false);
        self.table.end(flight)
    }

    fn insert(&self, entry: &Arc<Entry>, flight: &Flight) {
        let mut order = self.order.lock();
        // A purge may have come meanwhile: it detaches before it takes the lock that this has.
        if flight.is_detached() {
            return;
        }
        flight.stored(entry.clone());
        let (old, asked) = self.table.insert(entry);
        order.asked(asked + 1);
        self.age.store(order.age(), Ordering::Relaxed);
        order.insert(entry, flight.visits.load(Ordering::Relaxed), old.as_deref());
        if let Some(old) = old {
            old.leave();
            self.metrics.replaced.inc();
        }
        self.settle(&mut order);
    }

    /// How much whole answers may take now.
    fn room(&self) -> u64 {
        let memory = self.limits().memory;
        let others = self.writing.load(Ordering::Relaxed) + self.lingering.load(Ordering::Relaxed);
        memory - others.clamp(memory / SET_ASIDE, memory / 2)
    }

    fn settle(&self, order: &mut Order) {
        let mut leaves = Vec::new();
        order.settle(self.room(), entry::seconds(self.clock.wall()), &mut leaves);
        for Leaves { entry, not_admitted } in leaves {
            self.table.remove_exactly(&entry);
            entry.leave();
            match not_admitted {
                true => self.metrics.not_admitted.inc(),
                false => self.metrics.evicted.inc(),
            }
        }
        self.show(order);
    }

    fn show(&self, order: &Order) {
        self.metrics.objects.set(i64::try_from(order.len()).unwrap_or(i64::MAX));
        self.metrics.bytes.set(i64::try_from(self.bytes(order)).unwrap_or(i64::MAX));
    }

    fn bytes(&self, order: &Order) -> u64 {
        order.bytes() + self.writing.load(Ordering::Relaxed) + self.lingering.load(Ordering::Relaxed)
    }

    /// Removes what is stored, and has what is being written not stored. Whether there was anything.
    pub(crate) fn remove(&self, slot: &Slot) -> bool {
        let flights = self.table.detach(slot);
        let mut order = self.order.lock();
        let Some(entry) = self.table.remove(slot) else { return flights };
        order.remove(&entry);
        entry.leave();
        self.metrics.removed.inc();
        self.show(&order);
        true
    }

    pub(crate) fn replace_head(&self, slot: &Slot, key: &[u8], head: Arc<Head>) -> bool {
        let mut order = self.order.lock();
        let Some(entry) = self.table.find(slot, key, Arc::clone) else { return false };
        order.changed(&entry, || entry.replace_head(head));
        self.settle(&mut order);
        true
    }

    /// Other limits from now on. What is too much goes.
    pub(crate) fn resize(&self, limits: Limits) {
        if std::mem::replace(&mut *self.limits.write(), limits) == limits {
            return;
        }
        loop {
            let mut order = self.order.lock();
            let before = order.len();
            self.settle(&mut order);
            // A lot at a time, so that nobody waits for long.
            if order.len() == before {
                return;
            }
        }
    }

    /// Forgets everything that is whole, and what is being written is not stored.
    pub(crate) fn clear(&self) {
        self.table.detach_all();
        let mut order = self.order.lock();
        for entry in self.table.clear() {
            entry.leave();
            self.metrics.cleared.inc();
        }
        order.clear();
        self.show(&order);
    }

    pub(crate) fn stats(&self) -> Stats {
        let order = self.order.lock();
        Stats {
            objects: order.len() as u64,
            bytes: self.bytes(&order),
            memory: self.limits().memory,
            max_object: self.limits().max_object,
            writing: self.table.flights(),
        }
    }
}
