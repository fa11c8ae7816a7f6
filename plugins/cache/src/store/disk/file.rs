//! What stands where in a file: its beginning, key and head, the body in blocks, and two rooms for later heads.

use std::io;

use rand::Rng;
use xxhash_rust::xxh3::xxh3_64;

use super::head;
use super::seal::{Keys, SALT, Seal, TAG};
use crate::store::Head;

/// The last byte is the version.
const MAGIC: [u8; 8] = *b"tgcache1";
/// How long a file's beginning is.
pub(super) const START: usize = 64;
/// How much of a body has a check of its own.
pub(super) const BLOCK: usize = 64 << 10;
/// Key and head together are no longer.
pub(super) const MOST_ABOUT: usize = 1 << 20;
/// Salt, number and length, which stand before a later head.
const ROOM_START: usize = SALT + 8;
/// A first head and its key are unit 0, blocks come after.
const ABOUT: u64 = 0;

/// A file is not what was written, or not for these keys.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum Broken {
    /// It is damaged, half written, or not a file of ours.
    #[error("the file is damaged")]
    Damaged,
    /// It was written with another key, or without encryption where there is some now.
    #[error("the file was written with another key")]
    OtherKey,
}

impl From<Broken> for io::Error {
    fn from(broken: Broken) -> Self {
        Self::new(io::ErrorKind::InvalidData, broken)
    }
}

/// Bytes at a place; fewer are an error.
pub(super) trait ReadAt {
    fn length(&self) -> u64;
    fn read_at(&self, at: u64, to: &mut [u8]) -> io::Result<()>;
}

impl ReadAt for [u8] {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, at: u64, to: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(at).ok().and_then(|at| self.get(at..)?.get(..to.len()));
        to.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// A file's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) key: u32,
    pub(super) head: u32,
    /// How long each of the rooms for later heads is.
    pub(super) room: u32,
    pub(super) body: u64,
    /// Drawn for each file: no two have the same, so it also says which answer this is.
    pub(super) salt: [u8; SALT],
    /// The name of what it is encrypted with.
    pub(super) sealed_with: [u8; 8],
}

impl Start {
    /// Of a new file, its body not yet known.
    pub(super) fn new(key: &[u8], head: &[u8], keys: &Keys) -> Option<Self> {
        let about = key.len().checked_add(head.len()).filter(|about| *about <= MOST_ABOUT)?;
        // A 304 makes a head a little longer, if at all.
        let room = ROOM_START + TAG + head.len() + head.len() / 4 + 256;
        debug_assert!(about <= MOST_ABOUT && u32::try_from(room).is_ok());
        let (key, head, room) = (key.len() as u32, head.len() as u32, room as u32);
        Some(Self { key, head, room, body: 0, salt: rand::rng().random(), sealed_with: keys.name() })
    }

    /// Of a file that will never be.
    pub(super) fn none() -> Self {
        Self { key: 0, head: 0, room: 0, body: 0, salt: [0; SALT], sealed_with: [0; 8] }
    }

    fn encode(&self) -> [u8; START] {
        let mut to = [0; START];
        to[..8].copy_from_slice(&MAGIC);
        to[8..12].copy_from_slice(&self.key.to_le_bytes());
        to[12..16].copy_from_slice(&self.head.to_le_bytes());
        to[16..24].copy_from_slice(&self.body.to_le_bytes());
        to[24..28].copy_from_slice(&self.room.to_le_bytes());
        to[32..48].copy_from_slice(&self.salt);
        to[48..56].copy_from_slice(&self.sealed_with);
        let sum = xxh3_64(&to[..56]);
        to[56..].copy_from_slice(&sum.to_le_bytes());
        to
    }

    fn decode(from: &[u8; START]) -> Result<Self, Broken> {
        let start = Self {
            key: u32::from_le_bytes(part(from, 8)),
            head: u32::from_le_bytes(part(from, 12)),
            body: u64::from_le_bytes(part(from, 16)),
            room: u32::from_le_bytes(part(from, 24)),
            salt: part(from, 32),
            sealed_with: part(from, 48),
        };
        // Nothing but what is written: not even the bytes in between may be others.
        let about = u64::from(start.key) + u64::from(start.head);
        let sane = about <= MOST_ABOUT as u64 && start.body <= u64::MAX / 4 && start.room as usize <= 2 * MOST_ABOUT;
        if start.encode() == *from && sane { Ok(start) } else { Err(Broken::Damaged) }
    }

    /// For all but later heads.
    pub(super) fn seal(&self, keys: &Keys) -> Result<Seal, Broken> {
        keys.seal(self.sealed_with, &[&self.salt]).ok_or(Broken::OtherKey)
    }

    fn about(&self) -> usize {
        self.key as usize + self.head as usize + TAG
    }

    /// Where a block begins.
    pub(super) fn block_at(&self, block: u64) -> u64 {
        (START + self.about()) as u64 + block * (BLOCK + TAG) as u64
    }

    /// How many blocks the body has.
    pub(super) fn blocks(&self) -> u64 {
        self.body.div_ceil(BLOCK as u64)
    }

    /// How long a block is, without its tag.
    fn block_length(&self, block: u64) -> usize {
        self.body.saturating_sub(block * BLOCK as u64).min(BLOCK as u64) as usize
    }

    /// Where the body ends, and the rooms begin.
    pub(super) fn end(&self) -> u64 {
        self.block_at(0) + self.body + self.blocks() * TAG as u64
    }

