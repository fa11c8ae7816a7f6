//! The file below the database.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use redb::backends::FileBackend;
use redb::{DatabaseError, StorageBackend};

/// The database's file. What it is asked for is checked first: what a damaged page says may be any length and place.
#[derive(Debug)]
pub(super) struct Disk {
    file: FileBackend,
    health: Arc<Health>,
}

/// Whether the database may touch its file.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// It panicked: nobody knows what it would write next.
    dead: AtomicBool,
    /// How long the file is.
    length: AtomicU64,
    /// For tests: writes fail as they do on a full disk.
    #[cfg(test)]
    full: AtomicBool,
    /// For tests: how often the file was made durable.
    #[cfg(test)]
    syncs: AtomicU64,
}

impl Health {
    /// From now on nothing is read or written.
    pub(super) fn end(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }

    /// How long the file is.
    pub(super) fn length(&self) -> u64 {
        self.length.load(Ordering::SeqCst)
    }

    #[cfg(test)]
    pub(super) fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    #[cfg(test)]
    pub(super) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::SeqCst)
    }

    fn check(&self) -> io::Result<()> {
        match self.dead.load(Ordering::SeqCst) {
            true => Err(io::Error::other("the database is given up")),
            false => Ok(()),
        }
    }

    fn check_space(&self) -> io::Result<()> {
        #[cfg(test)]
        if self.full.load(Ordering::SeqCst) {
            return Err(ErrorKind::StorageFull.into());
        }
        self.check()
    }
}

impl Disk {
    /// Locks the file: it is open once on this machine.
    pub(super) fn new(file: File, health: Arc<Health>) -> Result<Self, DatabaseError> {
        health.length.store(file.metadata()?.len(), Ordering::SeqCst);
        Ok(Self { file: FileBackend::new(file)?, health })
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.health.check()?;
        self.file.len()
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self.health.check()?;
        let end = u64::try_from(len).ok().and_then(|len| offset.checked_add(len));
        if end.is_none_or(|end| end > self.health.length.load(Ordering::SeqCst)) {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "a page beyond the file's end"));
        }
        self.file.read(offset, len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.health.check_space()?;
        self.file.set_len(len)?;
        self.health.length.store(len, Ordering::SeqCst);
        Ok(())
    }

    fn sync_data(&self, eventual: bool) -> io::Result<()> {
        self.health.check_space()?;
        #[cfg(test)]
        self.health.syncs.fetch_add(1, Ordering::SeqCst);
        self.file.sync_data(eventual)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.health.check_space()?;
        self.file.write(offset, data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_beyond_the_end_and_nothing_at_all_once_it_is_given_up() {
        let health = Arc::new(Health::default());
        let disk = Disk::new(tempfile::tempfile().expect("a file"), health.clone()).expect("a disk");
        disk.set_len(100).expect("made longer");
        disk.write(90, b"0123456789").expect("written");
        assert_eq!(disk.read(95, 5).expect("read"), b"56789");
        // No memory is taken for what can't be there.
        for (offset, len) in [(96, 5), (0, usize::MAX), (u64::MAX, 1)] {
            assert_eq!(disk.read(offset, len).map_err(|error| error.kind()), Err(ErrorKind::UnexpectedEof));
        }
        health.end();
        assert!(disk.read(0, 1).is_err() && disk.write(0, b"x").is_err() && disk.sync_data(false).is_err());
        assert!(disk.set_len(0).is_err() && disk.len().is_err());
    }
}
