//! A body that is still being written, in pieces, and how far each of its readers has come.

use std::collections::VecDeque;

use smallvec::SmallVec;
use tidegate_core::Bytes;

/// How much a reader gets at a time, where it was written in smaller pieces.
const AT_A_TIME: usize = 64 << 10;

/// The same for the client of the request that writes, once the body passes: Pingora comes by for it much less often than
/// with something new to write.
const OWN_AT_A_TIME: usize = 4 << 20;

/// Smaller pieces are put together.
const SMALL: usize = 16 << 10;

/// What a piece takes beside its bytes.
const BESIDE: u64 = 96;

/// A body that is still being written.
#[derive(Default)]
pub(super) struct Pieces {
    pieces: VecDeque<Piece>,
    written: u64,
    held: u64,
    passes: bool,
    readers: Readers,
}

struct Piece {
    start: u64,
    bytes: Bytes,
    /// How many have not had all of it yet. Counted while it passes.
    wanted: usize,
}

impl Piece {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    fn held(&self) -> u64 {
        self.bytes.len() as u64 + BESIDE
    }
}

/// What a reader has got.
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart at once, and a box would be an allocation for each piece"
)]
pub(super) enum Taken {
    Some(Parts),
    /// There is nothing.
    None,
    /// There will be nothing more for this one.
    Cut,
}

/// What a reader has got, yet in pieces.
pub(super) struct Parts {
    pieces: SmallVec<[Bytes; 8]>,
    bytes: usize,
}

impl Parts {
    /// As one buffer.
    pub(super) fn joined(self) -> Bytes {
        if let [only] = &self.pieces[..] {
            return only.clone();
        }
        let mut all = Vec::with_capacity(self.bytes);
        self.pieces.iter().for_each(|piece| all.extend_from_slice(piece));
        Bytes::from(all)
    }
}

/// Whom a writer has to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behind {
    /// The client of the request that writes: it gets nothing while its request waits. So much is held for it, and it
    /// has had so many bytes.
    Own {
        /// Bytes held.
        held: u64,
        /// Bytes it has had.
        had: u64,
    },
    /// Other requests.
    Others,
}

impl Pieces {
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Bytes that all of it takes.
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    pub(super) fn passes(&self) -> bool {
        self.passes
    }

    /// Another reader, if it can have it from the beginning.
    pub(super) fn reader(&mut self, own: bool) -> Option<usize> {
        (!self.passes).then(|| self.readers.add(Place { at: 0, own }))
    }

    pub(super) fn append(&mut self, data: &[u8]) {
        let start = self.written;
        self.written += data.len() as u64;
        if !self.passes {
            return self.append_kept(start, data);
        }
        let wanted = self.readers.count();
        if wanted > 0 {
            self.push(Piece { start, bytes: Bytes::copy_from_slice(data), wanted });
        }
    }

    /// Small ones are put together, those of like size each time, so that none is copied often.
    fn append_kept(&mut self, start: u64, data: &[u8]) {
        let (mut from, mut length) = (self.pieces.len(), data.len());
        while let Some(before) = from.checked_sub(1).and_then(|before| self.pieces.get(before)) {
            if before.bytes.len() > length || before.bytes.len() + length > SMALL {
                break;
            }
            from -= 1;
            length += before.bytes.len();
        }
        let mut bytes = Vec::with_capacity(length);
        let start = self.pieces.get(from).map_or(start, |first| first.start);
        for piece in self.pieces.drain(from..) {
            bytes.extend_from_slice(&piece.bytes);
            self.held -= piece.held();
        }
        bytes.extend_from_slice(data);
        self.push(Piece { start, bytes: Bytes::from(bytes), wanted: 0 });
    }

    fn push(&mut self, piece: Piece) {
        self.held += piece.held();
        self.pieces.push_back(piece);
    }

    /// From now on it passes. Whether it did not before.
    pub(super) fn pass(&mut self) -> bool {
        if std::mem::replace(&mut self.passes, true) {
            return false;
        }
        for piece in &mut self.pieces {
            let end = piece.end();
            piece.wanted = self.readers.iter().filter(|place| place.at < end).count();
        }
        self.drop_had();
        true
    }

    /// Drops what everybody has had.
    fn drop_had(&mut self) {
        while self.pieces.front().is_some_and(|first| first.wanted == 0) {
            if let Some(first) = self.pieces.pop_front() {
                self.held -= first.held();
            }
        }
    }

