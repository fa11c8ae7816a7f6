//! What this gateway has in flight under `concurrency` limits that are counted in Redis.
//!
//! There, each gateway has its own counts, which end with a lease unless they are renewed: a gateway that dies gives
//! back what it had. A count must also survive answers that never came and messages that were dropped. So time is cut
//! into epochs. Takes and releases of the last two are counted by the server as they happen, and may drift. What was
//! taken in an older epoch is a single count, and the gateway says what it is: nothing of it is under way any more, so
//! the gateway knows. Whatever drifted is right again after two epochs.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use parking_lot::Mutex;

/// By the name of their key in Redis. As many as have requests in flight.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<Epochs>);

#[derive(Debug, Default)]
struct Epochs {
    current: u64,
    held: HashMap<String, Held>,
}

/// In flight under one key, by the epoch in which they were taken. Units are alike: it doesn't matter which is given
/// back, so the oldest are.
#[derive(Debug, Default)]
struct Held {
    older: u64,
    previous: u64,
    current: u64,
    /// The older count is about to be told.
    queued: bool,
}

/// What the server must be told of a release.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Released {
    /// That the older count is another.
    pub older: bool,
    /// How much less each of these epochs has.
    pub young: [(u64, u64); 2],
    /// How much was not counted here.
    pub rest: u64,
}

/// What a gateway says of itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Older {
    pub held: u64,
    /// The epoch from which on the server counts by itself.
    pub since: u64,
}

impl Flights {
    pub(super) fn epoch(&self) -> u64 {
        self.0.lock().current
    }

    /// The server has granted `units`, asked for in `epoch`.
    pub(super) fn took(&self, key: &str, epoch: u64, units: u64) {
        let mut epochs = self.0.lock();
        let current = epochs.current;
        let held = match epochs.held.get_mut(key) {
            Some(held) => held,
            None => epochs.held.entry(key.to_owned()).or_default(),
        };
        match current - epoch.min(current) {
            0 => held.current += units,
            1 => held.previous += units,
            _ => held.older += units,
        }
    }

    /// A request has ended.
    pub(super) fn release(&self, key: &str, units: u64) -> Released {
        let mut epochs = self.0.lock();
        let current = epochs.current;
        let Entry::Occupied(mut entry) = epochs.held.entry(key.to_owned()) else {
            return Released { rest: units, ..Released::default() };
        };
        let held = entry.get_mut();
        let mut left = units;
        let older = take_from(&mut held.older, &mut left);
        let previous = take_from(&mut held.previous, &mut left);
        let last = take_from(&mut held.current, &mut left);
        let tell = older > 0 && !std::mem::replace(&mut held.queued, true);
        Released { older: tell, young: [(current.saturating_sub(1), previous), (current, last)], rest: left }
    }

    /// The older count that a release has changed, now that it is told.
    pub(super) fn older(&self, key: &str) -> Older {
        let mut epochs = self.0.lock();
        let since = epochs.current.saturating_sub(1);
        let held = epochs.held.get_mut(key).map_or(0, |held| {
            held.queued = false;
            held.older
        });
        Older { held, since }
    }

    /// Begins another epoch. Returns the keys whose leases are to be renewed.
    pub(super) fn begin_epoch(&self) -> Vec<String> {
        let mut epochs = self.0.lock();
        epochs.current += 1;
        epochs.held.retain(|_, held| !held.is_empty() || held.queued);
        for held in epochs.held.values_mut() {
            held.older += std::mem::replace(&mut held.previous, std::mem::take(&mut held.current));
        }
        epochs.held.keys().cloned().collect()
    }
}

impl Held {
    fn is_empty(&self) -> bool {
        self.older == 0 && self.previous == 0 && self.current == 0
    }
}

fn take_from(count: &mut u64, left: &mut u64) -> u64 {
    let taken = (*count).min(*left);
    *count -= taken;
    *left -= taken;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_given_back_first_and_never_more_than_there_are() {
        let flights = Flights::default();
        let rest = |rest| Released { rest, ..Released::default() };
        assert_eq!(flights.release("k", 1), rest(1));
        for _ in 0..3 {
            flights.took("k", flights.epoch(), 1);
            assert_eq!(flights.begin_epoch(), ["k"]);
        }
        // Taken in epochs 0, 1 and 2; now is 3.
        assert_eq!(flights.release("k", 1), Released { older: true, young: [(2, 0), (3, 0)], rest: 0 });
        let queued = Released { older: false, young: [(2, 0), (3, 0)], rest: 0 };
        assert_eq!(flights.release("k", 1), queued, "already");
        assert_eq!(flights.older("k"), Older { held: 0, since: 2 });
        assert_eq!(flights.release("k", 5), Released { older: false, young: [(2, 1), (3, 0)], rest: 4 });
        assert_eq!(flights.release("k", 1).rest, 1);
        assert_eq!(flights.begin_epoch(), Vec::<String>::new());
    }
}
