//! An answer that is still being written, and is read already.
//!
//! Mostly it is kept: whoever comes later reads it from its beginning, and when it is whole it is stored. One that turns out
//! too long to be stored passes: nobody new finds it, what all its readers have had is dropped, and its writer waits for them.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use smallvec::SmallVec;
use tidegate_core::Bytes;
use tokio::sync::{Notify, watch};

use super::super::{Head, Slot};
use super::entry::{Entry, Said};
use super::pieces::{Behind, Pieces, Taken};

/// An answer that is still being written.
pub(crate) struct Flight {
    pub(crate) slot: Slot,
    tag: u64,
    pub(crate) key: Box<[u8]>,
    said: Arc<Said>,
    state: Mutex<State>,
    /// Wakes those who wait for more.
    more: watch::Sender<()>,
    /// Wakes the writer that waits for readers.
    taken: Notify,
    /// Somebody has purged it: it isn't stored when it is whole.
    detached: AtomicBool,
    /// How many others have found it.
    pub(super) visits: AtomicU32,
    /// Where is noted how much all flights hold.
    writing: Arc<AtomicU64>,
    /// What became of it: as long as this is read, that is in memory.
    entry: OnceLock<Arc<Entry>>,
}

#[derive(Default)]
struct State {
    pieces: Pieces,
    end: End,
    /// What of [`Flight::writing`] is this one's.
    noted: u64,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum End {
    #[default]
    NotYet,
    Whole,
    Failed,
}

/// What a reader gets.
pub(crate) enum Read {
    /// The next of it.
    Piece(Bytes),
    /// That was all.
    End,
    /// The rest never comes.
    Failed(&'static str),
    /// There will be more.
    Wait,
}

impl Flight {
    pub(super) fn new(tag: u64, slot: Slot, key: &[u8], head: Arc<Head>, writing: Arc<AtomicU64>) -> Self {
        Self {
            slot,
            tag,
            key: key.into(),
            said: Said::new(head),
            state: Mutex::default(),
            more: watch::Sender::new(()),
            taken: Notify::new(),
            detached: AtomicBool::new(false),
            visits: AtomicU32::new(0),
            writing,
            entry: OnceLock::new(),
        }
    }

    pub(crate) fn tag(&self) -> u64 {
        self.tag
    }

    pub(crate) fn said(&self) -> &Arc<Said> {
        &self.said
    }

    pub(crate) fn written(&self) -> u64 {
        self.state.lock().pieces.written()
    }

    /// It is not stored when it is whole.
    pub(super) fn detach(&self) {
        self.detached.store(true, Ordering::Release);
    }

    pub(super) fn is_detached(&self) -> bool {
        self.detached.load(Ordering::Acquire)
    }

    pub(crate) fn passes(&self) -> bool {
        self.state.lock().pieces.passes()
    }

    /// Somebody who reads it from its beginning, if that is still there. `own`: the request that writes it.
    pub(crate) fn read(self: Arc<Self>, own: bool) -> Option<Reader> {
        let more = self.more.subscribe();
        let id = {
            let mut state = self.state.lock();
            if state.end == End::Failed {
                return None;
            }
            state.pieces.reader(own)?
        };
        Some(Reader { flight: self, id, more })
    }

    pub(super) fn append(&self, data: &[u8]) {
        let mut state = self.state.lock();
        state.pieces.append(data);
        self.note(&mut state);
        drop(state);
        self.more.send_replace(());
    }

    /// From now on it passes. Whether it did not before.
    pub(super) fn pass(&self) -> bool {
        self.change(Pieces::pass)
    }

    /// Whom its writer has to wait for, if more than `window` is held.
    pub(crate) fn behind(&self, window: u64) -> Option<Behind> {
        self.state.lock().pieces.behind(window)
    }

    /// Ends when something was dropped, at once if that was since the last time.
    pub(crate) async fn taken(&self) {
        self.taken.notified().await;
    }

    /// Cuts off those that are the furthest behind: they get no more.
    pub(crate) fn cut_slowest(&self) {
        self.change(Pieces::cut_slowest);
        self.more.send_replace(());
    }

    fn change<T>(&self, change: impl FnOnce(&mut Pieces) -> T) -> T {
        let mut state = self.state.lock();
        let done = change(&mut state.pieces);
        self.note(&mut state);
        done
    }

    /// Notes how much is held.
    fn note(&self, state: &mut State) {
        let held = state.pieces.held();
        let before = std::mem::replace(&mut state.noted, held);
        if held < before {
            self.writing.fetch_sub(before - held, Ordering::Relaxed);
            self.taken.notify_one();
        } else {
            self.writing.fetch_add(held - before, Ordering::Relaxed);
        }
    }

    /// What was written.
    pub(crate) fn body(&self) -> SmallVec<[Bytes; 1]> {
        self.state.lock().pieces.body()
    }

    /// This is what was written: from now on it is counted there.
    pub(super) fn stored(&self, entry: Arc<Entry>) {
        let _ = self.entry.set(entry);
        let noted = std::mem::take(&mut self.state.lock().noted);
        self.writing.fetch_sub(noted, Ordering::Relaxed);
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

impl Drop for Flight {
    fn drop(&mut self) {
        self.writing.fetch_sub(self.state.get_mut().noted, Ordering::Relaxed);
    }
}

/// One who reads what is still being written.
pub(crate) struct Reader {
    flight: Arc<Flight>,
    id: usize,
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
        let mut state = self.flight.state.lock();
        let taken = state.pieces.take(self.id);
        // When it has ended nobody waits for room.
        if state.end == End::NotYet {
            self.flight.note(&mut state);
        }
        let end = state.end;
        drop(state);
        match taken {
            Taken::Cut => Read::Failed("too slow for an answer that is too long to be stored"),
            Taken::Some(pieces) => Read::Piece(pieces.joined()),
            Taken::None => match end {
                End::NotYet => Read::Wait,
                End::Whole => Read::End,
                End::Failed => Read::Failed("whoever wrote the answer has stopped"),
            },
        }
    }

    /// Ends when there is more to be had, or no more to come.
    pub(crate) async fn more(&mut self) {
        // The sender lives as long as what is read.
        let _ = self.more.changed().await;
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.flight.state.lock();
        state.pieces.leave(self.id);
        if state.end == End::NotYet {
            self.flight.note(&mut state);
        }
    }
}
