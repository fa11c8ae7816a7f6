//! An answer that is still being written, and is read already.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use smallvec::SmallVec;
use tidegate_core::Bytes;
use tokio::sync::watch;

use super::super::{Head, Slot};
use super::entry::Said;

/// How much a reader gets at a time, if it was written in smaller pieces.
const AT_A_TIME: usize = 64 << 10;

/// An answer that is still being written.
pub(crate) struct Flight {
    pub(super) slot: Slot,
    tag: u64,
    pub(super) key: Box<[u8]>,
    said: Arc<Said>,
    state: Mutex<State>,
    /// Wakes those who wait for more.
    more: watch::Sender<()>,
    /// Somebody has purged it: it isn't stored when it is whole.
    detached: AtomicBool,
}

struct State {
    pieces: VecDeque<Bytes>,
    written: u64,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    NotYet,
    Whole,
    Failed,
}

/// What a reader gets.
pub(crate) enum Read {
    Piece(Bytes),
    End,
    Failed(&'static str),
    /// There will be more.
    Wait,
}

impl Flight {
    pub(super) fn new(tag: u64, slot: Slot, key: &[u8], head: Arc<Head>) -> Self {
        let state = State { pieces: VecDeque::new(), written: 0, end: End::NotYet };
        Self {
            slot,
            tag,
            key: key.into(),
            said: Said::new(head),
            state: Mutex::new(state),
            more: watch::Sender::new(()),
            detached: AtomicBool::new(false),
        }
    }

    pub(crate) fn tag(&self) -> u64 {
        self.tag
    }

    pub(crate) fn said(&self) -> &Arc<Said> {
        &self.said
    }

    pub(crate) fn written(&self) -> u64 {
        self.state.lock().written
    }

    pub(super) fn detach(&self) {
        self.detached.store(true, Ordering::Release);
    }

    pub(super) fn is_detached(&self) -> bool {
        self.detached.load(Ordering::Acquire)
    }

    /// Somebody who reads it from its beginning.
    pub(crate) fn read(self: Arc<Self>, _own: bool) -> Option<Reader> {
        let more = self.more.subscribe();
        Some(Reader { flight: self, next: 0, more })
    }

    pub(super) fn append(&self, piece: Bytes) {
        let mut state = self.state.lock();
        state.written += piece.len() as u64;
        state.pieces.push_back(piece);
        drop(state);
        self.more.send_replace(());
    }

    /// What was written.
    pub(super) fn body(&self) -> SmallVec<[Bytes; 1]> {
        self.state.lock().pieces.iter().cloned().collect()
    }

    /// No more comes. What has ended has ended.
    pub(super) fn end(&self, whole: bool) {
        let mut state = self.state.lock();
        if state.end == End::NotYet {
            state.end = if whole { End::Whole } else { End::Failed };
        }
        drop(state);
        self.more.send_replace(());
    }
}

/// One who reads what is still being written.
pub(crate) struct Reader {
    flight: Arc<Flight>,
    next: usize,
    more: watch::Receiver<()>,
}

impl Reader {
    pub(crate) fn key(&self) -> &[u8] {
        &self.flight.key
    }

    /// What there is.
    pub(crate) fn next(&mut self) -> Read {
        // Before the look: what comes after it is new.
        self.more.borrow_and_update();
        let mut taken = SmallVec::<[Bytes; 8]>::new();
        let mut bytes = 0;
        {
            let state = self.flight.state.lock();
            for piece in state.pieces.range(self.next..) {
                if !taken.is_empty() && bytes + piece.len() > AT_A_TIME {
                    break;
                }
                bytes += piece.len();
                taken.push(piece.clone());
            }
            if taken.is_empty() {
                return match state.end {
                    End::NotYet => Read::Wait,
                    End::Whole => Read::End,
                    End::Failed => Read::Failed("whoever wrote the answer has stopped"),
                };
            }
        }
        self.next += taken.len();
        Read::Piece(joined(taken, bytes))
    }

    /// Ends when there is more to be had, or no more to come.
    pub(crate) async fn more(&mut self) {
        // The sender lives as long as what is read.
        let _ = self.more.changed().await;
    }
}

/// One buffer of several.
pub(super) fn joined(pieces: SmallVec<[Bytes; 8]>, bytes: usize) -> Bytes {
    if let [only] = &pieces[..] {
        return only.clone();
    }
    let mut all = Vec::with_capacity(bytes);
    pieces.iter().for_each(|piece| all.extend_from_slice(piece));
    Bytes::from(all)
}
