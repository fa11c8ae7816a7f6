//! Which answers there are, in at most 32 bytes of memory each.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::Id;

/// Sizes are counted in blocks of a file system.
pub(super) const UNIT: u64 = 4096;
/// So many parts grow apart from one another.
const PARTS: usize = 16;
const NONE: u32 = u32::MAX;
/// The upper two bits say how much it was used, the others how many units it takes.
const USE: u32 = 30;
const UNITS: u32 = (1 << USE) - 1;

/// Every answer's hash and size, and how much it was used lately: a CLOCK over the table itself, whose hand takes what
/// was not used since it last came by.
pub(crate) struct Index {
    parts: [Mutex<Part>; PARTS],
    units: AtomicU64,
    objects: AtomicU64,
    /// In which part the hand is.
    hand: AtomicUsize,
}

#[derive(Default)]
struct Part {
    entries: Vec<Entry>,
    /// The first entry of each chain.
    chains: Vec<u32>,
    /// The first of the entries that are free, which are a chain as well.
    free: Option<u32>,
    used: u32,
    hand: u32,
}

#[derive(Clone, Copy)]
struct Entry {
    id: [u32; 2],
    /// Nothing in the lower bits: it is free.
    size: u32,
    next: u32,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Index({} objects)", self.objects())
    }
}

impl Entry {
    fn id(&self) -> u64 {
        u64::from(self.id[0]) << 32 | u64::from(self.id[1])
    }
}

impl Index {
    pub(crate) fn new() -> Self {
        let parts = std::array::from_fn(|_| Mutex::new(Part::default()));
        Self { parts, units: AtomicU64::new(0), objects: AtomicU64::new(0), hand: AtomicUsize::new(0) }
    }

    /// Bytes on the disk, whole blocks.
    pub(crate) fn bytes(&self) -> u64 {
        self.units.load(Ordering::Relaxed) * UNIT
    }

    pub(crate) fn objects(&self) -> u64 {
        self.objects.load(Ordering::Relaxed)
    }

    /// An answer is there, `bytes` long; if one was, it has another length now.
    pub(crate) fn insert(&self, id: Id, bytes: u64) {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(UNITS).clamp(1, UNITS);
        let mut part = self.part(id).lock();
        let before = part.insert(id.0, units);
        if before.is_none() {
            self.objects.fetch_add(1, Ordering::Relaxed);
        }
        // Under the lock of the part, so that the sum never falls below nothing.
        self.units.fetch_add(u64::from(units), Ordering::Relaxed);
        self.units.fetch_sub(before.map_or(0, u64::from), Ordering::Relaxed);
    }

    /// Whether it is there.
    pub(super) fn holds(&self, id: Id) -> bool {
        self.part(id).lock().find(id.0).is_some()
    }

    /// Whether it is there; it was used if so.
    pub(super) fn touch(&self, id: Id) -> bool {
        let mut part = self.part(id).lock();
        let Some(entry) = part.find(id.0).and_then(|at| part.entries.get_mut(at as usize)) else { return false };
        if entry.size >> USE < 3 {
            entry.size += 1 << USE;
        }
        true
    }

    /// It is gone. Whether it was there.
    pub(super) fn remove(&self, id: Id) -> bool {
        let mut part = self.part(id).lock();
        let units = part.remove(id.0);
        self.count_out(units);
        units.is_some()
    }

    /// Takes out the answer that is to give way.
    pub(super) fn victim(&self) -> Option<Id> {
        // No answer has more than three uses to lose, so the fourth round finds one.
        for _ in 0..4 * PARTS {
            let at = self.hand.fetch_add(1, Ordering::Relaxed) % PARTS;
            let mut part = self.parts.get(at)?.lock();
            if let Some((id, units)) = part.victim() {
                self.count_out(Some(units));
                return Some(Id(id));
            }
        }
        None
    }

    fn count_out(&self, units: Option<u32>) {
        if let Some(units) = units {
            self.objects.fetch_sub(1, Ordering::Relaxed);
            self.units.fetch_sub(u64::from(units), Ordering::Relaxed);
        }
    }

    fn part(&self, id: Id) -> &Mutex<Part> {
        // Chains take other bits.
        &self.parts[id.0 as usize % PARTS]
    }
}

impl Part {
    fn find(&self, id: u64) -> Option<u32> {
        let mut at = *self.chains.get(self.chain(id))?;
        while let Some(entry) = self.entries.get(at as usize) {
            if entry.id() == id {
                return Some(at);
            }
            at = entry.next;
        }
        None
    }

    fn chain(&self, id: u64) -> usize {
        (id >> 32) as usize & self.chains.len().wrapping_sub(1)
    }

    /// How many units it took before, if it was there.
    fn insert(&mut self, id: u64, units: u32) -> Option<u32> {
        if let Some(entry) = self.find(id).and_then(|at| self.entries.get_mut(at as usize)) {
            let before = entry.size & UNITS;
            entry.size = entry.size & !UNITS | units;
            return Some(before);
        }
        if self.used as usize >= self.chains.len() {
            self.grow();
        }
        let chain = self.chain(id);
        let next = self.chains[chain];
        let entry = Entry { id: [(id >> 32) as u32, id as u32], size: units, next };
        self.chains[chain] = self.put(entry);
        self.used += 1;
        None
    }

