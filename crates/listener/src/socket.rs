//! A connection's socket, shared by the task that reads and writes and the sweeper that may shut it.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::{Context, Poll};

use bytes::BufMut;
use rustix::net::Shutdown;
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Reads what is there; `buf` must have room.
    pub(crate) fn poll_read(&self, cx: &mut Context<'_>, buf: &mut impl BufMut) -> Poll<io::Result<usize>> {
        loop {
            std::task::ready!(self.poll_read_ready(cx))?;
            match self.try_read(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    /// Writes what there is room for.
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            std::task::ready!(self.poll_write_ready(cx))?;
            match self.try_write(bufs) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    /// Waits until there is something to read.
    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(socket) => socket.poll_read_ready(cx),
            Self::Unix(socket) => socket.poll_read_ready(cx),
        }
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(socket) => socket.poll_write_ready(cx),
            Self::Unix(socket) => socket.poll_write_ready(cx),
        }
    }

    /// A read that leaves room in `buf` has taken all there was, so the next one waits for the kernel to say that
    /// there is more, and doesn't ask: one system call less for each request. Tokio does the same for reads through
    /// a `&mut TcpStream`, which a shared socket has none of. To say "would block" here is how that is told.
    fn try_read(&self, buf: &mut impl BufMut) -> io::Result<usize> {
        let room = buf.chunk_mut().len();
        let mut taken = 0;
        let all = |read: usize| if read > 0 && read < room { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) };
        let result = match self {
            Self::Tcp(socket) => socket.try_io(Interest::READABLE, || {
                taken = socket.try_read_buf(buf)?;
                all(taken)
            }),
            Self::Unix(socket) => socket.try_io(Interest::READABLE, || {
                taken = socket.try_read_buf(buf)?;
                all(taken)
            }),
        };
        match result {
            Err(_) if taken > 0 => Ok(taken),
            result => result.map(|()| taken),
        }
    }

    /// Writes what there is room for now.
    pub(crate) fn try_write(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match (self, bufs) {
            (Self::Tcp(socket), [buf]) => socket.try_write(buf),
            (Self::Unix(socket), [buf]) => socket.try_write(buf),
            (Self::Tcp(socket), _) => socket.try_write_vectored(bufs),
            (Self::Unix(socket), _) => socket.try_write_vectored(bufs),
        }
    }

    /// Says that nothing more will be sent. What was written still goes out.
    pub(crate) fn finish(&self) -> io::Result<()> {
        Ok(rustix::net::shutdown(self, Shutdown::Write)?)
    }

    /// Ends it both ways: whoever waits to read or write on it is woken.
    pub(crate) fn cut(&self) {
        // It may be shut already.
        _ = rustix::net::shutdown(self, Shutdown::Both);
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
