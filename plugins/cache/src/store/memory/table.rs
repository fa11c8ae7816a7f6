//! Answers by their slots, in parts with a lock each.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use super::super::Slot;
use super::entry::Entry;
use super::flight::Flight;

/// So many that few wait for one.
const PARTS: usize = 64;

/// Answers by their slots.
pub(super) struct Table(Box<[Part]>);

#[derive(Default)]
struct Part {
    answers: RwLock<Answers>,
    /// How many were found since somebody last asked.
    found: AtomicU64,
}

#[derive(Default)]
struct Answers {
    whole: HashSet<BySlot, Spread>,
    /// All that are being written, by their tags.
    flights: HashMap<u64, Arc<Flight>>,
    /// Of each slot the one that began last.
    newest: HashMap<Slot, Arc<Flight>, Spread>,
}

/// An answer as a table has it: a pointer, and no slot beside it.
struct BySlot(Arc<Entry>);

impl Borrow<Slot> for BySlot {
    fn borrow(&self) -> &Slot {
        &self.0.slot
    }
}

impl Hash for BySlot {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.slot.hash(state);
    }
}

impl PartialEq for BySlot {
    fn eq(&self, other: &Self) -> bool {
        self.0.slot == other.0.slot
    }
}

impl Eq for BySlot {}

impl Table {
    pub(super) fn new() -> Self {
        Self((0..PARTS).map(|_| Part::default()).collect())
    }

    fn part(&self, slot: &Slot) -> &Part {
        // Not the bits by which a part's own table goes.
        &self.0[usize::from(slot.key[15]) % PARTS]
    }

    /// A whole answer.
    pub(super) fn find<T>(&self, slot: &Slot, key: &[u8], then: impl FnOnce(&Arc<Entry>) -> T) -> Option<T> {
        let part = self.part(slot);
        let answers = part.answers.read();
        let entry = answers.whole.get(slot).map(|BySlot(entry)| entry).filter(|entry| entry.key() == key)?;
        part.found.fetch_add(1, Ordering::Relaxed);
        Some(then(entry))
    }

    /// The one that is being written.
    pub(super) fn newest(&self, slot: &Slot, key: &[u8]) -> Option<Arc<Flight>> {
        let answers = self.part(slot).answers.read();
        answers.newest.get(slot).filter(|flight| *flight.key == *key).cloned()
    }

    /// The one that is being written under this tag.
    pub(super) fn flight(&self, slot: &Slot, tag: u64) -> Option<Arc<Flight>> {
        self.part(slot).answers.read().flights.get(&tag).cloned()
    }

    pub(super) fn begin(&self, flight: Arc<Flight>) {
        let mut answers = self.part(&flight.slot).answers.write();
        answers.newest.insert(flight.slot, flight.clone());
        answers.flights.insert(flight.tag(), flight);
    }

    /// Nobody new is to find it.
    pub(super) fn unlist(&self, flight: &Arc<Flight>) {
        unlist(&mut self.part(&flight.slot).answers.write(), flight);
    }

    /// It is over. Whether it was not before.
    pub(super) fn end(&self, flight: &Arc<Flight>) -> bool {
        let mut answers = self.part(&flight.slot).answers.write();
        unlist(&mut answers, flight);
        answers.flights.remove(&flight.tag()).is_some()
    }

    /// What was there before, and how many were found since somebody last asked.
    pub(super) fn insert(&self, entry: &Arc<Entry>) -> (Option<Arc<Entry>>, u64) {
        let part = self.part(&entry.slot);
        let old = part.answers.write().whole.replace(BySlot(entry.clone()));
        (old.map(|BySlot(old)| old), part.found.swap(0, Ordering::Relaxed))
    }

    pub(super) fn remove(&self, slot: &Slot) -> Option<Arc<Entry>> {
        self.part(slot).answers.write().whole.take(slot).map(|BySlot(entry)| entry)
    }

    /// This one, and no other that has its slot now.
    pub(super) fn remove_exactly(&self, entry: &Arc<Entry>) {
        let mut answers = self.part(&entry.slot).answers.write();
        if answers.whole.get(&entry.slot).is_some_and(|there| Arc::ptr_eq(&there.0, entry)) {
            answers.whole.remove(&entry.slot);
        }
    }

    /// What is being written in this slot is not found any more, and not stored. Whether there is any.
    pub(super) fn detach(&self, slot: &Slot) -> bool {
        let mut answers = self.part(slot).answers.write();
        answers.newest.remove(slot);
        let mut any = false;
        for flight in answers.flights.values().filter(|flight| flight.slot == *slot) {
            flight.detach();
            any = true;
        }
        any
    }

    /// The same in all slots.
    pub(super) fn detach_all(&self) {
        for part in &self.0 {
            let mut answers = part.answers.write();
            answers.newest.clear();
            answers.flights.values().for_each(|flight| flight.detach());
        }
    }

    /// All whole answers leave.
    pub(super) fn clear(&self) -> impl Iterator<Item = Arc<Entry>> {
        self.0.iter().flat_map(|part| std::mem::take(&mut part.answers.write().whole)).map(|BySlot(entry)| entry)
    }

    /// How many are being written.
    pub(super) fn flights(&self) -> u64 {
        self.0.iter().map(|part| part.answers.read().flights.len() as u64).sum()
    }
}

fn unlist(answers: &mut Answers, flight: &Arc<Flight>) {
    if answers.newest.get(&flight.slot).is_some_and(|newest| Arc::ptr_eq(newest, flight)) {
        answers.newest.remove(&flight.slot);
    }
}

/// Slots are hashes already.
type Spread = BuildHasherDefault<SlotHasher>;

#[derive(Default)]
struct SlotHasher(u64);

impl Hasher for SlotHasher {
    fn write(&mut self, bytes: &[u8]) {
        for eight in bytes.chunks(8) {
            let word = eight.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
            self.0 = self.0.rotate_left(5) ^ word;
        }
    }

    /// How many bytes follow, and whether there is a variant: that tells nobody apart.
    fn write_usize(&mut self, _: usize) {}

    fn write_isize(&mut self, _: isize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}
