//! A table of cells whose size never changes: sets of four cells in two cache lines.
//!
//! A key lives in the set its tag points to, or, if that was full, in one of the next three, or, if they were, in
//! another four somewhere else: so that more than half of all cells are in use when the first key finds no room, and
//! nearly all when most don't. Finding a key takes no lock. A new key is put in under its home set's latch, so that two
//! threads can not give one key two cells.
//!
//! **When it is full** (no probed cell is empty or as good as new): the least used of those that have used less than
//! half of their limit makes room. If there is none, the newcomer is not tracked and passes. So a flood of keys that
//! ask once evicts its own kind; who has asked for much stays counted, and nobody is refused for want of room.

use std::sync::atomic::{AtomicU64, Ordering};

use super::atoms::{Atoms, Latch, Wait};
use super::cell::{Cell, Sight};
use super::scale::{Scale, Standing};
use super::word::Word;
use crate::rule::Now;

const WAYS: usize = 4;
/// Neighbouring sets in which a key may be, at each of its two homes.
const PROBES: usize = 4;
/// How often a place is looked for again when others took the one that was chosen.
const TRIES: usize = 16;

#[derive(Debug)]
pub(super) struct Table<A: Atoms> {
    sets: Box<[Set<A>]>,
    latches: Box<[A::Latch]>,
    evicted: AtomicU64,
    untracked: AtomicU64,
}

#[derive(Debug)]
#[repr(align(128))]
struct Set<A: Atoms>([Cell<A>; WAYS]);

/// Where a key is.
#[derive(Debug)]
pub(super) enum Find<'a, A: Atoms> {
    At(&'a Cell<A>, Word),
    Absent,
    /// It comes or goes right now: look again.
    Changing,
}

/// What became of a newcomer.
#[derive(Debug)]
pub(super) enum Put<'a, A: Atoms> {
    At(&'a Cell<A>, Word),
    /// It is there already: look again.
    Known,
    /// All probed cells are in better use.
    NoRoom,
}

impl<A: Atoms> Clone for Find<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<A: Atoms> Copy for Find<'_, A> {}

impl<A: Atoms> Table<A> {
    /// What a set costs, its latch included.
    const SET_BYTES: usize = size_of::<Set<A>>() + size_of::<A::Latch>();

    /// At most this big, and at least one set.
    pub(super) fn new(bytes: usize) -> Self {
        let sets = (bytes / Self::SET_BYTES).max(1);
        Self {
            sets: (0..sets).map(|_| Set(std::array::from_fn(|_| Cell::default()))).collect(),
            latches: (0..sets).map(|_| A::Latch::default()).collect(),
            evicted: AtomicU64::new(0),
            untracked: AtomicU64::new(0),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.sets.len() * Self::SET_BYTES
    }

    pub(super) fn cells(&self) -> impl Iterator<Item = &Cell<A>> {
        self.sets.iter().flat_map(|set| &set.0)
    }

    /// Goes on with the figures of the table before it.
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

    /// Which cells of its home set bear the tag, as bits. Without a branch, so that the loads of several keys overlap.
    #[inline]
    pub(super) fn glance(&self, tag: u64) -> u8 {
        self.sets.get(self.home(tag)).map_or(0, |set| set.bearing(tag))
    }

    #[inline]
    pub(super) fn find(&self, tag: u64) -> Find<'_, A> {
        self.find_from(tag, self.glance(tag))
    }

