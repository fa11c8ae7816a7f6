//! Who is refused most.

use std::cmp::Reverse;
use std::collections::HashMap;

use parking_lot::Mutex;

use crate::key::Key;

/// The keys that were refused most: Space-Saving (Metwally, Agrawal, El Abbadi 2005) over a fixed number of entries.
///
/// A key that was refused more than one in [`Top::ENTRIES`] of all times is certainly in it. Touched by refusals only.
#[derive(Debug, Default)]
pub(crate) struct Top(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    places: HashMap<Key, usize>,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    key: Key,
    count: u64,
    over: u64,
}

/// One of those refused most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offender {
    /// Of which limit.
    pub limit: u64,
    /// Who, as operators may see it.
    pub key: String,
    /// How often at most.
    pub refused: u64,
    /// By how much that may be too many: what was counted for another key whose entry this one took over.
    pub over: u64,
}

impl Top {
    /// So many keys are kept in mind.
    pub(crate) const ENTRIES: usize = 100;

    /// This key was refused.
    pub(crate) fn refused(&self, key: &Key) {
        let mut entries = self.0.lock();
        match entries.places.get(key).copied() {
            Some(place) => entries.count(place),
            None => entries.newcomer(key.clone()),
        }
    }

    /// The first so many, the worst first.
    pub(crate) fn worst(&self, most: usize) -> Vec<Offender> {
        let mut entries = self.0.lock().entries.clone();
        entries.sort_by_key(|entry| Reverse(entry.count));
        let shown = |entry: Entry| Offender {
            limit: entry.key.limit,
            key: entry.key.shown(),
            refused: entry.count,
            over: entry.over,
        };
        entries.into_iter().take(most).map(shown).collect()
    }

    /// Forgets one key: an operator has given it another chance.
    pub(crate) fn forget(&self, key: &Key) {
        let mut entries = self.0.lock();
        if let Some(place) = entries.places.remove(key) {
            entries.entries.swap_remove(place);
            if let Some(moved) = entries.entries.get(place).map(|entry| entry.key.clone()) {
                entries.places.insert(moved, place);
            }
        }
    }
}

impl Entries {
    fn count(&mut self, place: usize) {
        if let Some(entry) = self.entries.get_mut(place) {
            entry.count = entry.count.saturating_add(1);
        }
    }

    /// Takes over the entry with the fewest refusals, and its count with it: a key that comes again and again does not
    /// lose its place to a flood of keys that come once.
    fn newcomer(&mut self, key: Key) {
        if self.entries.len() < Top::ENTRIES {
            self.places.insert(key.clone(), self.entries.len());
            return self.entries.push(Entry { key, count: 1, over: 0 });
        }
        let fewest = self.entries.iter_mut().enumerate().min_by_key(|(_, entry)| entry.count);
        let Some((place, entry)) = fewest else { return };
        self.places.remove(&entry.key);
        self.places.insert(key.clone(), place);
        *entry = Entry { key, count: entry.count.saturating_add(1), over: entry.count };
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::config::ClientPrefix;
    use crate::key::Builder;

    fn client(last: u32) -> Key {
        let mut key = Builder::default();
        key.client(Ipv4Addr::from(0x0a00_0000 + last).into(), ClientPrefix::default());
        key.finish(7)
    }

    #[test]
    fn those_refused_most_come_first() {
        let top = Top::default();
        for (who, times) in [(1, 3), (2, 7), (3, 5)] {
            (0..times).for_each(|_| top.refused(&client(who)));
        }
        let worst: Vec<_> = top.worst(2).into_iter().map(|worst| (worst.key, worst.refused, worst.over)).collect();
        assert_eq!(worst, [("client=10.0.0.2".to_owned(), 7, 0), ("client=10.0.0.3".to_owned(), 5, 0)]);
    }

    #[test]
    fn a_flood_of_keys_that_come_once_does_not_hide_the_worst() {
        let top = Top::default();
        for nth in 0..100_000_u32 {
            top.refused(&client(1000 + nth));
            if nth % 20 == 0 {
                top.refused(&client(1));
            }
        }
        let worst = &top.worst(1)[0];
        assert_eq!(worst.key, "client=10.0.0.1");
        assert!(worst.refused >= 5000 && worst.refused - worst.over <= 5000, "{worst:?}");
        assert_eq!(top.worst(1000).len(), Top::ENTRIES);
        let inner = top.0.lock();
        assert_eq!((inner.places.len(), inner.entries.len()), (Top::ENTRIES, Top::ENTRIES));
    }

    #[test]
    fn a_key_that_is_forgotten_is_gone_and_the_others_count_on() {
        let top = Top::default();
        (1..=3).for_each(|who| top.refused(&client(who)));
        top.forget(&client(1));
        top.forget(&client(9));
        (2..=3).for_each(|who| top.refused(&client(who)));
        let mut left: Vec<_> = top.worst(9).into_iter().map(|worst| (worst.key, worst.refused)).collect();
        left.sort();
        assert_eq!(left, [("client=10.0.0.2".to_owned(), 2), ("client=10.0.0.3".to_owned(), 2)]);
    }
}
