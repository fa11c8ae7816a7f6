//! What is written, gathered so that a response's head and body leave in one packet and one TLS record.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};

use crate::stream::Transport;

/// Enough for most heads with a small body. Held only from a write to the next flush.
const GATHER: usize = 2048;
/// How many pieces go into one call.
const PIECES: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    gathered: BytesMut,
    pass_through: bool,
}

impl Outbox {
    /// From now on everything is written at once.
    pub(crate) fn pass_through(&mut self) {
        self.pass_through = true;
    }

    /// Takes what fits, or else writes it behind what was taken before.
    pub(crate) fn poll_write(
        &mut self,
        transport: &mut Transport,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = bufs.iter().map(|buf| buf.len()).sum();
        if length == 0 {
            return Poll::Ready(Ok(0));
        }
        if !self.pass_through && self.gathered.len() + length <= GATHER {
            self.gather(bufs);
            return Poll::Ready(Ok(length));
        }
        loop {
            let written = ready!(self.poll_both(transport, cx, bufs))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let before = self.gathered.len().min(written);
            self.gathered.advance(before);
            if written > before {
                return Poll::Ready(Ok(written - before));
            }
        }
    }

    fn gather(&mut self, bufs: &[IoSlice<'_>]) {
        if self.gathered.capacity() == 0 {
            self.gathered.reserve(GATHER);
        }
        for buf in bufs {
            self.gathered.extend_from_slice(buf);
        }
    }

    fn poll_both(
        &mut self,
        transport: &mut Transport,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.gathered.is_empty() {
            return transport.write().poll_write_vectored(cx, bufs);
        }
        let mut pieces = [IoSlice::new(&[]); PIECES];
        let all = std::iter::once(IoSlice::new(&self.gathered)).chain(bufs.iter().copied());
        let mut count = 0;
        for (piece, buf) in pieces.iter_mut().zip(all) {
            *piece = buf;
            count += 1;
        }
        transport.write().poll_write_vectored(cx, pieces.get(..count).unwrap_or_default())
    }

    /// Writes all that was gathered, and gives its memory back.
    pub(crate) fn poll_empty(&mut self, transport: &mut Transport, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.gathered.is_empty() {
            let written = ready!(transport.write().poll_write(cx, &self.gathered))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.gathered.advance(written);
        }
        self.gathered = BytesMut::new();
        Poll::Ready(Ok(()))
    }
}
