//! A folder in use: its index, its threads, and how much of it is taken.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Semaphore;

use super::Id;
use super::folder::{self, Folder, FolderError};
use super::index::Index;
use super::pool::Pool;
use super::turns::{Turn, Turns};

/// How many files are open at a time, beside those that a thread has in hand.
const FILES: usize = 512;
const STRIPES: usize = 64;

/// Those that are open in this process, so that a configuration that is loaded again shares its folders with the one
/// before it.
static OPEN: Mutex<Vec<Weak<Place>>> = Mutex::new(Vec::new());

pub(super) struct Place {
    pub(super) folder: Folder,
    /// Whose it is. Two zones in one folder would answer for one another.
    zone: String,
    pub(super) index: Index,
    /// Whether the index has all that there is.
    scanned: AtomicBool,
    /// Bytes of files that are not in the index yet.
    unplaced: AtomicU64,
    /// Bytes in memory that wait to be written.
    pub(super) waiting: AtomicU64,
    pub(super) pool: Pool,
    pub(super) turns: Turns,
    pub(super) files: Arc<Semaphore>,
    /// For as long as a file is put into its place, or taken from it.
    stripes: [Mutex<()>; STRIPES],
}

/// Why a zone has no folder.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlaceError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("the zone `{0}` has this folder")]
    OtherZone(String),
}

impl Place {
    /// The one that is open already, or a new one, which is yet to be scanned; `true`: it is new.
    pub(super) fn open(zone: &str, path: &Path, sealed: bool, threads: usize) -> Result<(Arc<Self>, bool), PlaceError> {
        // Held while it is opened: of two at a time, the second one shares.
        let mut open = OPEN.lock();
        open.retain(|place| place.strong_count() > 0);
        let whole = folder::make(path)?;
        let found = open.iter().filter_map(Weak::upgrade).find(|place| place.folder.path() == whole);
        match found {
            Some(place) if place.zone != zone => return Err(PlaceError::OtherZone(place.zone.clone())),
            Some(place) => return Ok((place, false)),
            None => {}
        }
        let place = Arc::new(Self {
            folder: Folder::open(&whole, sealed)?,
            zone: zone.to_owned(),
            index: Index::new(),
            scanned: AtomicBool::new(false),
            unplaced: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            pool: Pool::new(threads),
            turns: Turns::default(),
            files: Arc::new(Semaphore::new(FILES)),
            stripes: [const { Mutex::new(()) }; STRIPES],
        });
        open.push(Arc::downgrade(&place));
        Ok((place, true))
    }

    /// Whether what the index doesn't have isn't there.
    pub(super) fn is_scanned(&self) -> bool {
        self.scanned.load(Ordering::Acquire)
    }

    pub(super) fn has_scanned(&self) {
        self.scanned.store(true, Ordering::Release);
    }

    /// Nobody else places or removes a file of this id until this is dropped. For the pool's threads alone.
    pub(super) fn alone(&self, id: Id) -> MutexGuard<'_, ()> {
        self.stripes[id.0 as usize % STRIPES].lock()
    }

    /// Bytes that are taken, with those of files that are still being written.
    pub(super) fn taken(&self) -> u64 {
        self.index.bytes() + self.unplaced.load(Ordering::Relaxed)
    }

    /// So many bytes more are written before they are in the index.
    pub(super) fn reserve(&self, bytes: u64) {
        self.unplaced.fetch_add(bytes, Ordering::Relaxed);
    }

    /// They are in the index now, or gone.
    pub(super) fn release(&self, bytes: u64) {
        self.unplaced.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Puts a file into its place. `false`: it is no longer right, and stays where it is.
    pub(super) fn put(&self, temporary: &Path, id: Id, turn: Turn, bytes: u64) -> io::Result<bool> {
        let _alone = self.alone(id);
        if !self.turns.take(id, turn) {
            return Ok(false);
        }
        self.folder.place(temporary, id)?;
        self.index.insert(id, bytes);
        Ok(true)
    }

    /// Removes whatever is there. Whether anything was.
    pub(super) fn remove(&self, id: Id) -> io::Result<bool> {
        let _alone = self.alone(id);
        self.index.remove(id);
        self.remove_file(id)
    }

    /// Removes the file of what the index has no more. Whether it was there.
    pub(super) fn unlink(&self, id: Id) -> io::Result<bool> {
        let _alone = self.alone(id);
        // Another one was stored meanwhile.
        if self.index.holds(id) {
            return Ok(false);
        }
        self.remove_file(id)
    }

    fn remove_file(&self, id: Id) -> io::Result<bool> {
        match fs::remove_file(self.folder.of(id)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            removed => removed.map(|()| true),
        }
    }
}
