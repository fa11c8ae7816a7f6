//! Who stays when there is not room for all.
//!
//! What is new waits in a window of a hundredth of the room. What leaves it is compared with the least worth of a few that are
//! stored, chosen at random, and of those that were worth least before: it takes their place if it is worth more than they are.
//! Worth is how often it was asked for lately, for each byte it takes. So what is asked for once goes as it came, and no
//! eviction looks at more than a few.
//!
//! By requests for each byte the most requests are answered from a given room: the greedy answer to the knapsack problem. Here
//! the bytes weigh a little less, as their 7/8th power: it costs a quarter of a point of requests and gains two of bytes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::super::Slot;
use super::entry::Entry;
use super::sketch::Sketch;

/// How many are looked at to find one that may go, beside those of the pool.
const SAMPLE: usize = 8;

/// How many of those looked at before are kept in mind: they are the first in [`Order::main`].
const POOL: usize = 16;

/// The window's share of the room.
const WINDOW: u64 = 100;

/// After how many requests, for each answer that is stored, counts are halved.
const PERIOD: u64 = 32;

/// How many go for one. What needs more does not get in: it would drive out everything small.
const MOST_VICTIMS: usize = 4096;

/// With fewer answers than this, counts are halved as if there were so many.
const FEW: u64 = 64;

/// Whole answers, and what is known of those that are not stored.
pub(super) struct Order {
    window: Window,
    main: Vec<Arc<Entry>>,
    main_bytes: u64,
    sketch: Sketch,
    random: SmallRng,
    /// Requests since counts were last halved.
    asked: u64,
    age: u32,
}

/// An answer that has to leave, and why.
pub(super) struct Leaves {
    pub(super) entry: Arc<Entry>,
    /// It was never let in; otherwise it has made room for another one.
    pub(super) not_admitted: bool,
}

impl Order {
    pub(super) fn new() -> Self {
        Self {
            window: Window::default(),
            main: Vec::new(),
            main_bytes: 0,
            sketch: Sketch::new(),
            random: SmallRng::from_rng(&mut rand::rng()),
            asked: 0,
            age: 0,
        }
    }

    /// What is looked at is the same in each run.
    pub(super) fn leave_nothing_to_chance(&mut self) {
        self.random = SmallRng::seed_from_u64(1);
    }

    pub(super) fn len(&self) -> usize {
        self.main.len() + self.window.len
    }

    pub(super) fn bytes(&self) -> u64 {
        self.main_bytes + self.window.bytes
    }

    /// How often all counts were halved.
    pub(super) fn age(&self) -> u32 {
        self.age
    }

    /// So many requests have come by.
    pub(super) fn asked(&mut self, requests: u64) {
        let period = PERIOD * (self.len() as u64).max(FEW);
        self.sketch.grow_old(requests, period);
        self.asked += requests;
        if self.asked >= period {
            self.asked = 0;
            self.age = (self.age + 1) & 0x00ff_ffff;
        }
        if self.len() * WIDER > self.sketch.width() {
            self.sketch.double();
        }
    }

    /// A new one, found `visits` times already while it was written. `old` is what was in its slot.
    pub(super) fn insert(&mut self, entry: &Arc<Entry>, visits: u32, old: Option<&Entry>) {
        let before = match old {
            Some(old) => old.visits.get(self.age) + 1,
            None => {
                let hash = spread(&entry.slot);
                self.sketch.add(hash);
                self.sketch.get(hash)
            }
        };
        entry.visits.set(self.age, before + visits);
        match old.map(|old| old.place.load(Ordering::Relaxed)).and_then(|place| self.main.get_mut(place)) {
            // It takes the place of what it replaces.
            Some(place) => {
                self.main_bytes = self.main_bytes + entry.bytes() - place.bytes();
                entry.place.store(place.place.load(Ordering::Relaxed), Ordering::Relaxed);
                *place = entry.clone();
            }
            None => {
                if let Some(old) = old {
                    self.remove(old);
                }
                self.window.push(entry.clone());
            }
        }
    }

    /// It is no longer stored.
    pub(super) fn remove(&mut self, entry: &Entry) {
        let place = entry.place.load(Ordering::Relaxed);
        if place & IN_WINDOW != 0 {
            self.window.remove(place);
        } else if place < self.main.len() {
            self.take(place);
        }
    }

    /// Its size changes. `change` is run in between.
    pub(super) fn changed(&mut self, entry: &Entry, change: impl FnOnce()) {
        let before = entry.bytes();
        change();
        let after = entry.bytes();
        let place = entry.place.load(Ordering::Relaxed);
        let sum = if place & IN_WINDOW != 0 { &mut self.window.bytes } else { &mut self.main_bytes };
        *sum = (*sum + after).saturating_sub(before);
    }

    /// Makes do with `room`. What leaves is in nobody's order any more.
    pub(super) fn settle(&mut self, room: u64, now: u64, leaves: &mut Vec<Leaves>) {
        let window = room / WINDOW;
        while self.window.bytes > window {
            let Some(entry) = self.window.pop() else { break };
            self.admit(entry, room.saturating_sub(window), now, leaves);
        }
        let mut most = MOST_VICTIMS;
        while self.bytes() > room && most > 0 {
            let Some(entry) = self.worst(now).map(|worst| self.take(worst.0)).or_else(|| self.window.pop()) else {
                break;
            };
            self.note(&entry);
            leaves.push(Leaves { entry, not_admitted: false });
            most -= 1;
        }
    }

