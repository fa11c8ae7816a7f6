//! The socket as a byte stream that reports to the sweeper.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::pulse::Pulse;
use crate::socket::Socket;

/// Plain bytes, or the ciphertext under TLS. No buffers.
#[derive(Debug)]
pub(crate) struct SocketIo {
    socket: Arc<Socket>,
    pulse: Arc<Pulse>,
    /// The client said that it will send no more.
    ended: bool,
}

impl SocketIo {
    pub(crate) fn new(socket: Arc<Socket>, pulse: Arc<Pulse>) -> Self {
        Self { socket, pulse, ended: false }
    }

    pub(crate) fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }

    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Notes how a read went.
    pub(crate) fn has_read(&mut self, n: usize) {
        self.ended |= n == 0;
        self.pulse.moved();
    }

    fn write(&self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let result = self.socket.poll_write(cx, bufs);
        match &result {
            Poll::Ready(_) => self.pulse.wrote(),
            Poll::Pending => self.pulse.write_blocked(),
        }
        result
    }
}

impl AsyncRead for SocketIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let read = std::task::ready!(self.socket.poll_read(cx, buf))?;
        self.has_read(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SocketIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.write(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.socket.finish() {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            result => Poll::Ready(result),
        }
    }
}
