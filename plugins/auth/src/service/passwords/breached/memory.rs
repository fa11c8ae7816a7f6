//! A list that fits into memory.

use std::io::{self, Read};

use super::{Sha1, hash_of, sha1};

/// The first 64 bits of each hash, sorted: that two passwords share them happens to one in trillions.
pub(super) struct InMemory(Vec<u64>);

impl InMemory {
    /// Reads all of it. Lines need not be UTF-8, nor in any order.
    pub(super) fn read(file: impl Read, largest: u64) -> io::Result<Self> {
        let mut bytes = Vec::new();
        file.take(largest).read_to_end(&mut bytes)?;
        let lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let lines = lines.filter(|line| !line.is_empty());
        let mut known: Vec<u64> = lines.map(|line| first(&hash_of(line).unwrap_or_else(|| sha1(line)))).collect();
        known.sort_unstable();
        known.dedup();
        known.shrink_to_fit();
        Ok(Self(known))
    }

    pub(super) fn contains(&self, hash: &Sha1) -> bool {
        self.0.binary_search(&first(hash)).is_ok()
    }
}

fn first(hash: &Sha1) -> u64 {
    hash.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}
