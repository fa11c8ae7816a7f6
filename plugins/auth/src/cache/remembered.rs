//! What is remembered for a while: bounded, in shards, and what nobody asks for goes first.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::SystemTime;

use parking_lot::RwLock;

/// More shards than this help no machine.
const MOST_SHARDS: usize = 64;
/// The most values that are looked at for one that may go.
const LOOKS: usize = 8;

/// Values by keyed hashes of what they belong to ([`Keyed`](super::Keyed)), each until its time.
///
/// CLOCK: a value that was asked for gets a second chance when another needs its place. Making a place looks at a few
/// values and no more.
pub(crate) struct Remembered<V> {
    shards: Box<[RwLock<Shard<V>>]>,
}

struct Shard<V> {
    /// Where in `values` each key's is.
    places: HashMap<u128, usize, BuildHasherDefault<AlreadyHashed>>,
    values: Vec<Value<V>>,
    hand: usize,
    most: usize,
}

struct Value<V> {
    key: u128,
    until: SystemTime,
    used: AtomicBool,
    value: V,
}

/// What became of a value that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// In a free place.
    New,
    /// In place of the one under this key.
    Again,
    /// In the place of another key's, which had expired or gave way.
    Instead,
    /// Nothing is remembered at all.
    Nowhere,
}

impl<V> Remembered<V> {
    /// Room for so many values.
    pub(crate) fn new(most: usize) -> Self {
        let shards = (most / MOST_SHARDS).next_power_of_two().clamp(1, MOST_SHARDS);
        let shard = || Shard { places: HashMap::default(), values: Vec::new(), hand: 0, most: most / shards };
        Self { shards: (0..shards).map(|_| RwLock::new(shard())).collect() }
    }

    /// The value under `key`, if it is still good.
    pub(crate) fn get(&self, key: u128, now: SystemTime) -> Option<V>
    where
        V: Clone,
    {
        let shard = self.shard(key)?.read();
        let value = shard.values.get(*shard.places.get(&key)?).filter(|value| value.until > now)?;
        // Most are marked already: a cache line that is only read can be in every core's cache.
        if !value.used.load(Relaxed) {
            value.used.store(true, Relaxed);
        }
        Some(value.value.clone())
    }

    /// Remembers a value until a time.
    pub(crate) fn put(&self, key: u128, value: V, until: SystemTime, now: SystemTime) -> Put {
        let Some(shard) = self.shard(key) else { return Put::Nowhere };
        let value = Value { key, until, used: AtomicBool::new(false), value };
        // What goes is dropped after the lock: it may be large.
        let (put, _gone) = shard.write().put(value, now);
        put
    }

    /// How many are remembered, expired ones among them.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().values.len()).sum()
    }

    fn shard(&self, key: u128) -> Option<&RwLock<Shard<V>>> {
        // The maps use the other end of the key.
        let place = (key >> 96) as usize & (self.shards.len() - 1);
        self.shards.get(place)
    }
}

impl<V> Shard<V> {
    fn put(&mut self, value: Value<V>, now: SystemTime) -> (Put, Option<Value<V>>) {
        if let Some(place) = self.places.get(&value.key) {
            let gone = self.values.get_mut(*place).map(|old| std::mem::replace(old, value));
            return (Put::Again, gone);
        }
        if self.values.len() < self.most {
            self.places.insert(value.key, self.values.len());
            self.values.push(value);
            return (Put::New, None);
        }
        let Some(place) = self.place(now) else { return (Put::Nowhere, None) };
        let key = value.key;
        let gone = self.values.get_mut(place).map(|old| std::mem::replace(old, value));
        if let Some(gone) = &gone {
            self.places.remove(&gone.key);
        }
        self.places.insert(key, place);
        (Put::Instead, gone)
    }

    /// The place of a value that may go: one that has expired, or that nobody has asked for since the hand passed it.
    fn place(&mut self, now: SystemTime) -> Option<usize> {
        let mut place = None;
        for _ in 0..LOOKS {
            let value = self.values.get(self.hand)?;
            place = Some(self.hand);
            self.hand = (self.hand + 1) % self.values.len();
            if value.until <= now || !value.used.swap(false, Relaxed) {
                break;
            }
        }
        place
    }
}

/// Keys are hashes, of which nobody outside can know anything: any part of them will do.
#[derive(Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn later(seconds: u64) -> SystemTime {
        NOW + Duration::from_secs(seconds)
    }

    /// Keys as hashes are: spread over all bits.
    fn key(n: u64) -> u128 {
        u128::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 64 | u128::from(n.wrapping_mul(0xd1b5_4a32_d192_ed03))
    }

    #[test]
    fn a_value_is_found_until_its_time_and_not_at_it() {
        let remembered = Remembered::new(10);
        assert_eq!(remembered.put(1, "a", later(10), NOW), Put::New);
        assert_eq!(remembered.get(1, later(9)), Some("a"));
        assert_eq!(remembered.get(1, later(10)), None);
        assert_eq!(remembered.get(2, NOW), None);
        assert_eq!(remembered.put(1, "b", later(20), NOW), Put::Again);
        assert_eq!(remembered.get(1, later(10)), Some("b"));
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        for most in [0, 1, 3, 64, 1000, 100_000] {
            let remembered = Remembered::new(most);
            for n in 0..2 * most as u64 + 10 {
                remembered.put(key(n), n, later(10), NOW);
            }
            assert!(remembered.len() <= most, "{} of {most}", remembered.len());
            assert!(remembered.len() >= most * 9 / 10, "{} of {most}", remembered.len());
        }
    }

    #[test]
    fn what_is_asked_for_stays_and_what_is_not_goes() {
        let remembered = Remembered::new(8);
        for n in 0..8 {
            remembered.put(n, n, later(10), NOW);
        }
        for n in 100..200 {
            assert_eq!(remembered.get(3, NOW), Some(3), "after {n}");
            assert_eq!(remembered.put(n, n, later(10), NOW), Put::Instead);
        }
        assert_eq!(remembered.len(), 8);
    }

    #[test]
    fn what_has_expired_goes_before_what_was_used() {
        let remembered = Remembered::new(4);
        for n in 0..4 {
            remembered.put(n, n, later(if n == 2 { 1 } else { 10 }), NOW);
            remembered.get(n, NOW);
        }
        remembered.put(9, 9, later(10), later(5));
        let left: Vec<_> = (0..4).filter(|n| remembered.get(*n, later(5)).is_some()).collect();
        assert_eq!(left, [0, 1, 3]);
    }

    #[test]
    fn a_place_is_found_where_everything_is_in_use() {
        let remembered = Remembered::new(60);
        for n in 0..60 {
            remembered.put(n, n, later(10), NOW);
        }
        for n in 0..60 {
            remembered.get(n, NOW);
        }
        assert_eq!(remembered.put(99, 99, later(10), NOW), Put::Instead);
        assert_eq!(remembered.get(99, NOW), Some(99));
        assert_eq!(remembered.len(), 60);
    }
}
