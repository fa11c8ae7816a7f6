//! Marks on a disk: one line each, so that what was purged before a crash stays purged after it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::mark::{Mark, Target};

/// The file's name.
const NAME: &str = "purges";

/// A file that has grown longer becomes one line: all that was stored before is purged.
const LONGEST: u64 = 64 << 20;

/// The file, open for more.
pub(super) struct Journal {
    file: File,
    length: u64,
}

/// What a line says, after its checksum.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// Nanoseconds since 1970.
    at: u64,
    mark: Mark,
}

/// Marks with their times.
type Found = Vec<(Mark, u64)>;

impl Journal {
    /// Opens the file, and says what stands in it; `false`: not all of it can be read.
    pub(super) fn open(folder: &Path) -> io::Result<(Self, Found, bool)> {
        let path = folder.join(NAME);
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let mut bytes = Vec::new();
        (&mut file).take(LONGEST * 2).read_to_end(&mut bytes)?;
        let (found, good, whole) = read(&bytes);
        // Half a line is of a purge that nobody was told of.
        file.set_len(good)?;
        file.seek(SeekFrom::Start(good))?;
        Ok((Self { file, length: good }, found, whole))
    }

    /// Adds a mark; with `synced` it is on the disk when this returns.
    pub(super) fn add(&mut self, mark: &Mark, at: u64, synced: bool) -> io::Result<()> {
        let mut line = line(mark, at)?;
        if self.length + line.len() as u64 > LONGEST {
            log::warn!("the file of the cache's purges is full: all that was stored before is purged");
            line = self::line(&Mark { target: Target::All, soft: false }, at)?;
            self.file.set_len(0)?;
            self.file.seek(SeekFrom::Start(0))?;
            self.length = 0;
        }
        self.file.write_all(&line)?;
        self.length += line.len() as u64;
        if synced { self.file.sync_data() } else { Ok(()) }
    }
}

fn line(mark: &Mark, at: u64) -> io::Result<Vec<u8>> {
    let text = serde_json::to_string(&Line { at, mark: mark.clone() })?;
    Ok(format!("{} {text}\n", checksum(text.as_bytes())).into_bytes())
}

/// The first 64 bits of SHA-256.
fn checksum(text: &[u8]) -> String {
    let digest = digest(&SHA256, text);
    digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// All whole lines, where the last of them ends, and whether all of them can be read.
fn read(bytes: &[u8]) -> (Found, u64, bool) {
    let (mut found, mut whole) = (Vec::new(), true);
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    for line in bytes[..end].split_inclusive(|byte| *byte == b'\n') {
        match parse(line) {
            Some(Line { at, mark }) => found.push((mark, at)),
            None => whole = false,
        }
    }
    (found, end as u64, whole)
}

fn parse(line: &[u8]) -> Option<Line> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (sum, text) = line.split_once(' ')?;
    (sum == checksum(text.as_bytes())).then(|| serde_json::from_str(text).ok())?
}
