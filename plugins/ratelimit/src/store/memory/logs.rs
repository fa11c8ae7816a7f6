//! The logs of sliding windows. They grow, so they can't be in cells: they are kept in shards, each behind a lock that
//! is held only while a step is made, and bounded by bytes with the same policy as the table.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;

use super::shard::{Held, Room, Shard, measures};
use super::step::Want;
use super::together::Refusal;
use crate::algorithm::Log;
use crate::rule::{Micros, Now, Verdict};

const SHARDS: usize = 64;

#[derive(Debug)]
pub(super) struct Logs {
    shards: Box<[Mutex<Shard>]>,
    evicted: AtomicU64,
    untracked: AtomicU64,
}

impl Logs {
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new(bytes / SHARDS))).collect(),
            evicted: AtomicU64::new(0),
            untracked: AtomicU64::new(0),
        }
    }

    /// Takes all or none. All shards concerned are locked, in order, until it is decided.
    pub(super) fn take_all(&self, wants: &[Want<'_>], now: Now, verdicts: &mut [Verdict]) -> Result<(), Refusal> {
        let mut shards = self.locked(wants);
        for (place, want) in wants.iter().enumerate() {
            let Some(shard) = locked_of(&mut shards, want.tag) else { continue };
            match self.take(shard, want, now) {
                Ok(verdict) => {
                    if let Some(place) = verdicts.get_mut(want.at) {
                        *place = verdict;
                    }
                }
                Err(verdict) => {
                    for taken in wants.iter().take(place) {
                        if let Some(shard) = locked_of(&mut shards, taken.tag) {
                            shard.undo(taken, now);
                        }
                    }
                    return Err((want.at, verdict));
                }
            }
        }
        Ok(())
    }

    fn take(&self, shard: &mut Shard, want: &Want<'_>, now: Now) -> Result<Verdict, Verdict> {
        let (limit, window) = measures(want);
        if want.cost == 0 || want.cost > shard.look(want, now).remaining {
            // Neither a look nor a refusal changes anything.
            return match shard.logs.get_mut(&want.tag) {
                Some(held) => held.log.take(limit, window, now, want.cost),
                None => Log::default().take(limit, window, now, want.cost),
            };
        }
        match self.room(shard, want, now) {
            Room::Enough => shard.change(want, |log| log.take(limit, window, now, want.cost)),
            Room::ForNoEntry => {
                shard.change(want, |log| log.join_newest(window, now, want.cost));
                Ok(Verdict { allowed: true, retry: 0, ..shard.look(want, now) })
            }
            Room::None => Log::default().take(limit, window, now, want.cost),
        }
    }

    /// What there is to say to a cost, before it is taken; it isn't.
    pub(super) fn preview(&self, want: &Want<'_>, now: Now) -> Result<Verdict, Verdict> {
        let (limit, window) = measures(want);
        let mut shard = self.shard(want.tag).lock();
        let mut log = shard.logs.get(&want.tag).map(|held| held.log.clone()).unwrap_or_default();
        log.take(limit, window, now, want.cost).map(|_| shard.look(want, now))
    }

    /// Counts whatever the limit says, and returns what there is to say then.
    pub(super) fn charge(&self, want: &Want<'_>, units: i64, now: Now) -> Verdict {
        let (limit, window) = measures(want);
        let mut shard = self.shard(want.tag).lock();
        let room = match units {
            1.. => self.room(&mut shard, want, now),
            _ if shard.logs.contains_key(&want.tag) => Room::Enough,
            _ => Room::None,
        };
        match room {
            Room::Enough => shard.change(want, |log| log.charge(limit, window, now, units)),
            Room::ForNoEntry => shard.change(want, |log| log.join_newest(window, now, units.unsigned_abs())),
            Room::None => {}
        }
        shard.look(want, now)
    }

    /// Forgets a key; false if it was not known.
    pub(super) fn forget(&self, tag: u64) -> bool {
        self.shard(tag).lock().remove(tag)
    }

    /// Puts in a log kept from before, if there is room; with its limit, window and policy.
    pub(super) fn restore(&self, tag: u64, log: Log, measures: (u64, Micros, u16)) {
        self.shard(tag).lock().restore(tag, log, measures);
    }

    /// Shows every log that still counts, and drops the others. One shard at a time is locked.
    pub(super) fn visit(&self, now: Now, mut see: impl FnMut(u64, &Held)) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            shard.sweep(now);
            shard.logs.iter().for_each(|(tag, held)| see(*tag, held));
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().bytes).sum()
    }

    /// Goes on with the figures of the logs before them.
    pub(super) fn count_on(&self, before: &Self) {
        self.evicted.fetch_add(before.evicted(), Ordering::Relaxed);
        self.untracked.fetch_add(before.untracked(), Ordering::Relaxed);
    }

    pub(super) fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    pub(super) fn untracked(&self) -> u64 {
        self.untracked.load(Ordering::Relaxed)
    }

    fn room(&self, shard: &mut Shard, want: &Want<'_>, now: Now) -> Room {
        let (room, evicted) = shard.room(want.tag, now);
        self.evicted.fetch_add(evicted, Ordering::Relaxed);
        if let Room::None = room {
            self.untracked.fetch_add(1, Ordering::Relaxed);
        }
        room
    }

    fn locked(&self, wants: &[Want<'_>]) -> SmallVec<[(usize, MutexGuard<'_, Shard>); 4]> {
        let mut numbers: SmallVec<[usize; 4]> = wants.iter().map(|want| number(want.tag)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.into_iter().filter_map(|number| Some((number, self.shards.get(number)?.lock()))).collect()
    }

    fn shard(&self, tag: u64) -> &Mutex<Shard> {
        // In bounds: there are SHARDS shards.
        &self.shards[number(tag)]
    }
}

fn locked_of<'a>(locked: &'a mut [(usize, MutexGuard<'_, Shard>)], tag: u64) -> Option<&'a mut Shard> {
    locked.iter_mut().find(|(place, _)| *place == number(tag)).map(|(_, shard)| &mut **shard)
}

/// The low bits: the high ones choose a place in the table.
fn number(tag: u64) -> usize {
    (tag % SHARDS as u64) as usize
}
