//! The state kept in a file over a restart.
//!
//! Little-endian: eight bytes `tglimits`, version, seed (2), steady time and wall time of writing, number of cells
//! (tag, scale, low and high half of the word, each), number of logs (tag, limit, window, policy, number of entries
//! (time, cost)); all of 64 bits. Then the SHA-256 of all that. The seed lets tags be found again, and is a secret:
//! whoever knows it can make two keys share a counter. What is in flight ends with the process and isn't written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tidegate_core::Clock;

use super::scale::Scale;
use super::word::{Kind, Word};
use super::{Memory, Size};
use crate::algorithm::{LAST, Log, State};
use crate::rule::{Micros, Now};

const MAGIC: u64 = u64::from_le_bytes(*b"tglimits");
const VERSION: u64 = 1;
const SUM: usize = 32;
/// No store is that large; whatever it is, it is not read into memory.
const LARGEST: u64 = 8 << 30;

/// Why the state could not be kept or had again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("cannot {act} {}", path.display())]
    Io { act: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is damaged: {reason}; remove it to start with no keys", path.display())]
    Damaged { path: PathBuf, reason: &'static str },
}

impl Memory {
    /// Writes all that matters: to another file first, which then takes the place of `path`, so that there is always
    /// a whole one. Only the owner can read it. Blocks: for a background thread.
    pub(crate) fn save(&self, path: &Path) -> Result<(), FileError> {
        // There is one draft: who saves later, after a reload perhaps, waits, and then writes what is newer.
        let _alone = self.saving.lock();
        let store = self.current();
        let bytes = store.to_bytes(store.now());
        let draft = draft_of(path);
        let wrong = |act| move |source| FileError::Io { act, path: path.to_owned(), source };
        write_draft(&draft, &bytes).map_err(wrong("write a draft of"))?;
        fs::rename(&draft, path).map_err(wrong("replace"))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(wrong("finish writing"))
    }

    /// A store with what was saved; `None` if there is no such file. Time goes on while no process runs: by the wall
    /// clock, or not at all if that went back.
    pub(crate) fn load(path: &Path, size: impl Into<Size>, clock: Clock) -> Result<Option<Self>, FileError> {
        let mut bytes = Vec::new();
        match File::open(path).and_then(|file| file.take(LARGEST).read_to_end(&mut bytes)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(FileError::Io { act: "read", path: path.to_owned(), source }),
        }
        let damaged = |reason| FileError::Damaged { path: path.to_owned(), reason };
        Self::from_bytes(&bytes, size.into(), clock).map(Some).map_err(damaged)
    }

    fn to_bytes(&self, now: Now) -> Vec<u8> {
        let cells: Vec<_> = self.live(now).filter(|(word, ..)| word.kind() != Some(Kind::Concurrency)).collect();
        let mut out = Writer(Vec::with_capacity(1024 + cells.len() * 32));
        out.numbers([MAGIC, VERSION, self.seed.0, self.seed.1, now.steady, now.wall, cells.len() as u64]);
        for (word, tag, scale) in cells {
            let word = u128::from(word.bare());
            out.numbers([tag, scale.0, word as u64, (word >> 64) as u64]);
        }
        let mut logs = Writer(Vec::new());
        let mut count = 0;
        self.logs.visit(now, |tag, held| {
            count += 1;
            let entries = held.log.entries();
            logs.numbers([tag, held.limit, held.window, u64::from(held.policy), entries.len() as u64]);
            entries.for_each(|(time, cost)| logs.numbers([time, u64::from(cost)]));
        });
        out.numbers([count]);
        out.0.extend_from_slice(&logs.0);
        let sum = Sha256::digest(&out.0);
        out.0.extend_from_slice(&sum);
        out.0
    }

    fn from_bytes(bytes: &[u8], size: Size, clock: Clock) -> Result<Self, &'static str> {
        let body = checked(bytes)?;
        Self::from_body(body, size, clock).ok_or("its parts do not fit together")
    }

    fn from_body(body: &[u8], size: Size, clock: Clock) -> Option<Self> {
        let mut read = Reader(body);
        let [_magic, _version, seed0, seed1, steady, wall, count] = read.numbers()?;
        let began = clock.now();
        let store = Self::seeded(size, (seed0, seed1), began, clock);
        let now = store.now();
        let shift = Shift { then: steady.saturating_add(now.wall.saturating_sub(wall)), now: now.steady };
        let mut cells = Vec::new();
        for _ in 0..count {
            let [tag, scale, low, high] = read.numbers()?;
            let word = Word::from(u128::from(low) | u128::from(high) << 64).bare();
            cells.push((shift.word(word)?, tag.max(1), Scale(scale)));
        }
        store.fill(cells, now);
        let [logs] = read.numbers()?;
        for _ in 0..logs {
            let [tag, limit, window, policy, count] = read.numbers()?;
            let entries = read.entries(count)?.map(|(time, cost)| (shift.time(time), cost));
            let policy = u16::try_from(policy).ok()?;
            store.logs.restore(tag.max(1), Log::from_entries(entries), (limit, window.min(LAST), policy));
        }
        read.0.is_empty().then_some(store)
    }
}

