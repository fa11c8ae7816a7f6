//! A file on its way to the client: one piece of it in memory at a time.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::Arc;

use futures_util::stream::try_unfold;
use tidegate_core::prometheus::IntCounter;
use tidegate_core::{BodyStream, Bytes, Error, Result};

use crate::disk::{Disk, read_at};
use crate::version::Version;

/// What is read at once, and so what a slow client has in memory.
const PIECE: u64 = 128 * 1024;

/// A piece of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// These bytes.
    Text(Bytes),
    /// So many bytes of the file.
    File { at: u64, left: u64 },
}

impl Piece {
    pub(crate) fn length(&self) -> u64 {
        match self {
            Piece::Text(text) => text.len() as u64,
            Piece::File { left, .. } => *left,
        }
    }
}

/// What is left to be sent.
pub(crate) struct Sending {
    pub(crate) disk: Disk,
    pub(crate) file: Arc<File>,
    /// The one that the head has told of.
    pub(crate) version: Version,
    pub(crate) pieces: VecDeque<Piece>,
    pub(crate) bytes: IntCounter,
    /// Counts bodies that had to be cut.
    pub(crate) cut: IntCounter,
}

impl Sending {
    /// Nothing is read before it is asked for.
    pub(crate) fn stream(self) -> BodyStream {
        Box::pin(try_unfold(self, Self::next))
    }

    async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        loop {
            match self.pieces.pop_front() {
                None => return Ok(None),
                Some(Piece::Text(text)) => return Ok(Some((text, self))),
                Some(Piece::File { left: 0, .. }) => {}
                Some(Piece::File { at, left }) => {
                    let bytes = self.read(at, left).await.inspect_err(|_| self.cut.inc())?;
                    let read = bytes.len() as u64;
                    self.pieces.push_front(Piece::File { at: at + read, left: left - read });
                    self.bytes.inc_by(read);
                    return Ok(Some((bytes, self)));
                }
            }
        }
    }

    /// An error cuts the connection: what was promised is not there, and nothing may stand in for it.
    async fn read(&self, at: u64, left: u64) -> Result<Bytes> {
        let (file, promised) = (self.file.clone(), self.version);
        let most = usize::try_from(left.min(PIECE)).unwrap_or(0);
        let read = move || {
            let bytes = read_at(&file, at, most)?;
            Ok::<_, io::Error>((bytes, promised.is_overwritten(&Version::of(&file.metadata()?))))
        };
        let read = self.disk.run(read).await;
        let read = read.map_err(|stalled| Error::internal("a file could not be read on").because(stalled))?;
        match read.map_err(|error| Error::internal("a file could not be read on").because(error))? {
            (_, true) => Err(Error::internal("a file was written over while it was sent")),
            (bytes, false) if bytes.is_empty() => Err(Error::internal("a file became shorter while it was sent")),
            (bytes, false) => Ok(bytes),
        }
    }
}