    /// Lets it in, if it is worth more than those that have to go for it.
    fn admit(&mut self, entry: Arc<Entry>, room: u64, now: u64, leaves: &mut Vec<Leaves>) {
        let worth = self.worth(&entry, now);
        let mut may_go = if self.fits(entry.bytes(), room) { MOST_VICTIMS } else { 0 };
        while self.main_bytes + entry.bytes() > room {
            let victim = self.worst(now).filter(|(_, least)| *least < worth && may_go > 0);
            let Some((place, _)) = victim else {
                self.note(&entry);
                leaves.push(Leaves { entry, not_admitted: true });
                return;
            };
            let victim = self.take(place);
            self.note(&victim);
            leaves.push(Leaves { entry: victim, not_admitted: false });
            may_go -= 1;
        }
        self.main_bytes += entry.bytes();
        entry.place.store(self.main.len(), Ordering::Relaxed);
        self.main.push(entry);
    }

    /// Whether it gets in with no more than [`MOST_VICTIMS`] gone, going by how big they are on the whole.
    fn fits(&self, bytes: u64, room: u64) -> bool {
        let short = (self.main_bytes + bytes).saturating_sub(room);
        let usual = self.main_bytes / (self.main.len() as u64).max(1);
        bytes <= room && short <= usual.saturating_mul(MOST_VICTIMS as u64)
    }

    /// The one of least worth among the pool and a few more, of which those worth less than the pool take places in it.
    fn worst(&mut self, now: u64) -> Option<(usize, f32)> {
        let mut pool = [f32::INFINITY; POOL];
        for (worth, entry) in pool.iter_mut().zip(&self.main) {
            *worth = self.worth(entry, now);
        }
        if self.main.len() > POOL {
            for _ in 0..SAMPLE {
                let place = self.random.random_range(POOL..self.main.len());
                let worth = self.worth(&self.main[place], now);
                let (best, most) = pool.iter().copied().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b))?;
                if worth < most {
                    self.swap(best, place);
                    pool[best] = worth;
                }
            }
        }
        let known = pool.into_iter().take(self.main.len()).enumerate();
        known.min_by(|(_, a), (_, b)| a.total_cmp(b))
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.main.swap(one, other);
        for place in [one, other] {
            self.main[place].place.store(place, Ordering::Relaxed);
        }
    }

    fn worth(&self, entry: &Entry, now: u64) -> f32 {
        let visits = entry.visits.get(self.age) as f32;
        let stale = if entry.is_useful(now) { 1.0 } else { STALE };
        let bytes = entry.bytes() as f32;
        visits * stale * bytes.sqrt().sqrt().sqrt() / bytes
    }

    fn take(&mut self, place: usize) -> Arc<Entry> {
        let entry = self.main.swap_remove(place);
        if let Some(moved) = self.main.get(place) {
            moved.place.store(place, Ordering::Relaxed);
        }
        entry.place.store(NOWHERE, Ordering::Relaxed);
        self.main_bytes -= entry.bytes();
        entry
    }

    /// Remembers how often it was asked for, for when it comes back.
    fn note(&mut self, entry: &Entry) {
        self.sketch.raise(spread(&entry.slot), entry.visits.get(self.age));
    }

    pub(super) fn clear(&mut self) {
        *self = Self { age: self.age, ..Self::new() };
    }
}

/// How much wider the sketch is than there are answers.
const WIDER: usize = 8;

/// What an answer is worth whose time is over, that it take a question to the upstream to use it.
const STALE: f32 = 0.25;

/// Slots are hashes already.
fn spread(slot: &Slot) -> u64 {
    let eight = |bytes: &[u8; 16]| bytes.iter().take(8).fold(0, |word, byte| word << 8 | u64::from(*byte));
    eight(&slot.key) ^ slot.variant.as_ref().map_or(0, |variant| eight(variant).rotate_left(7))
}

/// Places of entries in the window have this bit.
const IN_WINDOW: usize = 1 << (usize::BITS - 2);

/// The place of an entry that is nowhere: out of the bounds of everything.
pub(super) const NOWHERE: usize = IN_WINDOW - 1;

/// First in, first out, with holes where one has left from the middle.
#[derive(Default)]
struct Window {
    entries: VecDeque<Option<Arc<Entry>>>,
    /// How many places have gone by: a place is counted from the first ever.
    passed: usize,
    len: usize,
    bytes: u64,
}

impl Window {
    fn push(&mut self, entry: Arc<Entry>) {
        entry
            .place
            .store(self.passed.wrapping_add(self.entries.len()) & (IN_WINDOW - 1) | IN_WINDOW, Ordering::Relaxed);
        self.bytes += entry.bytes();
        self.len += 1;
        self.entries.push_back(Some(entry));
    }

    fn remove(&mut self, place: usize) {
        let at = place.wrapping_sub(self.passed) & (IN_WINDOW - 1);
        let Some(entry) = self.entries.get_mut(at).and_then(Option::take) else { return };
        self.left(&entry);
        if self.entries.len() > 2 * self.len + 64 {
            self.close_up();
        }
    }

    /// The first that came.
    fn pop(&mut self) -> Option<Arc<Entry>> {
        while let Some(first) = self.entries.pop_front() {
            self.passed = self.passed.wrapping_add(1);
            if let Some(entry) = first {
                self.left(&entry);
                return Some(entry);
            }
        }
        None
    }

    fn left(&mut self, entry: &Entry) {
        entry.place.store(NOWHERE, Ordering::Relaxed);
        self.bytes -= entry.bytes();
        self.len -= 1;
    }

    /// Does away with the holes, which are more than the entries.
    fn close_up(&mut self) {
        self.entries.retain(Option::is_some);
        for (at, entry) in self.entries.iter().flatten().enumerate() {
            entry.place.store(self.passed.wrapping_add(at) & (IN_WINDOW - 1) | IN_WINDOW, Ordering::Relaxed);
        }
    }
}
