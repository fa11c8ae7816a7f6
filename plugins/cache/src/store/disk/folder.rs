//! The folder: who has it, what it is for, and where in it an answer is.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rand::Rng;
use rustix::fs::{FlockOperation, flock};

use super::Id;

const LOCK: &str = "lock";
const SECRET: &str = "secret";
const FORMAT: &str = "format";
const OBJECTS: &str = "objects";
const TEMPORARY: &str = "tmp";
/// What is being removed: `old-1`.
const OLD: &str = "old-";

/// Why a folder can't be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum FolderError {
    /// Somebody else has it.
    #[error("another process uses this folder")]
    Locked,
    /// The system says no.
    #[error("{what}")]
    Io {
        what: &'static str,
        #[source]
        source: io::Error,
    },
}

/// A folder that is ours until this is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    secret: [u8; 16],
    format: &'static str,
    temporary: AtomicU64,
    /// Its lock goes with it.
    _lock: File,
}

impl Folder {
    /// One that is there. What it holds from another version, another kind or another secret is put aside.
    pub(super) fn open(path: &Path, sealed: bool) -> Result<Self, FolderError> {
        let io = |what| move |source| FolderError::Io { what, source };
        let mut options = OpenOptions::new();
        let lock = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path.join(LOCK));
        let lock = lock.map_err(io("its lock can't be made"))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(FolderError::Locked),
            locked => locked.map_err(|error| FolderError::Io { what: "it can't be locked", source: error.into() })?,
        }
        // Ours, and nobody else's: others may have made it.
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(io("it belongs to somebody else"))?;
        let format = if sealed { "1 sealed\n" } else { "1 plain\n" };
        let same = fs::read(path.join(FORMAT)).is_ok_and(|found| found == format.as_bytes());
        let (secret, known) = match read_secret(path).map_err(io("its secret can't be read"))? {
            Some(secret) => (secret, same),
            None => (rand::rng().random(), false),
        };
        let temporary = AtomicU64::new(rand::rng().random());
        let folder = Self { path: path.to_owned(), secret, format, temporary, _lock: lock };
        folder.put_aside(TEMPORARY).map_err(io("its leftovers can't be moved"))?;
        if !known {
            folder.put_aside(OBJECTS).map_err(io("what it holds can't be moved"))?;
        }
        folder.make().map_err(io("it can't be written"))?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What the zone's keys are hashed with.
    pub(super) fn secret(&self) -> [u8; 16] {
        self.secret
    }

    /// Makes what is missing: at the start, and when somebody has removed it.
    pub(super) fn make(&self) -> io::Result<()> {
        make_folder(&self.path)?;
        make_folder(&self.path.join(TEMPORARY))?;
        make_folder(&self.path.join(OBJECTS))?;
        self.put_file(SECRET, &self.secret)?;
        self.put_file(FORMAT, self.format.as_bytes())
    }

    /// Written beside and renamed, unless it stands there already.
    fn put_file(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let path = self.path.join(name);
        if fs::read(&path).is_ok_and(|found| found == content) {
            return Ok(());
        }
        let (mut file, temporary) = self.temporary()?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(temporary, path)
    }

    /// So that it is no longer found, and removed by [`Folder::remove_old`].
    fn put_aside(&self, name: &str) -> io::Result<()> {
        let to = self.path.join(format!("{OLD}{}", self.temporary.fetch_add(1, Ordering::Relaxed)));
        match fs::rename(self.path.join(name), to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes what was put aside, now or before a crash. Takes long.
    pub(super) fn remove_old(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(OLD)) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    /// A new file that nobody finds.
    pub(super) fn temporary(&self) -> io::Result<(File, PathBuf)> {
        let number = self.temporary.fetch_add(1, Ordering::Relaxed);
        let path = self.path.join(TEMPORARY).join(format!("{number:016x}"));
        // Read as well: answers are read while they are written.
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        Ok((file, path))
    }

    /// Where an answer is.
    pub(super) fn of(&self, id: Id) -> PathBuf {
        self.path.join(OBJECTS).join(format!("{:03x}", id.0 >> 52)).join(format!("{:016x}", id.0))
    }

    /// Gives a written file its place, in which another may have been.
    pub(super) fn place(&self, temporary: &Path, id: Id) -> io::Result<()> {
        let to = self.of(id);
        match fs::rename(temporary, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_folder(&self.path.join(OBJECTS))?;
                to.parent().map_or(Ok(()), make_folder)?;
                fs::rename(temporary, &to)
            }
            renamed => renamed,
        }
    }

    /// The folders in which answers are.
    pub(super) fn parts(&self) -> io::Result<Vec<PathBuf>> {
        match fs::read_dir(self.path.join(OBJECTS)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            parts => parts?.map(|part| part.map(|part| part.path())).collect(),
        }
    }

    /// The answers in one of them, and how long their files are.
    pub(super) fn list_part(&self, part: &Path, mut each: impl FnMut(Id, u64)) -> io::Result<()> {
        let files = match fs::read_dir(part) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(());
            }
            files => files?,
        };
        for file in files {
            let file = file?;
            // Gone meanwhile, most likely.
            let Ok(meta) = file.metadata() else { continue };
            let id = file.file_name().to_str().and_then(Id::parse);
            if let Some(id) = id.filter(|id| meta.is_file() && self.of(*id) == file.path()) {
                each(id, meta.len());
            }
        }
        Ok(())
    }
}

