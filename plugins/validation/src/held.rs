//! A body that is held back until it is known to be as it must be.

use std::sync::Arc;

use tidegate_core::Bytes;

use crate::schema::Schema;

/// The most room that is made for a body by its length alone: whether it comes is another question.
const ROOM: u64 = 64 * 1024;

/// What of a body has come. A note on the request, gone with it.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pieces: Vec<u8>,
    pub(crate) schema: Option<Arc<Schema>>,
    pub(crate) needed: bool,
    longest: usize,
}

/// What a piece makes of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    More,
    Whole(Bytes),
    TooMuch,
}

impl Held {
    pub(crate) fn new(schema: Option<Arc<Schema>>, needed: bool, length: Option<u64>, longest: usize) -> Self {
        let room = length.unwrap_or_default().min(ROOM);
        let pieces = Vec::with_capacity(usize::try_from(room).unwrap_or_default());
        Self { pieces, schema, needed, longest }
    }

    pub(crate) fn add(&mut self, piece: &Bytes, end: bool) -> Piece {
        if self.pieces.len() + piece.len() > self.longest {
            self.pieces = Vec::new();
            return Piece::TooMuch;
        }
        self.pieces.extend_from_slice(piece);
        match end {
            true => Piece::Whole(Bytes::from(std::mem::take(&mut self.pieces))),
            false => Piece::More,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_a_whole_or_too_much() {
        let mut held = Held::new(None, false, Some(u64::MAX), 4);
        assert_eq!(held.add(&Bytes::from_static(b"ab"), false), Piece::More);
        assert_eq!(held.add(&Bytes::from_static(b"cd"), false), Piece::More);
        assert_eq!(held.add(&Bytes::new(), true), Piece::Whole(Bytes::from_static(b"abcd")));
        assert_eq!(held.add(&Bytes::from_static(b"abcde"), true), Piece::TooMuch);
    }
}