/// What is inside a file of ours that is whole.
fn checked(bytes: &[u8]) -> Result<&[u8], &'static str> {
    let (body, sum) = bytes.split_at_checked(bytes.len().saturating_sub(SUM)).unwrap_or_default();
    let Some([magic, version]) = Reader(body).numbers() else { return Err("it is cut off") };
    match (magic, version) {
        (MAGIC, VERSION) if Sha256::digest(body).as_slice() == sum => Ok(body),
        (MAGIC, VERSION) => Err("its checksum does not match"),
        (MAGIC, _) => Err("it is of another version"),
        _ => Err("it is not a file of limits"),
    }
}

/// From the time of the store that wrote to the time of the store that reads.
struct Shift {
    then: Micros,
    now: Micros,
}

impl Shift {
    fn time(&self, time: Micros) -> Micros {
        time.saturating_add(self.now).saturating_sub(self.then).min(LAST)
    }

    fn word(&self, word: Word) -> Option<Word> {
        let state = word.state();
        Some(match word.kind()? {
            // Time of day is the same for all.
            Kind::Calendar => word,
            _ => word.with(State { time: self.time(state.time), ..state }),
        })
    }
}

/// Beside the file, so that it can take its place in one step.
fn draft_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

fn write_draft(draft: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // A new file: whatever else may be found under that name is not written to.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(bytes)?;
    file.sync_all()
}

struct Writer(Vec<u8>);

impl Writer {
    fn numbers<const N: usize>(&mut self, numbers: [u64; N]) {
        for number in numbers {
            self.0.extend_from_slice(&number.to_le_bytes());
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn numbers<const N: usize>(&mut self) -> Option<[u64; N]> {
        let (numbers, rest) = self.0.split_at_checked(N * 8)?;
        self.0 = rest;
        let mut out = [0; N];
        for (number, bytes) in out.iter_mut().zip(numbers.chunks_exact(8)) {
            *number = u64::from_le_bytes(bytes.try_into().ok()?);
        }
        Some(out)
    }

    /// Entries of a log, all of them there.
    fn entries(&mut self, count: u64) -> Option<impl Iterator<Item = (Micros, u32)> + use<'a>> {
        let bytes = usize::try_from(count).ok()?.checked_mul(16)?;
        let (entries, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(entries.chunks_exact(16).filter_map(|entry| {
            let [time, cost] = Reader(entry).numbers()?;
            Some((time, u32::try_from(cost).unwrap_or(u32::MAX)))
        }))
    }
}

#[cfg(test)]
#[path = "tests/persist.rs"]
mod tests;
