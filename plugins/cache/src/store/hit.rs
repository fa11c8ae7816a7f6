//! The body of what was found, read in pieces.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use tidegate_core::cache::engine::{CacheKey, Error, ErrorType, HandleHit, Result, SpanHandle, Storage};
use tidegate_core::{Bytes, async_trait};

use super::memory::{Entry, Flight, Read, Reader, Said};
use super::{Head, Notes};

/// How long a reader waits for more of a body that is still being written.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer that was found.
pub(crate) struct Hit {
    said: Arc<Said>,
    body: Body,
}

enum Body {
    Whole(Whole),
    Written(Reader),
}

/// A body in memory, and what of it is yet to be read.
struct Whole {
    entry: Arc<Entry>,
    at: u64,
    end: u64,
}

impl Hit {
    /// A whole answer.
    pub(super) fn whole(entry: Arc<Entry>) -> Self {
        let said = entry.said();
        let end = entry.length();
        Self { said, body: Body::Whole(Whole { entry, at: 0, end }) }
    }

    /// An answer that is still being written.
    pub(super) fn written(flight: Arc<Flight>) -> Option<Self> {
        let said = flight.said().clone();
        Flight::read(flight, false).map(|reader| Self { said, body: Body::Written(reader) })
    }

    /// The same for the request that writes it.
    pub(super) fn writers_own(flight: Arc<Flight>) -> Option<Self> {
        let said = flight.said().clone();
        Flight::read(flight, true).map(|reader| Self { said, body: Body::Written(reader) })
    }

    /// Its head.
    pub(crate) fn head(&self) -> &Arc<Head> {
        &self.said.head
    }

    /// What is noted beside it.
    pub(crate) fn notes(&self) -> &Arc<Notes> {
        &self.said.notes
    }

    /// The whole key that it is stored under.
    pub(crate) fn key(&self) -> &[u8] {
        match &self.body {
            Body::Whole(whole) => whole.entry.key(),
            Body::Written(reader) => reader.key(),
        }
    }
}

impl Whole {
    fn next(&mut self) -> Option<Bytes> {
        let piece = self.entry.piece(self.at, self.end)?;
        self.at += piece.len() as u64;
        Some(piece)
    }
}

#[async_trait]
impl HandleHit for Hit {
    async fn read_body(&mut self) -> Result<Option<Bytes>> {
        match &mut self.body {
            Body::Whole(whole) => Ok(whole.next()),
            Body::Written(reader) => follow(reader).await,
        }
    }

    async fn finish(
        self: Box<Self>,
        _: &'static (dyn Storage + Sync),
        _: &CacheKey,
        _: &SpanHandle,
    ) -> Result<()> {
        Ok(())
    }

    fn can_seek(&self) -> bool {
        matches!(self.body, Body::Whole(_))
    }

    fn seek(&mut self, start: usize, end: Option<usize>) -> Result<()> {
        let Body::Whole(whole) = &mut self.body else {
            return Error::e_explain(ErrorType::InternalError, "no seeking in what is still being written");
        };
        let length = whole.entry.length();
        let start = start as u64;
        if start >= length {
            return Error::e_explain(ErrorType::InternalError, "seeking behind the end of a stored body");
        }
        whole.at = start;
        whole.end = end.map_or(length, |end| (end as u64).min(length));
        Ok(())
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }

    fn as_any_mut(&mut self) -> &mut (dyn Any + Send + Sync) {
        self
    }
}

/// Nothing is taken before it is returned: whoever stops waiting misses nothing.
async fn follow(reader: &mut Reader) -> Result<Option<Bytes>> {
    loop {
        match reader.next() {
            Read::Piece(piece) => return Ok(Some(piece)),
            Read::End => return Ok(None),
            Read::Failed(why) => return Error::e_explain(ErrorType::InternalError, why),
            Read::Wait => {}
        }
        if tokio::time::timeout(PATIENCE, reader.more()).await.is_err() {
            return Error::e_explain(ErrorType::InternalError, "nothing more came of what is still being written");
        }
    }
}
