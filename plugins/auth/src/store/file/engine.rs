//! The open database: how it is opened, lost and found.

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use redb::{Builder, Database, Durability, ReadTransaction, WriteTransaction};

use super::disk::{Disk, Health};
use super::error::LOCKED;
use super::tables::{CURRENT_LAYOUT, LAYOUT, NUMBERS, Tables};
use crate::store::StoreError;

/// Pages of the file that are kept in memory, at most.
const CACHE: usize = 64 << 20;
/// A file that is open just now may be so by a configuration that is on its way out.
const PATIENCE: Duration = Duration::from_secs(1);
/// A file that could not be opened again is tried again after this.
const PAUSE: Duration = Duration::from_millis(200);
/// Beyond this, commits write down which pages are free, too: a little slower, but a start after a crash need not read
/// the whole file.
const LARGE: u64 = 1 << 30;

/// The database of one file, whether it is open just now or not.
pub(super) struct Engine {
    path: PathBuf,
    state: RwLock<State>,
}

enum State {
    Open(Arc<Open>),
    /// It failed; when it was tried again last.
    Lost(StoreError, Instant),
}

/// The database while it is open.
pub(super) struct Open {
    database: Option<Database>,
    health: Arc<Health>,
    /// Of the file: device and inode.
    identity: (u64, u64),
}

impl Engine {
    /// Opens the file, or makes it. Its folder must be there.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let begun = Instant::now();
        let open = loop {
            match Open::new(path, true) {
                Err(StoreError::Unavailable(why)) if why == LOCKED && begun.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                open => break open?,
            }
        };
        Ok(Self { path: path.to_owned(), state: RwLock::new(State::Open(Arc::new(open))) })
    }

    /// Whether `path` is still the file that is open: it may have been removed or replaced.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        match (&*self.state.read(), std::fs::metadata(path)) {
            (State::Open(open), Ok(file)) => open.identity == (file.dev(), file.ino()),
            (State::Open(_), Err(_)) => false,
            (State::Lost(..), _) => true,
        }
    }

    /// Reads, in a view of the file that doesn't change meanwhile.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let open = self.current()?;
        self.judge(&open, || open.database()?.begin_read().map_err(StoreError::from).and_then(|view| work(&view)))
    }

    /// Changes what `work` says, durably, or nothing. For the one thread that writes.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let open = self.current_or_again()?;
        self.judge(&open, || open.write(work))
    }

    /// Whether the file has to be opened again, which [`Engine::write`] does.
    pub(super) fn is_lost(&self) -> bool {
        matches!(&*self.state.read(), State::Lost(..))
    }

    fn current(&self) -> Result<Arc<Open>, StoreError> {
        match &*self.state.read() {
            State::Open(open) => Ok(open.clone()),
            State::Lost(error, _) => Err(error.clone()),
        }
    }

    /// For the one thread that writes. Whoever reads meanwhile waits for no lock, however long a repair takes.
    fn current_or_again(&self) -> Result<Arc<Open>, StoreError> {
        match &*self.state.read() {
            State::Open(open) => return Ok(open.clone()),
            State::Lost(error, tried) if tried.elapsed() < PAUSE => return Err(error.clone()),
            State::Lost(..) => {}
        }
        let open = Open::new(&self.path, false).map(Arc::new);
        *self.state.write() = match &open {
            Ok(open) => State::Open(open.clone()),
            Err(error) => State::Lost(error.clone(), Instant::now()),
        };
        let open = open?;
        log::warn!(file:% = self.path.display(); "the token service's file is open again");
        Ok(open)
    }

    /// A database that had an I/O error must be opened again (its own words), and one that panicked, too.
    fn judge<T>(&self, open: &Arc<Open>, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        // What it may have left half done is thrown away with it.
        let answer = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            open.health.end();
            Err(StoreError::Unavailable("the database gave up: its disk is full, or its file damaged".to_owned()))
        });
        if let Err(error @ StoreError::Unavailable(_)) = &answer {
            self.lose(open, error);
        }
        answer
    }

    fn lose(&self, open: &Arc<Open>, error: &StoreError) {
        let mut state = self.state.write();
        if matches!(&*state, State::Open(current) if Arc::ptr_eq(current, open)) {
            let lost = std::mem::replace(&mut *state, State::Lost(error.clone(), Instant::now()));
            drop(state);
            // Closing takes a while.
            drop(lost);
            log::error!(file:% = self.path.display(); "the token service's file is lost: {error}");
        }
    }

    #[cfg(test)]
    pub(super) fn health(&self) -> Arc<Health> {
        self.current().expect("it is open").health.clone()
    }
}

