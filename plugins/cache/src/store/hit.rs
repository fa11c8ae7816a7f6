//! The body of what was found, read in pieces.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use tidegate_core::cache::engine::{CacheKey, Error, ErrorType, HandleHit, Result, SpanHandle, Storage};
use tidegate_core::{Bytes, async_trait};

use super::disk::{DiskHit, Follow};
use super::memory::{Entry, Flight, Read, Reader, Said};
use super::{Head, Notes};

/// How long a reader waits for more of a body that is still being written.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much is read from the disk at a time.
const AT_A_TIME: u64 = 64 << 10;

/// An answer that was found.
pub(crate) struct Hit {
    said: Arc<Said>,
    body: Body,
}

enum Body {
    Whole(Whole),
    Written(Reader),
    Disk(OnDisk),
}

/// A body on the disk, or on its way there.
struct OnDisk {
    key: Box<[u8]>,
    source: Source,
    at: u64,
    end: u64,
}

enum Source {
    Stored(DiskHit),
    Written(Follow),
}

/// A body in memory, and what of it is yet to be read.
struct Whole {
    entry: Arc<Entry>,
    /// The piece that is next, and what is before it.
    piece: usize,
    before: u64,
    at: u64,
    end: u64,
}

impl Hit {
    /// A whole answer.
    pub(super) fn whole(entry: Arc<Entry>) -> Self {
        let said = entry.said();
        let end = entry.length();
        Self { said, body: Body::Whole(Whole { entry, piece: 0, before: 0, at: 0, end }) }
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

    /// An answer on the disk that is too long for memory.
    pub(super) fn on_disk(notes: Arc<Notes>, key: &[u8], hit: DiskHit) -> Self {
        let end = hit.len();
        let said = Arc::new(Said { head: hit.head().clone().with_length(end), notes });
        Self { said, body: Body::Disk(OnDisk { key: key.into(), source: Source::Stored(hit), at: 0, end }) }
    }

    /// An answer on its way to the disk.
    pub(super) fn followed(said: Arc<Said>, key: &[u8], follow: Follow) -> Self {
        let source = Source::Written(follow);
        Self { said, body: Body::Disk(OnDisk { key: key.into(), source, at: 0, end: u64::MAX }) }
    }

    /// The whole body, if it is in memory.
    pub(super) fn in_memory(&self) -> Option<(&Said, &[Bytes])> {
        match &self.body {
            Body::Whole(whole) => Some((&self.said, whole.entry.pieces())),
            _ => None,
        }
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
            Body::Disk(disk) => &disk.key,
        }
    }
}

impl Whole {
    fn next(&mut self) -> Option<Bytes> {
        loop {
            let piece = self.entry.pieces().get(self.piece).filter(|_| self.at < self.end)?;
            let after = self.before + piece.len() as u64;
            if self.at < after {
                let from = usize::try_from(self.at - self.before).ok()?;
                let to = usize::try_from(self.end.min(after) - self.before).ok()?;
                self.at = self.end.min(after);
                return Some(piece.slice(from..to));
            }
            (self.piece, self.before) = (self.piece + 1, after);
        }
    }

    /// From now on what is between these is read; each range begins anew.
    fn seek(&mut self, start: u64, end: Option<u64>) -> bool {
        let length = self.entry.length();
        (self.piece, self.before, self.at) = (0, 0, start);
        self.end = end.unwrap_or(length).min(length);
        start < length
    }
}

impl OnDisk {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let most = self.end.saturating_sub(self.at).min(AT_A_TIME) as usize;
        if most == 0 {
            return Ok(None);
        }
        let read = match &mut self.source {
            Source::Stored(hit) => hit.read(self.at, most).await,
            Source::Written(follow) => follow.read(self.at, most).await,
        };
        let failed = |error| Error::because(ErrorType::InternalError, "a stored body can't be read", error);
        let bytes = read.map_err(failed)?;
        self.at += bytes.len() as u64;
        Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }

    /// Not in what is still being written, of which nobody knows how long it is.
    fn seek(&mut self, start: u64, end: Option<u64>) -> bool {
        let Source::Stored(hit) = &self.source else { return false };
        (self.at, self.end) = (start, end.unwrap_or(hit.len()).min(hit.len()));
        start < hit.len()
    }
}

#[async_trait]
impl HandleHit for Hit {
    async fn read_body(&mut self) -> Result<Option<Bytes>> {
        match &mut self.body {
            Body::Whole(whole) => Ok(whole.next()),
            Body::Written(reader) => follow(reader).await,
            Body::Disk(disk) => disk.next().await,
        }
    }

    async fn finish(self: Box<Self>, _: &'static (dyn Storage + Sync), _: &CacheKey, _: &SpanHandle) -> Result<()> {
        Ok(())
    }

    fn can_seek(&self) -> bool {
        match &self.body {
            Body::Whole(_) => true,
            Body::Disk(disk) => matches!(disk.source, Source::Stored(_)),
            Body::Written(_) => false,
        }
    }

    fn seek(&mut self, start: usize, end: Option<usize>) -> Result<()> {
        let (start, end) = (start as u64, end.map(|end| end as u64));
        let sought = match &mut self.body {
            Body::Whole(whole) => whole.seek(start, end),
            Body::Disk(disk) => disk.seek(start, end),
            Body::Written(_) => false,
        };
        match sought {
            true => Ok(()),
            false => Error::e_explain(ErrorType::InternalError, "no such place in a stored body, or not yet"),
        }
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
