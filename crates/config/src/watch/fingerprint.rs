//! What a file looked like.

use std::collections::hash_map::DefaultHasher;
use std::fs::{File, Metadata};
use std::hash::Hasher;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::limits;

/// A file's outside and its content. `None`: it cannot be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fingerprint {
    outside: Option<Outside>,
    content: Option<u64>,
    taken: SystemTime,
}

/// Clocks of file systems tick this slowly at worst: a write sooner after another one may leave the same time.
const TICK: Duration = Duration::from_secs(2);

/// What can be seen without reading it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Outside {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Fingerprint {
    pub(super) fn of(path: &Path) -> Self {
        // The outside first: a write in between leaves an old outside, and so another look.
        let taken = SystemTime::now();
        Self { outside: Outside::of(path), content: hash(path), taken }
    }

    /// Whether the file certainly is as it was, judged from outside.
    pub(super) fn is_fresh(&self, path: &Path) -> bool {
        self.outside == Outside::of(path) && !self.is_recent()
    }

    /// Whether the file had been written so shortly before our look that its time would not show another write.
    fn is_recent(&self) -> bool {
        let modified = self.outside.and_then(|outside| outside.modified);
        modified.is_some_and(|modified| modified + TICK > self.taken)
    }

    pub(super) fn same_look(&self, other: &Self) -> bool {
        self.outside == other.outside && self.content == other.content
    }

    pub(super) fn same_content(&self, other: &Self) -> bool {
        self.content == other.content
    }
}

impl Outside {
    fn of(path: &Path) -> Option<Self> {
        let metadata = path.metadata().ok()?;
        Some(Self { modified: metadata.modified().ok(), length: metadata.len(), inode: inode(&metadata) })
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

fn hash(path: &Path) -> Option<u64> {
    let mut file = File::open(path).ok()?.take(limits::FILE_BYTES);
    let mut hasher = DefaultHasher::new();
    let mut buffer = [0; 8192];
    loop {
        let length = file.read(&mut buffer).ok()?;
        let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
            return Some(hasher.finish());
        };
        // `Hash` for slices adds the length, which depends on how the reads fell.
        hasher.write(bytes);
    }
}