/// Makes it, if it isn't there; the folder above it must be. Its whole path, by which it is known.
pub(super) fn make(path: &Path) -> Result<PathBuf, FolderError> {
    let made = make_folder(path).and_then(|()| path.canonicalize());
    made.map_err(|source| FolderError::Io { what: "it can't be made", source })
}

/// One folder, for its owner only.
fn make_folder(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

/// `None`: there is none, or it is damaged, and what was stored with it can't be found any more.
fn read_secret(path: &Path) -> io::Result<Option<[u8; 16]>> {
    let file = match File::open(path.join(SECRET)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut found = Vec::new();
    file.take(64).read_to_end(&mut found)?;
    Ok(found.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path, sealed: bool) -> Folder {
        Folder::open(&make(path).expect("made"), sealed).expect("a folder")
    }

    fn stored(folder: &Folder) -> Vec<(u64, u64)> {
        let mut all = Vec::new();
        for part in folder.parts().expect("a list") {
            folder.list_part(&part, |id, length| all.push((id.0, length))).expect("a list");
        }
        all.sort_unstable();
        all
    }

    fn store(folder: &Folder, id: u64) {
        let (mut file, path) = folder.temporary().expect("a file");
        file.write_all(b"four").expect("written");
        folder.place(&path, Id(id)).expect("placed");
    }

    #[test]
    fn a_folder_is_of_one_process_and_of_its_owner() {
        let temp = tempfile::tempdir().expect("a folder");
        let path = temp.path().join("zone");
        let folder = open(&path, false);
        assert!(matches!(Folder::open(&path, false), Err(FolderError::Locked)));
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        store(&folder, u64::MAX);
        assert_eq!(mode(&folder.of(Id(u64::MAX))), 0o600);
        assert_eq!(mode(folder.of(Id(u64::MAX)).parent().expect("a folder")), 0o700);
        assert_eq!(mode(&path.join(SECRET)), 0o600);
        drop(folder);
        open(&path, false);
    }

    #[test]
    fn what_was_stored_is_found_again_and_leftovers_are_not() {
        let temp = tempfile::tempdir().expect("a folder");
        let folder = open(temp.path(), false);
        let secret = folder.secret();
        [1, 2, u64::MAX].into_iter().for_each(|id| store(&folder, id));
        let (_, half) = folder.temporary().expect("a file");
        drop(folder);
        let folder = open(temp.path(), false);
        assert_eq!(folder.secret(), secret);
        assert_eq!(stored(&folder), [(1, 4), (2, 4), (u64::MAX, 4)]);
        assert!(!half.exists());
        folder.remove_old().expect("removed");
        let left = fs::read_dir(temp.path()).expect("a list").count();
        assert_eq!(left, 5, "lock, secret, format, objects and tmp");
    }

    #[test]
    fn what_was_stored_in_another_way_is_not_found() {
        let temp = tempfile::tempdir().expect("a folder");
        store(&open(temp.path(), false), 1);
        assert_eq!(stored(&open(temp.path(), true)), []);
        store(&open(temp.path(), true), 2);
        fs::write(temp.path().join(SECRET), "short").expect("written");
        assert_eq!(stored(&open(temp.path(), true)), []);
        let folder = open(temp.path(), true);
        folder.remove_old().expect("removed");
        assert_eq!(fs::read_dir(temp.path()).expect("a list").count(), 5);
    }

    #[test]
    fn a_folder_that_was_removed_is_made_again() {
        let temp = tempfile::tempdir().expect("a folder");
        let path = temp.path().join("zone");
        let folder = open(&path, false);
        fs::remove_dir_all(&path).expect("removed");
        assert!(folder.temporary().is_err());
        folder.make().expect("made");
        store(&folder, 1);
        assert_eq!(stored(&folder), [(1, 4)]);
        assert_eq!(fs::read(path.join(SECRET)).expect("there"), folder.secret());
    }
}