    /// Into the place of one that is gone: right behind the hand, most often.
    fn put(&mut self, entry: Entry) -> u32 {
        if let Some(at) = self.free {
            let slot = &mut self.entries[at as usize];
            self.free = Some(slot.next).filter(|next| *next != NONE);
            *slot = entry;
            return at;
        }
        if self.entries.len() == self.entries.capacity() {
            // By an eighth: doubling would cost half of the memory.
            self.entries.reserve_exact((self.entries.len() / 8).max(64));
        }
        self.entries.push(entry);
        self.entries.len() as u32 - 1
    }

    /// Twice as many chains.
    fn grow(&mut self) {
        self.chains = vec![NONE; (self.chains.len() * 2).max(64)];
        let mask = self.chains.len() - 1;
        for (at, entry) in self.entries.iter_mut().enumerate().filter(|(_, entry)| entry.size & UNITS > 0) {
            let chain = &mut self.chains[entry.id[0] as usize & mask];
            entry.next = std::mem::replace(chain, at as u32);
        }
    }

    fn remove(&mut self, id: u64) -> Option<u32> {
        let chain = self.chain(id);
        let mut at = *self.chains.get(chain)?;
        let mut before = None;
        while let Some(entry) = self.entries.get(at as usize).copied() {
            if entry.id() == id {
                match before {
                    Some(before) => self.entries[before as usize].next = entry.next,
                    None => self.chains[chain] = entry.next,
                }
                self.entries[at as usize] = Entry { id: [0; 2], size: 0, next: self.free.unwrap_or(NONE) };
                self.free = Some(at);
                self.used -= 1;
                return Some(entry.size & UNITS);
            }
            before = Some(at);
            at = entry.next;
        }
        None
    }

    /// Goes round once at most: where all are in use, the next part may have one that isn't.
    fn victim(&mut self) -> Option<(u64, u32)> {
        if self.used == 0 {
            return None;
        }
        for _ in 0..self.entries.len() {
            let at = self.hand as usize % self.entries.len();
            self.hand = at as u32 + 1;
            let entry = &mut self.entries[at];
            if entry.size >> USE > 0 {
                entry.size -= 1 << USE;
            } else if entry.size > 0 {
                let id = entry.id();
                return self.remove(id).map(|units| (id, units));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// As the ids of real answers: spread over all 64 bits.
    fn id(number: u64) -> Id {
        Id(number
            .wrapping_add(1)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(31)
            .wrapping_mul(0xD6E8_FEB8_6659_FD93))
    }

    #[test]
    fn what_is_used_stays_and_what_is_not_gives_way() {
        let index = Index::new();
        (0..1000).for_each(|number| index.insert(id(number), 5000));
        (0..1000).filter(|number| number % 10 == 0).for_each(|number| assert!(index.touch(id(number))));
        assert_eq!(index.bytes(), 1000 * 8192);
        for _ in 0..900 {
            assert!(index.victim().is_some());
        }
        let left: Vec<u64> = (0..1000).filter(|number| index.holds(id(*number))).collect();
        assert_eq!(left.len(), 100);
        let used = left.iter().filter(|number| *number % 10 == 0).count();
        // The hand goes from part to part, and some of them run out of others earlier.
        assert!(used > 80, "{used}");
        while index.victim().is_some() {}
        assert_eq!((index.bytes(), index.objects()), (0, 0));
    }

    #[derive(Debug, Clone)]
    enum Act {
        Insert(u64, u64),
        Touch(u64),
        Remove(u64),
        Victim,
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            4 => (0..300_u64, 0..100_000_u64).prop_map(|(number, bytes)| Act::Insert(number, bytes)),
            2 => (0..300_u64).prop_map(Act::Touch),
            1 => (0..300_u64).prop_map(Act::Remove),
            1 => Just(Act::Victim),
        ]
    }

    proptest! {
        #[test]
        fn the_index_says_what_a_map_says(acts in prop::collection::vec(act(), 0..2000)) {
            let index = Index::new();
            let mut map: HashMap<u64, u64> = HashMap::new();
            for act in acts {
                match act {
                    Act::Insert(number, bytes) => {
                        index.insert(id(number), bytes);
                        map.insert(id(number).0, bytes.div_ceil(UNIT).max(1));
                    }
                    Act::Touch(number) => prop_assert_eq!(index.touch(id(number)), map.contains_key(&id(number).0)),
                    Act::Remove(number) => {
                        prop_assert_eq!(index.remove(id(number)), map.remove(&id(number).0).is_some());
                    }
                    Act::Victim => match index.victim() {
                        Some(victim) => prop_assert!(map.remove(&victim.0).is_some()),
                        None => prop_assert!(map.is_empty()),
                    },
                }
                prop_assert_eq!(index.objects(), map.len() as u64);
                prop_assert_eq!(index.bytes(), map.values().sum::<u64>() * UNIT);
            }
            for number in 0..300 {
                prop_assert_eq!(index.holds(id(number)), map.contains_key(&id(number).0));
            }
        }
    }
}
