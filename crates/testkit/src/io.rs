//! Byte streams and HTTP/1 on them, for the kit's client and its upstreams. Deliberately lenient: what is sent and
//! received is the test's business.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

/// A connection of any kind: TCP, TLS, unix.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A connection of any kind, boxed.
pub type BoxIo = Box<dyn Io>;

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// The reading end of an HTTP/1 connection.
pub(crate) struct Reader {
    stream: ReadHalf<BoxIo>,
    buffer: BytesMut,
    seen: Option<Seen>,
}

type Seen = Box<dyn FnMut(&[u8]) + Send>;

/// The writing end.
pub(crate) struct Writer(WriteHalf<BoxIo>);

pub(crate) fn split(stream: BoxIo) -> (Reader, Writer) {
    let (read, write) = tokio::io::split(stream);
    (Reader { stream: read, buffer: BytesMut::new(), seen: None }, Writer(write))
}

/// Puts the two ends together again, with what was read and not used.
pub(crate) fn join(reader: Reader, writer: Writer) -> (Bytes, BoxIo) {
    (reader.buffer.freeze(), reader.stream.unsplit(writer.0))
}

impl Writer {
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }

    pub(crate) async fn shutdown(&mut self) -> io::Result<()> {
        self.0.shutdown().await
    }
}

impl Reader {
    /// Calls `seen` with every byte that comes in.
    pub(crate) fn on_bytes(&mut self, seen: impl FnMut(&[u8]) + Send + 'static) {
        self.seen = Some(Box::new(seen));
    }

    /// Reads more into the buffer; `false` at the end of the stream.
    async fn fill(&mut self) -> io::Result<bool> {
        self.buffer.reserve(64 * 1024);
        let count = self.stream.read_buf(&mut self.buffer).await?;
        if let Some(seen) = &mut self.seen {
            seen(&self.buffer[self.buffer.len() - count..]);
        }
        Ok(count > 0)
    }

    /// A head up to and with its empty line; `None` when the stream ends before the first byte.
    pub(crate) async fn head(&mut self) -> io::Result<Option<Bytes>> {
        let mut searched = 0;
        loop {
            if let Some(end) = find(&self.buffer[searched..], b"\r\n\r\n") {
                return Ok(Some(self.buffer.split_to(searched + end + 4).freeze()));
            }
            searched = self.buffer.len().saturating_sub(3);
            if !self.fill().await? {
                return if self.buffer.is_empty() { Ok(None) } else { Err(cut("head")) };
            }
        }
    }

    /// A line without its CRLF.
    async fn line(&mut self) -> io::Result<Bytes> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line = self.buffer.split_to(end + 2).freeze();
                return Ok(line.slice(..end));
            }
            if !self.fill().await? {
                return Err(cut("line"));
            }
        }
    }

    /// Some bytes, at most `limit`; none at the end of the stream.
    pub(crate) async fn some(&mut self, limit: u64) -> io::Result<Bytes> {
        if self.buffer.is_empty() && !self.fill().await? {
            return Ok(Bytes::new());
        }
        let count = usize::try_from(limit).unwrap_or(usize::MAX).min(self.buffer.len());
        Ok(self.buffer.split_to(count).freeze())
    }

    /// Ends when the other end has: closed, reset, or said that it sends no more. What comes until then is kept.
    pub(crate) async fn hung_up(&mut self) {
        while matches!(self.fill().await, Ok(true)) {}
    }

    /// Starts a body.
    pub(crate) fn body(&mut self, framing: Framing) -> BodyReader<'_> {
        let left = match framing {
            Framing::Length(length) => length,
            Framing::Chunked | Framing::UntilClose => 0,
        };
        BodyReader { reader: self, state: BodyState { framing, left, ended: false }, trailers: Bytes::new() }
    }

    /// Goes on with a body that was left half-read.
    pub(crate) fn resume(&mut self, state: BodyState) -> BodyReader<'_> {
        BodyReader { reader: self, state, trailers: Bytes::new() }
    }
}

/// How far a body has been read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyState {
    framing: Framing,
    left: u64,
    ended: bool,
}

/// A body while it is read.
pub(crate) struct BodyReader<'a> {
    reader: &'a mut Reader,
    state: BodyState,
    pub(crate) trailers: Bytes,
}

impl BodyReader<'_> {
    pub(crate) fn state(&self) -> BodyState {
        self.state
    }

    /// The next piece; `None` at the end. A piece is never longer than what came in one read or one chunk.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.state.ended {
            return Ok(None);
        }
        match self.state.framing {
            Framing::Length(_) => self.counted().await,
            Framing::Chunked => self.chunked().await,
            Framing::UntilClose => {
                let piece = self.reader.some(u64::MAX).await?;
                self.state.ended = piece.is_empty();
                Ok((!piece.is_empty()).then_some(piece))
            }
        }
    }

    async fn counted(&mut self) -> io::Result<Option<Bytes>> {
        if self.state.left == 0 {
            self.state.ended = true;
            return Ok(None);
        }
        let piece = self.reader.some(self.state.left).await?;
        if piece.is_empty() {
            return Err(cut("body"));
        }
        self.state.left -= piece.len() as u64;
        Ok(Some(piece))
    }

    async fn chunked(&mut self) -> io::Result<Option<Bytes>> {
        if self.state.left == 0 {
            let size = self.reader.line().await?;
            let size = size.split(|byte| *byte == b';').next().unwrap_or_default();
            let size = std::str::from_utf8(size).ok().and_then(|size| u64::from_str_radix(size.trim(), 16).ok());
            self.state.left = size.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "bad chunk size"))?;
            if self.state.left == 0 {
                self.state.ended = true;
                self.read_trailers().await?;
                return Ok(None);
            }
        }
        let piece = self.counted().await?;
        if self.state.left == 0 && !self.reader.line().await?.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a chunk is longer than it said"));
        }
        Ok(piece)
    }

    async fn read_trailers(&mut self) -> io::Result<()> {
        let mut lines = BytesMut::new();
        loop {
            let line = self.reader.line().await?;
            if line.is_empty() {
                break;
            }
            lines.extend_from_slice(&line);
            lines.extend_from_slice(b"\r\n");
        }
        self.trailers = lines.freeze();
        Ok(())
    }
}

pub(crate) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn cut(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, format!("the connection ended inside a {what}"))
}
