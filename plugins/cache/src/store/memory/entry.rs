//! A whole answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use smallvec::SmallVec;
use tidegate_core::Bytes;

use super::super::{Found, Head, Notes, Slot};

/// An answer's head, and what is noted of it.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) head: Arc<Head>,
    pub(crate) notes: Arc<Notes>,
}

impl Said {
    pub(crate) fn new(head: Arc<Head>) -> Arc<Self> {
        Arc::new(Self { head, notes: Arc::default() })
    }

    /// With the length of the body, if the head doesn't say it.
    fn with_length(&self, length: u64) -> Arc<Self> {
        Arc::new(Self { head: self.head.clone().with_length(length), notes: self.notes.clone() })
    }
}

/// A whole answer. Whoever reads it has it, though it be evicted meanwhile.
pub(crate) struct Entry {
    pub(super) slot: Slot,
    key: Box<[u8]>,
    said: ArcSwap<Said>,
    body: SmallVec<[Bytes; 1]>,
    length: u64,
    /// How much memory it takes.
    bytes: AtomicUsize,
    /// In seconds since 1970: after this it is of no use without the upstream.
    useful_until: AtomicU64,
    /// How often it was found lately, and as of which age of the zone.
    pub(super) visits: Visits,
    /// Where it is in the zone's order. Written by who holds the order's lock.
    pub(super) place: AtomicUsize,
    /// Where is noted what has left the zone, and is being read yet.
    lingering: Arc<AtomicU64>,
    left: AtomicUsize,
}

impl Entry {
    pub(super) fn new(
        slot: Slot,
        key: Box<[u8]>,
        said: Arc<Said>,
        body: SmallVec<[Bytes; 1]>,
        lingering: Arc<AtomicU64>,
    ) -> Self {
        let length = body.iter().map(|piece| piece.len() as u64).sum();
        let said = said.with_length(length);
        Self {
            slot,
            length,
            bytes: AtomicUsize::new(bytes(&key, &said.head, &body)),
            useful_until: AtomicU64::new(useful_until(&said.head)),
            key,
            said: ArcSwap::new(said),
            body,
            visits: Visits::default(),
            place: AtomicUsize::new(0),
            lingering,
            left: AtomicUsize::new(0),
        }
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    pub(crate) fn said(&self) -> Arc<Said> {
        self.said.load_full()
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// How much memory it takes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed) as u64
    }

    pub(super) fn is_useful(&self, now: u64) -> bool {
        self.useful_until.load(Ordering::Relaxed) >= now
    }

    /// Gives it another head.
    pub(super) fn replace_head(&self, head: Arc<Head>) {
        let head = head.with_length(self.length);
        self.bytes.store(bytes(&self.key, &head, &self.body), Ordering::Relaxed);
        self.useful_until.store(useful_until(&head), Ordering::Relaxed);
        self.said.store(Said::new(head));
    }

    pub(super) fn found(&self) -> Found {
        let said = self.said.load();
        Found { head: said.head.clone(), body: self.body.clone(), notes: said.notes.clone() }
    }

    /// It is no longer in the zone. What it takes is noted for as long as somebody reads it.
    pub(super) fn leave(&self) {
        let bytes = self.bytes();
        self.left.store(bytes as usize, Ordering::Relaxed);
        self.lingering.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn pieces(&self) -> &[Bytes] {
        &self.body
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.lingering.fetch_sub(*self.left.get_mut() as u64, Ordering::Relaxed);
    }
}

/// A count that is halved each time that the zone grows older by one, without anybody going round to do it.
#[derive(Debug, Default)]
pub(super) struct Visits(AtomicU32);

/// More says nothing more.
const MOST: u32 = 255;

impl Visits {
    pub(super) fn get(&self, age: u32) -> u32 {
        let noted = self.0.load(Ordering::Relaxed);
        let past = (age.wrapping_sub(noted >> 8) & 0x00ff_ffff).min(31);
        (noted & 0xff) >> past
    }

    pub(super) fn set(&self, age: u32, visits: u32) {
        self.0.store(age << 8 | visits.min(MOST), Ordering::Relaxed);
    }

    /// One more. Two at once may count as one: no lock and no waiting for a number that is a guess anyway.
    pub(super) fn add(&self, age: u32) {
        let visits = self.get(age);
        if visits < MOST {
            self.set(age, visits + 1);
        }
    }
}

fn useful_until(head: &Head) -> u64 {
    let until = head.fresh_until.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    until.saturating_add(u64::from(head.while_revalidate.max(head.if_error)))
}

/// The same scale as [`Entry::is_useful`] takes.
pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// What an answer takes beside its key, its head's fields and its body: itself, its places in the table and in the order,
/// and the sketch's counters. Measured by a test.
pub(crate) const OVERHEAD: usize = size_of::<Entry>() + size_of::<Said>() + size_of::<Notes>() + 3 * COUNTS + PLACES;

/// The two counts of an `Arc`.
const COUNTS: usize = 16;

/// A pointer in a table that is between 7/16 and 7/8 full, a pointer in the order, four counters of eight bits in a sketch
/// of eight times the width.
const PLACES: usize = 15 + 12 + 48;

fn bytes(key: &[u8], head: &Head, body: &[Bytes]) -> usize {
    // One piece is inside the entry; what is shared keeps a count beside it.
    let pieces = if body.len() > 1 { size_of_val(body) } else { 0 };
    let counts = body.len() * 24;
    let lengths: usize = body.iter().map(Bytes::len).sum();
    OVERHEAD + key.len() + head.bytes() + COUNTS + pieces + counts + lengths
}