impl Open {
    fn new(path: &Path, make: bool) -> Result<Self, StoreError> {
        let (file, made) = file(path, make).map_err(|error| unavailable(&error))?;
        let identity = file.metadata().map(|file| (file.dev(), file.ino())).map_err(|error| unavailable(&error))?;
        let health = Arc::new(Health::default());
        let database = catch_unwind(AssertUnwindSafe(|| database(file, health.clone()))).unwrap_or_else(|_| {
            health.end();
            Err(StoreError::Corrupt("it is damaged".to_owned()))
        });
        let open = Self { database: Some(database?), health, identity };
        catch_unwind(AssertUnwindSafe(|| open.check_layout()))
            .unwrap_or_else(|_| Err(StoreError::Corrupt("it is damaged".to_owned())))?;
        if made {
            sync_folder(path).map_err(|error| unavailable(&error))?;
        }
        Ok(open)
    }

    fn database(&self) -> Result<&Database, StoreError> {
        self.database.as_ref().ok_or_else(|| StoreError::Unavailable("it is closed".to_owned()))
    }

    fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        let mut transaction = self.database()?.begin_write()?;
        // Acknowledged is durable: the commit returns after fdatasync.
        transaction.set_durability(Durability::Immediate);
        transaction.set_quick_repair(self.health.length() > LARGE);
        Ok(transaction)
    }

    fn write<T>(&self, work: impl FnOnce(&mut Tables<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let transaction = self.begin_write()?;
        let done = {
            let mut tables = Tables::open(&transaction)?;
            work(&mut tables)
        };
        match done {
            Ok(done) => transaction.commit().map(|()| done).map_err(StoreError::from),
            Err(error) => {
                transaction.abort()?;
                Err(error)
            }
        }
    }

    fn check_layout(&self) -> Result<(), StoreError> {
        let written = self.database()?.begin_read()?;
        let layout = match written.open_table(NUMBERS) {
            Ok(numbers) => numbers.get(LAYOUT)?.map_or(0, |layout| layout.value()),
            Err(redb::TableError::TableDoesNotExist(_)) => {
                return self.write(|tables| {
                    tables.numbers.insert(LAYOUT, CURRENT_LAYOUT)?;
                    Ok(())
                });
            }
            Err(error) => return Err(error.into()),
        };
        match layout {
            CURRENT_LAYOUT => Ok(()),
            layout => Err(StoreError::Corrupt(format!("it has the layout {layout}, this program knows 1"))),
        }
    }
}

/// Closing writes to the file as well, and may find out then that it is damaged.
impl Drop for Open {
    fn drop(&mut self) {
        let database = self.database.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
    }
}

fn database(file: File, health: Arc<Health>) -> Result<Database, StoreError> {
    let disk = Disk::new(file, health.clone())?;
    let repaired = Rc::new(Cell::new(false));
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE).set_repair_callback({
        let repaired = repaired.clone();
        move |_| repaired.set(true)
    });
    let mut database = builder.create_with_backend(disk)?;
    // Every page's checksum: a flipped bit is found here, not by whoever needs it. A repair has done so already.
    if !repaired.get() && health.length() <= LARGE && !database.check_integrity()? {
        log::error!("the token service's file was damaged: it is as it was after its last commit that is whole");
    }
    Ok(database)
}

/// The file, and whether it is new. Nobody else may read it: it has the hashes of passwords in it.
fn file(path: &Path, make: bool) -> io::Result<(File, bool)> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    match options.open(path) {
        Err(error) if make && error.kind() == io::ErrorKind::NotFound => {
            Ok((options.create_new(true).open(path)?, true))
        }
        file => Ok((file?, false)),
    }
}

/// Only then is the name of a new file durable, too.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn unavailable(error: &io::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}
