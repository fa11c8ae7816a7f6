//! A part of the logs of sliding windows, and what they cost.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::step::Want;
use crate::algorithm::Log;
use crate::rule::{Micros, Now, Shape, Verdict};

/// How many logs are looked at to make room for one.
const SAMPLE: usize = 16;
/// A log with nothing in it yet: its place in a map that is at worst half empty, and the least it allocates.
const LOG_BYTES: usize = 2 * (size_of::<(u64, Held)>() + 1 + size_of::<u64>());
/// Of one entry.
const ENTRY_BYTES: usize = 16;
const FIRST_ENTRIES: usize = 4 * ENTRY_BYTES;

#[derive(Debug, Default)]
pub(super) struct Shard {
    pub(super) logs: HashMap<u64, Held, BuildHasherDefault<AsIs>>,
    /// The tags of all logs, to look at a few of them in turn.
    tags: Vec<u64>,
    turn: usize,
    pub(super) bytes: usize,
    most: usize,
}

/// A log, and what is needed to judge it without its rule.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) log: Log,
    pub(super) limit: u64,
    pub(super) window: Micros,
    pub(super) policy: u16,
    place: usize,
}

/// What there is room for.
pub(super) enum Room {
    Enough,
    /// For no other entry, but the key is known: it is counted with its newest.
    ForNoEntry,
    None,
}

impl Shard {
    pub(super) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// Room for one more entry of a key, made if need be; and how many keys had to go that still counted.
    pub(super) fn room(&mut self, tag: u64, now: Now) -> (Room, u64) {
        let known = self.logs.get(&tag);
        let needed = match known {
            None => LOG_BYTES + FIRST_ENTRIES,
            Some(held) if held.log.entries().len() * ENTRY_BYTES < held.log.bytes() => 0,
            Some(held) => held.log.bytes().max(FIRST_ENTRIES),
        };
        let without = if known.is_some() { Room::ForNoEntry } else { Room::None };
        let mut evicted = 0;
        for _ in 0..SAMPLE {
            if needed == 0 || self.bytes + needed <= self.most {
                return (Room::Enough, evicted);
            }
            let Some(counted) = self.evict_one(tag, now) else { break };
            evicted += u64::from(counted);
        }
        (without, evicted)
    }

    /// Puts in a log kept from before, if there is room.
    pub(super) fn restore(&mut self, tag: u64, log: Log, (limit, window, policy): (u64, Micros, u16)) {
        let bytes = LOG_BYTES + log.bytes();
        let counts = log.entries().len() > 0;
        if counts && self.bytes + bytes <= self.most && !self.logs.contains_key(&tag) {
            self.bytes += bytes;
            self.logs.insert(tag, Held { log, limit, window, policy, place: self.tags.len() });
            self.tags.push(tag);
        }
    }

    /// Drops what is over.
    pub(super) fn sweep(&mut self, now: Now) {
        let over = |tag: &&u64| self.logs.get(tag).is_some_and(|held| held.is_over(now));
        for tag in self.tags.iter().filter(over).copied().collect::<Vec<_>>() {
            self.remove(tag);
        }
    }

    /// What the log says to a cost of zero.
    pub(super) fn look(&mut self, want: &Want<'_>, now: Now) -> Verdict {
        let (limit, window) = measures(want);
        match self.logs.get_mut(&want.tag) {
            Some(held) => held.log.look(limit, window, now),
            None => Log::default().look(limit, window, now),
        }
    }

    /// Changes a key's log, which is made if there is none, and counts its bytes. An empty log goes.
    pub(super) fn change<R>(&mut self, want: &Want<'_>, change: impl FnOnce(&mut Log) -> R) -> R {
        let (limit, window) = measures(want);
        let held = self.logs.entry(want.tag).or_insert_with(|| {
            self.tags.push(want.tag);
            self.bytes += LOG_BYTES;
            Held { log: Log::default(), limit, window, policy: want.policy, place: self.tags.len() - 1 }
        });
        held.policy = want.policy;
        let before = held.log.bytes();
        let said = change(&mut held.log);
        self.bytes = (self.bytes + held.log.bytes()).saturating_sub(before);
        if held.log.entries().len() == 0 {
            self.remove(want.tag);
        }
        said
    }

    pub(super) fn undo(&mut self, want: &Want<'_>, now: Now) {
        if want.cost > 0 && self.logs.contains_key(&want.tag) {
            self.change(want, |log| log.undo(now, want.cost));
        }
    }

    /// Drops the first log of a few that is over, or the least full if that is less than half full (then true). Never
    /// the one room is made for.
    fn evict_one(&mut self, keep: u64, now: Now) -> Option<bool> {
        let mut least: Option<(u16, u64)> = None;
        for _ in 0..SAMPLE.min(self.tags.len()) {
            self.turn = (self.turn + 1) % self.tags.len();
            let Some((tag, held)) = self.tags.get(self.turn).and_then(|tag| Some((*tag, self.logs.get_mut(tag)?)))
            else {
                continue;
            };
            if tag == keep {
                continue;
            }
            if held.is_over(now) {
                self.remove(tag);
                return Some(false);
            }
            let fullness = held.log.fullness(held.limit, held.window, now);
            if fullness < u16::MAX / 2 && least.is_none_or(|(most, _)| fullness < most) {
                least = Some((fullness, tag));
            }
        }
        let (_, tag) = least?;
        self.remove(tag);
        Some(true)
    }

    pub(super) fn remove(&mut self, tag: u64) -> bool {
        let Some(held) = self.logs.remove(&tag) else { return false };
        self.bytes = self.bytes.saturating_sub(LOG_BYTES + held.log.bytes());
        self.tags.swap_remove(held.place);
        let moved = self.tags.get(held.place).and_then(|moved| self.logs.get_mut(moved));
        if let Some(moved) = moved {
            moved.place = held.place;
        }
        true
    }
}

impl Held {
    pub(super) fn is_over(&self, now: Now) -> bool {
        self.log.fresh_at(self.window, now) <= now.steady
    }
}

/// The limit and the window.
pub(super) fn measures(want: &Want<'_>) -> (u64, Micros) {
    match want.rule.shape {
        Shape::Sliding { limit, window } => (limit, window),
        // Only sliding windows have logs; see `Rule::keeps_log`.
        _ => (want.rule.quota, want.rule.window),
    }
}

/// Tags are hashes already, by a key nobody knows.
#[derive(Debug, Default)]
pub(super) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }
    fn write_u64(&mut self, tag: u64) {
        // The map chooses by the low and the high bits; the low ones of a shard's tags are all the same.
        self.0 = tag.rotate_right(6);
    }
}
