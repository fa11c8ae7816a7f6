//! A whole answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

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
}

/// A whole answer. Whoever reads it has it, though it be evicted meanwhile.
pub(crate) struct Entry {
    pub(super) slot: Slot,
    key: Box<[u8]>,
    said: ArcSwap<Said>,
    body: SmallVec<[Bytes; 1]>,
    length: u64,
    bytes: AtomicUsize,
    /// How often it was found lately, up to a few.
    pub(super) visits: AtomicU8,
}

/// Beyond this, more visits say nothing more.
pub(super) const MOST_VISITS: u8 = 3;

impl Entry {
    pub(super) fn new(slot: Slot, key: Box<[u8]>, said: Arc<Said>, body: SmallVec<[Bytes; 1]>) -> Self {
        let length = body.iter().map(|piece| piece.len() as u64).sum();
        let bytes = AtomicUsize::new(bytes(&key, &said.head, &body));
        Self { slot, key, said: ArcSwap::new(said), body, length, bytes, visits: AtomicU8::new(0) }
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
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Gives it another head; by how much it is bigger now.
    pub(super) fn replace_head(&self, head: Arc<Head>) -> isize {
        let new = bytes(&self.key, &head, &self.body);
        self.said.store(Said::new(head));
        let old = self.bytes.swap(new, Ordering::Relaxed);
        new as isize - old as isize
    }

    /// Somebody has found it. Most of the time nothing is written.
    pub(super) fn visit(&self) {
        let visits = self.visits.load(Ordering::Relaxed);
        if visits < MOST_VISITS {
            self.visits.store(visits + 1, Ordering::Relaxed);
        }
    }

    pub(super) fn found(&self) -> Found {
        let said = self.said.load();
        Found { head: said.head.clone(), body: self.body.clone(), notes: said.notes.clone() }
    }

    /// What is at `at`, up to `end` or to where a piece ends.
    pub(crate) fn piece(&self, at: u64, end: u64) -> Option<Bytes> {
        let mut start = 0;
        for piece in &self.body {
            let next = start + piece.len() as u64;
            if at < next.min(end) {
                let from = usize::try_from(at - start).ok()?;
                let to = usize::try_from(next.min(end) - start).ok()?;
                return Some(piece.slice(from..to));
            }
            start = next;
        }
        None
    }
}

/// What an answer takes beside key, head and body: itself, its place in the table and in the queues.
pub(crate) const OVERHEAD: usize = 512;

fn bytes(key: &[u8], head: &Head, body: &[Bytes]) -> usize {
    let pieces = if body.len() > 1 { body.len() * size_of::<Bytes>() } else { 0 };
    // What is shared keeps a counter beside it.
    let counters = body.len() * 24;
    let lengths: usize = body.iter().map(Bytes::len).sum();
    OVERHEAD + key.len() + head.bytes() + pieces + counters + lengths
}
