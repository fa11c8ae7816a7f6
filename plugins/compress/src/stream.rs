//! The body of one answer while it is compressed.

use std::sync::Arc;

use parking_lot::Mutex;
use tidegate_core::{Bytes, Error, Result};

use crate::algorithm::Algorithm;
use crate::encoder::{Content, Encoder, Then};
use crate::metrics::InOut;
use crate::streams::Place;

/// From this length on a piece is compressed at the lowest level, however high the route's is: it keeps its thread until
/// it is done. Pieces of an upstream have 64 KiB at most, so this is for answers that are made whole.
const LARGE: usize = 256 * 1024;

/// A body that is being compressed: one request's, so nobody ever waits for the lock.
#[derive(Debug, Clone)]
pub(crate) struct Stream(Arc<Mutex<Body>>);

/// How a body is to be compressed.
#[derive(Debug)]
pub(crate) struct How {
    pub(crate) algorithm: Algorithm,
    pub(crate) level: u32,
    pub(crate) content: Content,
    /// Whether somebody waits for each piece.
    pub(crate) flush: bool,
    pub(crate) bytes: InOut,
    /// Held as long as the body is.
    pub(crate) _place: Place,
}

#[derive(Debug)]
struct Body {
    how: How,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing has come yet. An encoder has half a MiB or more, and an answer to HEAD needs none.
    Waiting,
    Open(Encoder),
    /// It has ended, or failed.
    Over,
}

impl Stream {
    pub(crate) fn new(how: How) -> Self {
        Self(Arc::new(Mutex::new(Body { how, state: State::Waiting })))
    }

    /// What goes out in place of a piece. Nothing, where the encoder holds it back: an empty piece in the middle of a body
    /// is not written, and ends nothing.
    pub(crate) fn pass(&self, piece: &mut Bytes, end: bool) -> Result<()> {
        self.0.lock().pass(piece, end)
    }
}

impl Body {
    fn pass(&mut self, piece: &mut Bytes, end: bool) -> Result<()> {
        if piece.is_empty() && (!end || matches!(self.state, State::Over)) {
            return Ok(());
        }
        let mut encoder = match std::mem::replace(&mut self.state, State::Over) {
            State::Open(encoder) => encoder,
            State::Waiting => self.encoder(piece, end)?,
            State::Over => return Err(Error::internal("more of an answer came after its end")),
        };
        let then = match (end, self.how.flush) {
            (true, _) => Then::End,
            (false, true) => Then::Flush,
            (false, false) => Then::More,
        };
        let before = std::mem::take(piece);
        let after = encoder.piece(&before, then).map_err(failed)?;
        self.how.bytes.before.inc_by(before.len() as u64);
        self.how.bytes.after.inc_by(after.len() as u64);
        *piece = after.into();
        if !end {
            self.state = State::Open(encoder);
        }
        Ok(())
    }

    fn encoder(&self, first: &Bytes, end: bool) -> Result<Encoder> {
        let events = self.how.content == Content::Events;
        let level = if events || first.len() > LARGE { 1 } else { self.how.level };
        let content = if end { Content::Of(first.len() as u64) } else { self.how.content };
        Encoder::new(self.how.algorithm, level, content).map_err(failed)
    }
}

/// The head has gone out: whoever gets this error cuts the connection, so that nobody takes a part for the whole.
fn failed(error: crate::encoder::EncoderError) -> Error {
    Error::internal("an answer can't be compressed").because(error)
}