    /// What there is for a reader.
    pub(super) fn take(&mut self, id: usize) -> Taken {
        let Some(place) = self.readers.get(id) else { return Taken::Cut };
        let most = if self.passes && place.own { OWN_AT_A_TIME } else { AT_A_TIME };
        let from = self.pieces.partition_point(|piece| piece.end() <= place.at);
        let mut parts = Parts { pieces: SmallVec::new(), bytes: 0 };
        for piece in self.pieces.range_mut(from..) {
            // What has been put together with what it has had already.
            let had = usize::try_from(place.at.saturating_sub(piece.start)).unwrap_or(usize::MAX);
            let part = piece.bytes.slice(had.min(piece.bytes.len())..);
            if parts.bytes > 0 && parts.bytes + part.len() > most {
                break;
            }
            parts.bytes += part.len();
            parts.pieces.push(part);
            place.at = piece.end();
            piece.wanted = piece.wanted.saturating_sub(1);
        }
        if parts.bytes == 0 {
            return Taken::None;
        }
        if self.passes {
            self.drop_had();
        }
        Taken::Some(parts)
    }

    /// A reader has gone.
    pub(super) fn leave(&mut self, id: usize) {
        let Some(place) = self.readers.remove(id) else { return };
        if self.passes {
            let from = self.pieces.partition_point(|piece| piece.end() <= place.at);
            self.pieces.range_mut(from..).for_each(|piece| piece.wanted = piece.wanted.saturating_sub(1));
            self.drop_had();
        }
    }

    /// Whom its writer has to wait for, if it passes and more than `window` is held.
    pub(super) fn behind(&self, window: u64) -> Option<Behind> {
        if !self.passes || self.held <= window {
            return None;
        }
        let first = self.pieces.front()?.end();
        match self.readers.iter().find(|place| place.own) {
            Some(own) if own.at < first => Some(Behind::Own { held: self.held, had: own.at }),
            _ => Some(Behind::Others),
        }
    }

    /// Sends away those that are the furthest behind.
    pub(super) fn cut_slowest(&mut self) {
        let Some(first) = self.pieces.front().map(Piece::end) else { return };
        for id in self.readers.before(first) {
            self.leave(id);
        }
    }

    /// All of it, in as many pieces as it takes.
    pub(super) fn body(&self) -> SmallVec<[Bytes; 1]> {
        let pieces = self.pieces.iter().map(|piece| &piece.bytes);
        let count = self.pieces.len();
        let bytes = self.pieces.iter().map(|piece| piece.bytes.len()).sum::<usize>();
        if count < 2 || bytes > AT_A_TIME && bytes / count >= AT_A_TIME / 2 {
            return pieces.cloned().collect();
        }
        let mut body = SmallVec::new();
        let mut left = bytes;
        let mut chunk = Vec::with_capacity(left.min(AT_A_TIME));
        for mut piece in pieces.map(|piece| &piece[..]) {
            while !piece.is_empty() {
                let (fits, rest) = piece.split_at(piece.len().min(left.min(AT_A_TIME) - chunk.len()));
                chunk.extend_from_slice(fits);
                piece = rest;
                if chunk.len() == left.min(AT_A_TIME) {
                    left -= chunk.len();
                    body.push(Bytes::from(std::mem::replace(&mut chunk, Vec::with_capacity(left.min(AT_A_TIME)))));
                }
            }
        }
        body
    }
}

/// Where each reader is.
#[derive(Default)]
struct Readers {
    places: Vec<Option<Place>>,
    free: Vec<usize>,
}

#[derive(Clone, Copy)]
struct Place {
    /// So many bytes it has had.
    at: u64,
    own: bool,
}

impl Readers {
    fn add(&mut self, place: Place) -> usize {
        match self.free.pop() {
            Some(id) => {
                self.places[id] = Some(place);
                id
            }
            None => {
                self.places.push(Some(place));
                self.places.len() - 1
            }
        }
    }

    fn get(&mut self, id: usize) -> Option<&mut Place> {
        self.places.get_mut(id)?.as_mut()
    }

    fn remove(&mut self, id: usize) -> Option<Place> {
        let place = self.places.get_mut(id).and_then(Option::take)?;
        self.free.push(id);
        Some(place)
    }

    fn iter(&self) -> impl Iterator<Item = &Place> {
        self.places.iter().flatten()
    }

    fn count(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Those that have not had all before `end`.
    fn before(&self, end: u64) -> Vec<usize> {
        let behind = |place: &Option<Place>| place.is_some_and(|place| place.at < end);
        self.places.iter().enumerate().filter(|(_, place)| behind(place)).map(|(id, _)| id).collect()
    }
}
