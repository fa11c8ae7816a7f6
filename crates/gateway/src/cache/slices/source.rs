//! The bytes of an object, whether they come in slices or as one.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use pingora_error::Error;
use pingora_proxy::Session;
use tidegate_core::cache::{Slice, are_same_version};

use crate::cache::Trip;
use crate::cache::own::{Open, Told, ask, cut};
use crate::exchange::Exchange;

type Fallible<T> = Result<T, Box<Error>>;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    pub(super) slice: Slice,
    /// All there is, in the place of the first slice: the upstream can't cut it.
    pub(super) whole: bool,
}

impl Question {
    /// `Err` of the inner one: there is no answer.
    pub(super) async fn ask(
        self,
        session: &mut Session,
        exchange: &mut Exchange,
    ) -> Fallible<Result<(Piece, Told), Option<Told>>> {
        let Self { slice, whole } = self;
        let Some(trip) = Trip::for_slice(exchange, slice, whole) else {
            return Err(cut(exchange, "no request can be made for a slice"));
        };
        let at = if whole { 0 } else { slice.start() };
        Ok(ask(session, exchange, trip, at).await?.map(|(open, told)| (Piece { slice, open }, told)))
    }
}

/// An answer to it.
pub(super) struct Piece {
    pub(super) slice: Slice,
    pub(super) open: Open,
}

/// Where they come from. They are read from the front to the back.
pub(super) enum Source {
    Sliced(Sliced),
    Whole(Open),
}

/// An object in slices. There is never more than one of them under way.
pub(super) struct Sliced {
    /// Of how many bytes they are.
    size: u64,
    total: u64,
    /// The fields of the first one that was asked for: all others must be of the same version.
    version: HeaderMap,
    asked: SystemTime,
    piece: Option<Piece>,
}

impl Sliced {
    pub(super) fn new(piece: Piece, total: u64, asked: SystemTime) -> Self {
        let (size, version) = (piece.slice.size(), piece.open.head.headers.clone());
        Self { size, total, version, asked, piece: Some(piece) }
    }

    async fn read(&mut self, session: &mut Session, exchange: &mut Exchange, from: u64, to: u64) -> Fallible<Bytes> {
        let slice = Slice::of_byte(self.size, from);
        let mut open = match self.piece.take() {
            Some(piece) if piece.slice == slice && piece.open.at() <= from => piece.open,
            other => {
                other.into_iter().for_each(|piece| piece.open.leave());
                self.next(session, exchange, slice).await?
            }
        };
        let end = slice.end(self.total).min(to);
        let Some(bytes) = open.read(session, exchange, from, end).await? else {
            return Err(cut(exchange, "a slice has ended before its end"));
        };
        self.piece = Some(Piece { slice, open });
        Ok(bytes)
    }

    async fn next(&mut self, session: &mut Session, exchange: &mut Exchange, slice: Slice) -> Fallible<Open> {
        let question = Question { slice, whole: false };
        let (open, told) = match question.ask(session, exchange).await? {
            Ok((piece, told)) => (piece.open, told),
            Err(told) => {
                told.into_iter().for_each(|told| told.blame(exchange));
                return Err(cut(exchange, "a slice could not be fetched"));
            }
        };
        let head = &open.head;
        let total = slice.total(head.status, &head.headers);
        if total == Some(self.total) && are_same_version(&self.version, &head.headers) {
            return Ok(open);
        }
        let asked = told.asked();
        if has_changed(head.status) {
            self.outdated(session, exchange, asked);
        }
        if total.is_some() {
            open.leave();
        }
        Err(cut(exchange, "a slice is not of the same version as the first one"))
    }

    /// Whichever of the two was asked for first is of a version that there is no longer.
    fn outdated(&self, session: &mut Session, exchange: &mut Exchange, asked: SystemTime) {
        let last = match self.asked == asked {
            true => asked,
            false => self.asked.max(asked).checked_sub(Duration::from_nanos(1)).unwrap_or(asked),
        };
        let (route, mut cx) = exchange.hooks(session);
        if let Some(slices) = route.chain.cache().and_then(|policy| policy.slices()) {
            slices.outdated(&mut cx, last);
        }
    }

    fn leave(self) {
        self.piece.into_iter().for_each(|piece| piece.open.leave());
    }
}

/// Whether an answer in the place of a slice says that there is another version, or nothing any more. Others say
/// something of the upstream, or of the client.
fn has_changed(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 206 | 404 | 410 | 416)
}

impl Source {
    /// The next piece of what is between these two places.
    pub(super) async fn read(
        &mut self,
        session: &mut Session,
        exchange: &mut Exchange,
        from: u64,
        to: u64,
    ) -> Fallible<Bytes> {
        match self {
            Self::Sliced(sliced) => sliced.read(session, exchange, from, to).await,
            Self::Whole(open) => {
                let piece = open.read(session, exchange, from, to).await?;
                piece.ok_or_else(|| cut(exchange, "an answer is shorter than its head says"))
            }
        }
    }

    /// The next piece, whatever there is.
    pub(super) async fn rest(&mut self, session: &mut Session, exchange: &mut Exchange) -> Fallible<Option<Bytes>> {
        match self {
            Self::Sliced(_) => Ok(None),
            Self::Whole(open) => {
                let at = open.at();
                open.read(session, exchange, at, u64::MAX).await
            }
        }
    }

    /// Nothing more of it is wanted. A slice is stored to its end; what has no bound isn't.
    pub(super) fn leave(self) {
        if let Self::Sliced(sliced) = self {
            sliced.leave();
        }
    }
}
