//! A list too long for memory: Have I Been Pwned has some 40 GB. It is sorted, and searched where it is.

use std::cmp::Ordering;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::{Sha1, hash_of};

/// Longer than any line: a hash, a colon, a count.
const LONGEST_LINE: u64 = 64;
/// How many places are looked at before the list is believed to be sorted.
const SAMPLES: u64 = 1000;

/// A file of sorted lines with a hash on each.
pub(super) struct SortedFile {
    file: File,
    length: u64,
}

impl SortedFile {
    /// Looks whether it is what it must be, here and there.
    pub(super) fn open(file: File, length: u64) -> Result<Self, String> {
        let sorted = Self { file, length };
        let mut before: Option<Sha1> = None;
        for nth in 0..=SAMPLES {
            let at = (length.saturating_sub(1)) / SAMPLES * nth;
            let (hash, _) = sorted.line_at(at).map_err(|error| format!("at byte {at}: {error}"))?;
            if before.is_some_and(|before| before > hash) {
                return Err(format!("is longer than 64 MiB, and not sorted: at byte {at}"));
            }
            before = Some(hash);
        }
        Ok(sorted)
    }

    pub(super) fn contains(&self, hash: &Sha1) -> io::Result<bool> {
        let mut range = 0..self.length;
        while range.start < range.end {
            let middle = range.start + (range.end - range.start) / 2;
            let (found, line) = self.line_at(middle)?;
            match found.cmp(hash) {
                Ordering::Equal => return Ok(true),
                Ordering::Less => range.start = line.end,
                Ordering::Greater => range.end = line.start,
            }
        }
        Ok(false)
    }

    /// The hash on the line that this byte is on, and where the line is, its end with it.
    fn line_at(&self, at: u64) -> io::Result<(Sha1, Range<u64>)> {
        let from = at.saturating_sub(LONGEST_LINE);
        let mut window = [0; 2 * LONGEST_LINE as usize];
        let read = self.read(&mut window, from)?;
        let window = window.get(..read).unwrap_or_default();
        let here = usize::try_from(at - from).unwrap_or_default().min(read);
        let (before, after) = window.split_at(here);
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let end = after.iter().position(|byte| *byte == b'\n').map_or(read, |newline| here + newline + 1);
        let line = window.get(start..end).unwrap_or_default();
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let hash = hash_of(text.strip_suffix(b"\r").unwrap_or(text));
        let hash = hash.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "there is no SHA-1 on the line"))?;
        Ok((hash, from + start as u64..from + end as u64))
    }

    fn read(&self, window: &mut [u8], from: u64) -> io::Result<usize> {
        let mut read = 0;
        while let Some(rest) = window.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, from + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }
}
