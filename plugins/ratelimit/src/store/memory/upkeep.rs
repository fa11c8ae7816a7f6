//! What background tasks, operators and reloads do with a whole store.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::atoms::Machine;
use super::cell::Cell;
use super::scale::{Scale, Standing};
use super::word::{Kind, Word};
use super::{Memory, Size};
use crate::algorithm::State;
use crate::rule::Now;

/// What a store holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Keys whose state matters, by policy.
    pub keys: BTreeMap<u16, u64>,
    /// Bytes held for them.
    pub bytes: usize,
    /// Keys that made room for others while they still mattered, since the start.
    pub evicted: u64,
    /// Requests of keys that there was no room for, since the start.
    pub untracked: u64,
}

/// The store that took over.
#[derive(Debug)]
pub(super) struct Successor {
    store: Arc<Memory>,
    /// What was in flight by tag when it took over.
    in_flight: Vec<(u64, u64)>,
}

impl Memory {
    /// Counts keys by a scan of the whole table, and drops logs that are over: for a background task.
    pub(crate) fn counts(&self, now: Now) -> Counts {
        let store = self.current();
        let mut keys = BTreeMap::<u16, u64>::new();
        store.logs.visit(now, |_, held| *keys.entry(held.policy).or_default() += 1);
        for (_, _, scale) in store.live(now) {
            *keys.entry(scale.policy()).or_default() += 1;
        }
        Counts {
            keys,
            bytes: store.table.bytes() + store.logs.bytes(),
            evicted: store.table.evicted() + store.logs.evicted(),
            untracked: store.table.untracked() + store.logs.untracked(),
        }
    }

    /// The bytes it may have.
    pub(crate) fn size(&self) -> Size {
        self.current().size
    }

    /// A store of another size with all that fits of this one's keys. From now on this one passes on what it is asked
    /// to that one, so that requests of before and after a reload are counted together, and what is in flight is
    /// given back where it is counted. What is counted between the copy of a key and the end of the copy, milliseconds,
    /// stays here and is lost: takes, charges and bans; but not what is given back of what was in flight.
    pub(crate) fn resized(self: &Arc<Self>, size: impl Into<Size>) -> Arc<Self> {
        let size = size.into();
        if self.successor.get().is_some() {
            return self.latest().resized(size);
        }
        let mut other = Self::seeded(size, self.seed, self.began, self.clock.clone());
        other.saving = self.saving.clone();
        let other = Arc::new(other);
        let now = self.now();
        let in_flight = self.copy_cells(&other, now);
        self.logs.visit(now, |tag, held| {
            other.logs.restore(tag, held.log.clone(), (held.limit, held.window, held.policy));
        });
        other.table.count_on(&self.table);
        other.logs.count_on(&self.logs);
        match self.successor.set(Successor { store: other.clone(), in_flight }) {
            Ok(()) => other,
            // Another thread was faster.
            Err(_) => self.latest().resized(size),
        }
    }

    /// Returns what is in flight.
    fn copy_cells(&self, other: &Memory, now: Now) -> Vec<(u64, u64)> {
        let cells: Vec<_> = self.live(now).collect();
        let in_flight = cells.iter().filter(|(word, ..)| word.kind() == Some(Kind::Concurrency));
        let in_flight = in_flight.map(|(word, tag, _)| (*tag, word.state().amount)).collect();
        other.fill(cells, now);
        in_flight
    }

    /// Puts in what was in another store. The guilty go first: they are not to be lost if there is less room here.
    pub(super) fn fill(&self, cells: Vec<(Word, u64, Scale)>, now: Now) {
        let stays = |(word, _, scale): &(Word, u64, Scale)| scale.standing(word.bare(), now) == Standing::Stays;
        let (guilty, others): (Vec<_>, Vec<_>) = cells.into_iter().partition(stays);
        for (word, tag, scale) in guilty.into_iter().chain(others) {
            self.table.put(tag, scale, word.bare(), now);
        }
    }

    /// All cells whose state matters.
    pub(super) fn live(&self, now: Now) -> impl Iterator<Item = (Word, u64, Scale)> {
        let snapshots = self.table.cells().filter_map(Cell::<Machine>::snapshot);
        snapshots.filter(move |(word, _, scale)| scale.standing(word.bare(), now) != Standing::Free)
    }

    /// The store that counts: this one, or the one that took over.
    #[inline]
    pub(super) fn current(&self) -> &Self {
        match self.successor.get() {
            None => self,
            Some(successor) => successor.store.current(),
        }
    }

    fn latest(self: &Arc<Self>) -> Arc<Self> {
        match self.successor.get() {
            None => self.clone(),
            Some(successor) => successor.store.latest(),
        }
    }
}

/// What was in flight when another store took over may have been given back in this one, by a request in the middle of
/// a step. Now that nobody uses this one any more, that is passed on: else it would be in flight for ever. What was
/// taken or charged here during the copy is not: it is lost, see [`Memory::resized`].
impl Drop for Memory {
    fn drop(&mut self) {
        let Some(Successor { store, in_flight }) = self.successor.take() else { return };
        for (tag, then) in in_flight {
            let given_back = then.saturating_sub(self.table.state(tag).amount);
            if given_back > 0 {
                store.current().give_back(tag, given_back);
            }
        }
    }
}

impl Memory {
    /// To a limit on what is in flight, known by its tag only.
    pub(super) fn give_back(&self, tag: u64, units: u64) {
        self.table.change_known(tag, |state| match state.amount.saturating_sub(units) {
            0 => State::FRESH,
            amount => State { amount, ..state },
        });
    }
}