    /// As [`Table::find`], when the home set was glanced at before.
    #[inline(always)]
    pub(super) fn find_from(&self, tag: u64, glance: u8) -> Find<'_, A> {
        match self.sets.get(self.home(tag)) {
            Some(set) if glance != 0 => set.sight(tag, glance),
            _ => self.find_beyond(tag),
        }
    }

    /// Wherever the key may be.
    fn find_beyond(&self, tag: u64) -> Find<'_, A> {
        for set in self.probed(tag) {
            match set.bearing(tag) {
                0 => {}
                bearing => return set.sight(tag, bearing),
            }
            // Tags never become 0 again: nobody had to go further than here. A cell that comes to its first key has no
            // tag yet, but others do go further than that.
            if set.bearing(0) != 0 && set.0.iter().any(Cell::is_empty) {
                return Find::Absent;
            }
        }
        Find::Absent
    }

    /// Gives a key a cell whose first word is `first`.
    pub(super) fn put(&self, tag: u64, scale: Scale, first: Word, now: Now) -> Put<'_, A> {
        let home = self.home(tag);
        let Some(_closed) = self.latches.get(home).and_then(Closed::<A>::close) else { return self.no_room() };
        match self.find(tag) {
            Find::Absent => {}
            Find::At(..) | Find::Changing => return Put::Known,
        }
        for _ in 0..TRIES {
            let Some((cell, seen, evicts)) = self.place(tag, now) else { return self.no_room() };
            if let Some(word) = cell.claim(seen, tag, scale, first) {
                self.evicted.fetch_add(u64::from(evicts), Ordering::Relaxed);
                return Put::At(cell, word);
            }
        }
        self.no_room()
    }

    /// Somebody goes uncounted.
    pub(super) fn pass_untracked(&self) {
        self.untracked.fetch_add(1, Ordering::Relaxed);
    }

    fn no_room(&self) -> Put<'_, A> {
        self.pass_untracked();
        Put::NoRoom
    }

    /// The cell to use for a newcomer, and whether somebody who counts has to leave it.
    fn place(&self, tag: u64, now: Now) -> Option<(&Cell<A>, Word, bool)> {
        let mut least = None;
        let mut least_share = f64::INFINITY;
        for cell in self.probed(tag).flat_map(|set| &set.0) {
            let (word, owner, scale) = cell.read();
            match scale.standing(word, now) {
                _ if word.is_claimed() => {}
                _ if owner == 0 => return Some((cell, word, false)),
                Standing::Free => return Some((cell, word, false)),
                Standing::Low(share) if share < least_share => {
                    least_share = share;
                    least = Some((cell, word, true));
                }
                Standing::Low(_) | Standing::Stays => {}
            }
        }
        least
    }

    /// The high bits choose the set, so that a tag finds its place in a table of any size.
    fn home(&self, tag: u64) -> usize {
        ((u128::from(tag) * self.sets.len() as u128) >> 64) as usize
    }

    /// The sets in which `tag` may be, its home first.
    #[inline]
    fn probed(&self, tag: u64) -> impl Iterator<Item = &Set<A>> {
        let homes = [self.home(tag), self.home(tag.rotate_left(32))];
        homes.into_iter().flat_map(|home| self.neighbours(home))
    }

    fn neighbours(&self, home: usize) -> impl Iterator<Item = &Set<A>> {
        (home..home + PROBES).filter_map(|at| self.sets.get(at % self.sets.len()))
    }
}

impl<A: Atoms> Set<A> {
    #[inline(always)]
    fn sight(&self, tag: u64, bearing: u8) -> Find<'_, A> {
        let Some(cell) = self.0.get(bearing.trailing_zeros() as usize) else { return Find::Changing };
        match cell.sight(tag) {
            Sight::Theirs(word) => Find::At(cell, word),
            Sight::Changing | Sight::Gone => Find::Changing,
        }
    }

    #[inline(always)]
    fn bearing(&self, tag: u64) -> u8 {
        let [a, b, c, d] = &self.0;
        let bit = |cell: &Cell<A>, at: u8| u8::from(cell.tag() == tag) << at;
        bit(a, 0) | bit(b, 1) | bit(c, 2) | bit(d, 3)
    }
}

/// A closed latch; opens when dropped.
struct Closed<'a, A: Atoms>(&'a A::Latch);

impl<'a, A: Atoms> Closed<'a, A> {
    fn close(latch: &'a A::Latch) -> Option<Self> {
        let mut wait = Wait::default();
        while !latch.try_close() {
            if !wait.go_on::<A>() {
                return None;
            }
        }
        Some(Self(latch))
    }
}

impl<A: Atoms> Drop for Closed<'_, A> {
    fn drop(&mut self) {
        self.0.open();
    }
}
