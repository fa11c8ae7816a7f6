//! Passwords that everybody knows: a list in a file.

mod disk;
mod memory;

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::UNIX_EPOCH;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tidegate_core::{BuildCx, ConfigError};
use zeroize::Zeroizing;

use disk::SortedFile;
use memory::InMemory;

/// A longer file is not read: it has to be sorted, and is searched where it is.
const LARGEST_READ: u64 = 64 * 1024 * 1024;

/// SHA-1 of a password: how such lists are published. It protects nothing here.
type Sha1 = [u8; 20];

/// A list that can be asked.
#[derive(Clone)]
pub(super) struct Breached(Arc<List>);

enum List {
    Memory(InMemory),
    Disk(SortedFile),
}

impl Breached {
    /// Opens the file, or takes what a configuration before read of the same. The error carries no path.
    pub(super) fn open(path: &Path, cx: &mut BuildCx<'_>) -> Result<Self, ConfigError> {
        let wrong = |what: String| {
            ConfigError::at("", what).help("a list as haveibeenpwned-downloader makes it, or a password on each line")
        };
        let (file, key) = opened(path).map_err(|error| wrong(format!("can't be read: {error}")))?;
        let kept = cx.retain(&key, OnceLock::<Breached>::new);
        if let Some(breached) = kept.get() {
            return Ok(breached.clone());
        }
        let breached = Self(Arc::new(List::read(file).map_err(wrong)?));
        Ok(kept.get_or_init(|| breached).clone())
    }

    /// Whether it is the same list, read once.
    #[cfg(test)]
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether the password is in it, as it is or in lower case.
    pub(super) async fn contains(&self, password: &str) -> std::io::Result<bool> {
        let lower = Zeroizing::new(password.to_lowercase());
        let hashes = [sha1(password.as_bytes()), sha1(lower.as_bytes())];
        let list = self.0.clone();
        match &*list {
            List::Memory(known) => Ok(hashes.iter().any(|hash| known.contains(hash))),
            List::Disk(_) => tokio::task::spawn_blocking(move || list.search(&hashes)).await?,
        }
    }
}

impl List {
    fn read(file: File) -> Result<Self, String> {
        let length = file.metadata().map_err(|error| error.to_string())?.len();
        if length > LARGEST_READ {
            return SortedFile::open(file, length).map(List::Disk);
        }
        InMemory::read(file, LARGEST_READ).map(List::Memory).map_err(|error| error.to_string())
    }

    fn search(&self, hashes: &[Sha1]) -> std::io::Result<bool> {
        let List::Disk(file) = self else { return Ok(false) };
        for hash in hashes {
            if file.contains(hash)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The file, and what says that it is still the same.
fn opened(path: &Path) -> std::io::Result<(File, String)> {
    let file = File::open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(std::io::Error::other("is no file"));
    }
    let changed = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    Ok((file, format!("breached {} {} {changed}", path.display(), about.len())))
}

fn sha1(password: &[u8]) -> Sha1 {
    let mut hash = [0; 20];
    hash.copy_from_slice(digest(&SHA1_FOR_LEGACY_USE_ONLY, password).as_ref());
    hash
}

/// The hash on a line: 40 hexadecimal digits, with or without a count behind a colon.
fn hash_of(line: &[u8]) -> Option<Sha1> {
    let (digits, rest) = line.split_at_checked(40)?;
    let counted = |rest: &[u8]| rest.strip_prefix(b":").is_some_and(|count| count.iter().all(u8::is_ascii_digit));
    if !rest.is_empty() && !counted(rest) {
        return None;
    }
    let mut hash = [0; 20];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests;
