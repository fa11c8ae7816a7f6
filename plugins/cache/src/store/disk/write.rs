//! Writing an answer while it comes, and reading it meanwhile.

mod follow;
mod job;

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tidegate_core::Bytes;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, timeout};

pub(crate) use self::follow::Follow;

use super::file::{BLOCK, Start};
use super::metrics::Lost;
use super::seal::Seal;
use super::turns::Turn;
use super::{Disk, Id, head};
use crate::store::Head;

/// How much of one answer may wait in memory to be written.
const WAITING: usize = 8 << 20;
/// How much of all answers may.
pub(super) const WAITING_IN_ALL: u64 = 64 << 20;
/// How long one answer in all is held up by a disk that is slower than it, before the disk does without it.
const PATIENCE: Duration = Duration::from_millis(250);

/// An answer that is being stored. Dropped before its end it leaves nothing, and those who read it meanwhile get an error.
pub(crate) struct DiskWrite {
    writing: Arc<Writing>,
    patience: Duration,
    /// One for this and each of those who read it meanwhile.
    followed: Arc<()>,
    ended: bool,
}

/// How others come to read what is being written, for as long as it is.
pub(crate) struct Way {
    writing: Arc<Writing>,
    followed: Weak<()>,
}

impl Way {
    /// One who reads it, from wherever it likes. `None`: it is stored by now, or lost, or it may be for want of room, which
    /// would cut off whoever reads it.
    pub(crate) fn follow(&self) -> Option<Follow> {
        let followed = self.followed.upgrade().filter(|_| !self.writing.is_lost() && self.writing.is_assured());
        followed.map(|followed| Follow::new(self.writing.clone(), followed))
    }
}

/// What the one who writes, those who read it meanwhile, and the thread that does the work have in common.
struct Writing {
    disk: Arc<Disk>,
    id: Id,
    turn: Turn,
    /// How long the body will be, if its head says so.
    expected: Option<u64>,
    /// The file system has set aside what it takes: it won't be full halfway.
    assured: AtomicBool,
    key: Vec<u8>,
    head: Vec<u8>,
    /// Its body is not yet known.
    start: Start,
    seal: Seal,
    unwritten: Mutex<Unwritten>,
    /// There is more, or it ended.
    news: watch::Sender<()>,
    /// Once there is one.
    file: OnceLock<(File, PathBuf)>,
    _permit: Option<OwnedSemaphorePermit>,
}

#[derive(Default)]
struct Unwritten {
    pieces: VecDeque<Bytes>,
    /// How long they are.
    length: usize,
    /// How much of the body is in the file: whole blocks, until the end.
    written: u64,
    /// Bytes of the file that are reserved in the folder.
    reserved: u64,
    /// All of the body is in the file, wherever that is.
    whole: bool,
    /// A thread has it, or will have.
    scheduled: bool,
    /// No more pieces will come.
    ending: bool,
    /// Stored with this length, or lost.
    outcome: Option<Result<u64, Lost>>,
}

/// What became of a piece.
enum Pushed {
    Taken,
    /// Too much waits.
    Full,
    /// It is lost anyway.
    Lost,
}

impl DiskWrite {
    pub(super) fn begin(disk: &Arc<Disk>, id: Id, key: Vec<u8>, head: &Head) -> Self {
        let turn = disk.place.turns.begin(id, head.asked);
        let (expected, head) = (head.length(), head::encode(head));
        let permit = disk.place.files.clone().try_acquire_owned().ok();
        let begun = Start::new(&key, &head, &disk.keys);
        let lost = match (&begun, &permit) {
            (None, _) => Some(Lost::TooLarge),
            (_, None) => Some(Lost::Busy),
            _ => disk.place.pool.hangs().then_some(Lost::Busy),
        };
        let start = begun.unwrap_or_else(Start::none);
        let writing = Arc::new(Writing {
            disk: disk.clone(),
            id,
            turn,
            expected,
            assured: AtomicBool::new(false),
            seal: start.seal(&disk.keys).unwrap_or_else(|_| Seal::none()),
            start,
            key,
            head,
            unwritten: Mutex::default(),
            news: watch::Sender::new(()),
            file: OnceLock::new(),
            _permit: permit,
        });
        if let Some(why) = lost {
            writing.lose(why);
        }
        Self { writing, patience: PATIENCE, followed: Arc::new(()), ended: false }
    }

    /// Whether it will not be stored.
    pub(crate) fn is_lost(&self) -> bool {
        self.writing.is_lost()
    }

    /// How others come to read what is being written. As long as somebody does, a slow disk slows the answer down.
    pub(crate) fn way(&self) -> Way {
        Way { writing: self.writing.clone(), followed: Arc::downgrade(&self.followed) }
    }