    /// Where the room for a head of this number is.
    pub(super) fn room_at(&self, number: u32) -> u64 {
        self.end() + u64::from((number + 1) % 2) * u64::from(self.room)
    }
}

fn part<const N: usize>(from: &[u8; START], at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&from[at..at + N]);
    part
}

/// Beginning, key and head as they are written.
pub(super) fn opening(start: &Start, seal: &Seal, key: &[u8], head: &[u8]) -> Option<Vec<u8>> {
    let begin = start.encode();
    let mut bytes = Vec::with_capacity(START + start.about());
    bytes.extend_from_slice(&begin);
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(head);
    seal.close(ABOUT, &begin, &mut bytes, START)?;
    Some(bytes)
}

/// Closes a block that stands in `bytes` from `from` on.
pub(super) fn close_block(seal: &Seal, block: u64, bytes: &mut Vec<u8>, from: usize) -> Option<()> {
    seal.close(block + 1, &[], bytes, from)
}

/// A file that begins as it should.
pub(super) struct Entry {
    pub(super) start: Start,
    pub(super) seal: Seal,
    pub(super) key: Vec<u8>,
    pub(super) head: Head,
    /// How often a head was written after the first.
    pub(super) number: u32,
}

impl Entry {
    /// Reads all but the body.
    pub(super) fn read<F: ReadAt + ?Sized>(from: &F, keys: &Keys) -> io::Result<Self> {
        let mut begin = [0; START];
        from.read_at(0, &mut begin).map_err(short)?;
        let start = Start::decode(&begin)?;
        let (length, end) = (from.length(), start.end());
        if length < end || length > end + 2 * u64::from(start.room) {
            return Err(Broken::Damaged.into());
        }
        let seal = start.seal(keys)?;
        let mut about = vec![0; start.about()];
        from.read_at(START as u64, &mut about).map_err(short)?;
        let about = seal.open(ABOUT, &begin, &mut about).ok_or(Broken::Damaged)?;
        let (key, first) = about.split_at_checked(start.key as usize).ok_or(Broken::Damaged)?;
        let key = key.to_vec();
        let (head, number) = match later_head(from, &start, keys)? {
            Some((head, number)) => (head, number),
            None => (head::decode(first).ok_or(Broken::Damaged)?, 0),
        };
        Ok(Self { start, seal, key, head, number })
    }

    /// One block of the body, once it was checked.
    pub(super) fn block<F: ReadAt + ?Sized>(&self, from: &F, block: u64) -> io::Result<Vec<u8>> {
        read_block(from, &self.start, &self.seal, block)
    }
}

/// One block of a body, once it was checked.
pub(super) fn read_block<F: ReadAt + ?Sized>(from: &F, start: &Start, seal: &Seal, block: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; start.block_length(block) + TAG];
    from.read_at(start.block_at(block), &mut bytes).map_err(short)?;
    let length = seal.open(block + 1, &[], &mut bytes).ok_or(Broken::Damaged)?.len();
    bytes.truncate(length);
    Ok(bytes)
}

/// The last head that was written whole into one of the rooms.
fn later_head<F: ReadAt + ?Sized>(from: &F, start: &Start, keys: &Keys) -> io::Result<Option<(Head, u32)>> {
    let mut last: Option<(Head, u32)> = None;
    for room in [1, 2] {
        let at = start.room_at(room);
        let length = from.length().saturating_sub(at).min(u64::from(start.room));
        let mut bytes = vec![0; length as usize];
        from.read_at(at, &mut bytes).map_err(short)?;
        let found = open_room(&mut bytes, start, keys).filter(|(_, number)| number % 2 == room % 2);
        last = found.into_iter().chain(last).max_by_key(|(_, number)| *number);
    }
    Ok(last)
}

/// What is written into the room of this number. `None`: there is no room for so much.
pub(super) fn later(start: &Start, keys: &Keys, number: u32, head: &[u8]) -> Option<Vec<u8>> {
    let salt: [u8; SALT] = rand::rng().random();
    let mut bytes = salt.to_vec();
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(head.len()).ok()?.to_le_bytes());
    bytes.extend_from_slice(head);
    if bytes.len() + TAG > start.room as usize {
        return None;
    }
    // Two may write the same number at once, so each has a key of its own.
    let seal = keys.seal(start.sealed_with, &[&start.salt, &salt])?;
    let about = [start.salt.as_slice(), &bytes[SALT..ROOM_START]].concat();
    seal.close(ABOUT, &about, &mut bytes, ROOM_START)?;
    Some(bytes)
}

fn open_room(bytes: &mut [u8], start: &Start, keys: &Keys) -> Option<(Head, u32)> {
    let (begin, rest) = bytes.split_first_chunk_mut::<ROOM_START>()?;
    let (salt, numbers) = begin.split_at(SALT);
    let seal = keys.seal(start.sealed_with, &[&start.salt, salt])?;
    let (number, length) = lengths(numbers)?;
    let about = [start.salt.as_slice(), numbers].concat();
    let content = seal.open(ABOUT, &about, rest.get_mut(..length.checked_add(TAG)?)?)?;
    Some((head::decode(content)?, number))
}

/// Number and length, as they stand before a later head.
fn lengths(from: &[u8]) -> Option<(u32, usize)> {
    let (number, from) = from.split_first_chunk::<4>()?;
    let (length, _) = from.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*number), usize::try_from(u32::from_le_bytes(*length)).ok()?))
}

/// A file that ends too early is a damaged one.
fn short(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Broken::Damaged.into(),
        _ => error,
    }
}
