//! Marks on a disk: one line each, so that what was purged before a crash stays purged after it. Where the zone is
//! encrypted, so are they: they tell of URLs.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};

use super::mark::{Mark, Target};
use crate::store::{Keys, SALT};

/// The file's name.
const NAME: &str = "purges";

/// The same while it is being written anew.
const NEW: &str = "purges.new";

/// A file that has grown so long is written anew, without what was purged again since; from then on, when it is twice as
/// long as it is then.
const LONG: u64 = if cfg!(test) { 64 << 10 } else { 8 << 20 };

/// One that is half as long even so becomes one line: all that was stored before is purged.
const LONGEST: u64 = 8 * LONG;

/// The file, open for more.
pub(super) struct Journal {
    folder: PathBuf,
    file: File,
    length: u64,
    /// At which length it is written anew.
    most: u64,
    keys: Keys,
}

/// What a line says.
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
    /// Opens the file, and says what stands in it. What was written without a key, or with an old one, is written anew with
    /// the first of `keys`. What can't be read purges all that is older than `now`, in nanoseconds since 1970.
    pub(super) fn open(folder: &Path, keys: &Keys, now: u64) -> io::Result<(Self, Found)> {
        let mut file = open(&folder.join(NAME))?;
        let mut content = Content::read(&mut file, keys)?;
        // Half a line is of a purge that nobody was told of.
        file.set_len(content.good)?;
        file.seek(SeekFrom::Start(content.good))?;
        let (length, keys) = (content.good, keys.clone());
        let mut journal = Self { folder: folder.to_owned(), file, length, most: most(length), keys };
        if !content.whole {
            let newest = content.found.iter().map(|(_, at)| *at).max().unwrap_or(0);
            let all = Mark { target: Target::All, soft: false };
            content.found.push((all, now.max(newest.saturating_add(1))));
        }
        if !content.current || !content.whole {
            journal.write_anew(&content.found)?;
        }
        Ok((journal, content.found))
    }

    /// Other keys from now on. What stands there already is written anew with them.
    pub(super) fn seal_with(&mut self, keys: &Keys) -> io::Result<()> {
        let before = std::mem::replace(&mut self.keys, keys.clone());
        if before.name() == keys.name() {
            return Ok(());
        }
        self.file.seek(SeekFrom::Start(0))?;
        let content = Content::read(&mut self.file, &before)?;
        self.file.seek(SeekFrom::Start(self.length))?;
        self.write_anew(&content.found)
    }

    /// Adds a mark; with `synced` it is on the disk when this returns.
    pub(super) fn add(&mut self, mark: &Mark, at: u64, synced: bool) -> io::Result<()> {
        let line = self.line(mark, at)?;
        if self.length + line.len() as u64 > self.most {
            self.shrink(at)?;
        }
        self.file.write_all(&line)?;
        self.length += line.len() as u64;
        if synced { self.file.sync_data() } else { Ok(()) }
    }

    /// Leaves out what has been purged again since.
    fn shrink(&mut self, now: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        let content = Content::read(&mut self.file, &self.keys)?;
        self.file.seek(SeekFrom::Start(self.length))?;
        let mut last: HashMap<Mark, u64> = HashMap::with_capacity(content.found.len() / 2);
        for (mark, at) in content.found {
            let newest = last.entry(mark).or_default();
            *newest = at.max(*newest);
        }
        self.write_anew(&last.into_iter().collect::<Found>())?;
        if self.length > LONGEST / 2 || !content.whole {
            log::warn!("the file of the cache's purges is full: all that was stored before is purged");
            self.write_anew(&[(Mark { target: Target::All, soft: false }, now)])?;
        }
        Ok(())
    }

    /// All of it at once: a crash meanwhile leaves the old one.
    fn write_anew(&mut self, marks: &[(Mark, u64)]) -> io::Result<()> {
        let path = self.folder.join(NEW);
        let mut file = open(&path)?;
        file.set_len(0)?;
        let mut lines = Vec::new();
        for (mark, at) in marks {
            lines.append(&mut self.line(mark, *at)?);
        }
        file.write_all(&lines)?;
        file.sync_all()?;
        fs::rename(path, self.folder.join(NAME))?;
        (self.file, self.length) = (file, lines.len() as u64);
        self.most = most(self.length);
        Ok(())
    }

    fn line(&self, mark: &Mark, at: u64) -> io::Result<Vec<u8>> {
        let text = serde_json::to_string(&Line { at, mark: mark.clone() })?;
        if !self.keys.are_some() {
            return Ok(format!("{} {text}\n", checksum(text.as_bytes())).into_bytes());
        }
        let line = sealed(&self.keys, text.as_bytes()).map(String::into_bytes);
        line.ok_or_else(|| io::Error::other("a purge can't be encrypted"))
    }
}

fn most(length: u64) -> u64 {
    LONG.max(length * 2).min(LONGEST)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// The first 64 bits of SHA-256.
fn checksum(text: &[u8]) -> String {
    let digest = digest(&SHA256, text);
    digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// How an encrypted line begins; a plain one begins with a digit of its checksum.
const SEALED: char = '=';

/// What its key is derived for.
const USE: &[u8] = b"a purge";

/// The key's name, a salt of the line's own, and the text, encrypted: as base64, so that it is a line.
fn sealed(keys: &Keys, text: &[u8]) -> Option<String> {
    let (name, salt) = (keys.name(), rand::random::<[u8; SALT]>());
    let mut unit = [name.as_slice(), &salt, text].concat();
    keys.seal(name, &[USE, &salt])?.close(0, USE, &mut unit, name.len() + SALT)?;
    Some(format!("{SEALED}{}\n", BASE64.encode(unit)))
}

/// What stands in a file.
struct Content {
    found: Found,
    /// Where the last whole line ends.
    good: u64,
    /// Whether all whole lines can be read.
    whole: bool,
    /// Whether all that can be read is written as new ones are.
    current: bool,
}

impl Content {
    fn read(file: &mut File, keys: &Keys) -> io::Result<Self> {
        let mut bytes = Vec::new();
        file.take(LONGEST * 2).read_to_end(&mut bytes)?;
        let good = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mut content = Self { found: Vec::new(), good: good as u64, whole: true, current: true };
        for line in bytes[..good].split_inclusive(|byte| *byte == b'\n') {
            match parse(line, keys) {
                Some((Line { at, mark }, current)) => {
                    content.found.push((mark, at));
                    content.current &= current;
                }
                None => content.whole = false,
            }
        }
        Ok(content)
    }
}

/// What a line says, and whether it is written as new ones are.
fn parse(line: &[u8], keys: &Keys) -> Option<(Line, bool)> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    if let Some(text) = line.strip_prefix(SEALED) {
        let mut unit = BASE64.decode(text).ok()?;
        let (name, rest) = unit.split_first_chunk_mut::<8>()?;
        let (salt, content) = rest.split_first_chunk_mut::<SALT>()?;
        let text = keys.seal(*name, &[USE, salt.as_slice()])?.open(0, USE, content)?;
        return serde_json::from_slice(text).ok().map(|line| (line, *name == keys.name()));
    }
    let (sum, text) = line.split_once(' ')?;
    let line = (sum == checksum(text.as_bytes())).then(|| serde_json::from_str(text).ok())??;
    Some((line, !keys.are_some()))
}