    /// Takes the next piece. Waits a moment when the disk is slower than the answer, then does without the disk.
    pub(crate) async fn write(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        let mut news = self.writing.news.subscribe();
        loop {
            match self.writing.push(&piece, WAITING) {
                Pushed::Taken | Pushed::Lost => return,
                Pushed::Full => {}
            }
            let begun = Instant::now();
            let is_followed = Arc::strong_count(&self.followed) > 1;
            let most = if is_followed { self.writing.disk.timeout } else { self.patience };
            if timeout(most, news.changed()).await.is_err() {
                return self.writing.lose(Lost::Busy);
            }
            if !is_followed {
                self.patience = self.patience.saturating_sub(begun.elapsed());
            }
        }
    }

    /// The answer is whole. Waits until it is stored; it is in any case, or lost, whoever waits.
    pub(crate) async fn finish(mut self) -> io::Result<u64> {
        let mut news = self.writing.news.subscribe();
        self.end();
        loop {
            let outcome = self.writing.unwritten.lock().outcome;
            if let Some(outcome) = outcome {
                return Ok(outcome?);
            }
            let waited = timeout(self.writing.disk.timeout * 4, news.changed()).await;
            waited.map_err(|_| Lost::Busy)?.map_err(|_| Lost::Aborted)?;
        }
    }

    /// All of it at once, for nobody to wait.
    pub(super) fn keep(mut self, pieces: impl IntoIterator<Item = Bytes>) {
        for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
            // They are in memory anyway.
            if let Pushed::Full = self.writing.push(&piece, usize::MAX) {
                self.writing.lose(Lost::Busy);
            }
        }
        self.end();
    }

    fn end(&mut self) {
        self.ended = true;
        let mut unwritten = self.writing.unwritten.lock();
        unwritten.ending = true;
        self.writing.schedule(&mut unwritten);
    }
}

impl Drop for DiskWrite {
    fn drop(&mut self) {
        if !self.ended {
            self.writing.lose(Lost::Aborted);
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.disk.place.turns.end(self.id);
    }
}

impl Writing {
    fn push(self: &Arc<Self>, piece: &Bytes, most: usize) -> Pushed {
        let mut unwritten = self.unwritten.lock();
        if unwritten.outcome.is_some() {
            return Pushed::Lost;
        }
        let body = unwritten.written + (unwritten.length + piece.len()) as u64;
        if body > self.disk.size / 2 {
            self.set_lost(&mut unwritten, Lost::TooLarge);
            return Pushed::Lost;
        }
        let waiting = &self.disk.place.waiting;
        let in_all = waiting.load(Ordering::Relaxed) + piece.len() as u64;
        let is_full = unwritten.length + piece.len() > most || in_all > WAITING_IN_ALL;
        if is_full && unwritten.length >= BLOCK {
            return Pushed::Full;
        }
        waiting.fetch_add(piece.len() as u64, Ordering::Relaxed);
        unwritten.length += piece.len();
        unwritten.pieces.push_back(piece.clone());
        if unwritten.length >= BLOCK {
            self.schedule(&mut unwritten);
        }
        drop(unwritten);
        self.news.send_replace(());
        Pushed::Taken
    }

    /// Has a thread look at it, if none does already.
    fn schedule(self: &Arc<Self>, unwritten: &mut Unwritten) {
        if unwritten.scheduled || unwritten.outcome.is_some() {
            return;
        }
        unwritten.scheduled = true;
        let writing = self.clone();
        if self.disk.place.pool.later(move || writing.work()).is_err() {
            unwritten.scheduled = false;
            self.set_lost(unwritten, Lost::Busy);
        }
    }

    fn is_assured(&self) -> bool {
        self.assured.load(Ordering::Acquire)
    }

    fn is_lost(&self) -> bool {
        matches!(self.unwritten.lock().outcome, Some(Err(_)))
    }

    /// It will not be stored.
    fn lose(self: &Arc<Self>, why: Lost) {
        self.set_lost(&mut self.unwritten.lock(), why);
    }

    fn set_lost(self: &Arc<Self>, unwritten: &mut Unwritten, why: Lost) {
        if unwritten.outcome.is_some() {
            return;
        }
        unwritten.outcome = Some(Err(why));
        self.disk.place.waiting.fetch_sub(unwritten.length as u64, Ordering::Relaxed);
        unwritten.length = 0;
        unwritten.pieces.clear();
        self.disk.cannot_write(why);
        if !unwritten.scheduled {
            self.clean_up_later(unwritten);
        }
        self.news.send_replace(());
    }

    /// Nothing of it stays. As many wait for this at most as may be written at a time.
    fn clean_up_later(self: &Arc<Self>, unwritten: &mut Unwritten) {
        if self.file.get().is_some() {
            unwritten.scheduled = true;
            let writing = self.clone();
            self.disk.place.pool.surely(move || writing.clean_up());
        }
    }
}
