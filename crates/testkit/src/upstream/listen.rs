//! Sockets, and what is spoken on them.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};
use tempfile::TempDir;
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

use super::record::{Book, Visit};
use super::{h1, h2};
use crate::certs::Leaf;
use crate::io::BoxIo;

pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, TempDir),
}

impl Socket {
    pub(super) async fn tcp(at: Option<SocketAddr>) -> Self {
        let at = at.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        Self::Tcp(TcpListener::bind(at).await.unwrap_or_else(|error| panic!("{at}: {error}")))
    }

    pub(super) fn unix() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(dir.path().join("upstream.sock")).expect("a socket");
        Self::Unix(listener, dir)
    }

    pub(super) fn addr(&self) -> Option<SocketAddr> {
        match self {
            Socket::Tcp(listener) => Some(listener.local_addr().expect("bound")),
            Socket::Unix(..) => None,
        }
    }

    pub(super) fn path(&self) -> Option<PathBuf> {
        match self {
            Socket::Tcp(_) => None,
            Socket::Unix(_, dir) => Some(dir.path().join("upstream.sock")),
        }
    }

    /// The next connection, and a handle to reset it by.
    async fn accept(&self) -> std::io::Result<(BoxIo, OwnedFd)> {
        match self {
            Socket::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let handle = stream.as_fd().try_clone_to_owned()?;
                Ok((Box::new(stream), handle))
            }
            Socket::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                let handle = stream.as_fd().try_clone_to_owned()?;
                Ok((Box::new(stream), handle))
            }
        }
    }
}

/// What is spoken on a connection.
#[derive(Clone)]
pub(super) struct Protocol {
    tls: Option<TlsAcceptor>,
    h2: bool,
}

impl Protocol {
    pub(super) fn new(tls: Option<&Leaf>, h2: bool) -> Self {
        let alpn: &[&[u8]] = if h2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        let tls = tls.map(|leaf| TlsAcceptor::from(Arc::new(leaf.server_config(alpn))));
        Self { tls, h2 }
    }

    /// The connection as it is spoken, and whether it is HTTP/2.
    async fn begin(&self, stream: BoxIo) -> std::io::Result<(BoxIo, bool)> {
        let Some(acceptor) = &self.tls else { return Ok((stream, self.h2)) };
        let stream = acceptor.accept(stream).await?;
        let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((Box::new(stream), h2))
    }
}

pub(super) async fn serve(socket: Socket, protocol: Protocol, book: Arc<Book>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        // A failed accept is the client's, gone already.
        let Ok((stream, handle)) = socket.accept().await else { continue };
        let visit = Visit::begin(&book);
        connections.spawn(converse(stream, handle, protocol.clone(), book.clone(), visit));
        while connections.try_join_next().is_some() {}
    }
}

/// Errors end the connection; what became of it shows on the other side, and in the book.
async fn converse(stream: BoxIo, handle: OwnedFd, protocol: Protocol, book: Arc<Book>, visit: Visit) {
    let Ok((stream, is_h2)) = protocol.begin(stream).await else { return };
    if is_h2 {
        let _ = h2::serve(stream, book, visit.id).await;
        return;
    }
    let _ = h1::serve(stream, book, visit.id, || reset_on_close(&handle)).await;
}

/// Makes the coming close a reset (RST) instead of an orderly end.
fn reset_on_close(handle: &OwnedFd) {
    // A unix socket has no reset; closing is all there is.
    let _ = set_socket_linger(handle, Some(Duration::ZERO));
}

pub(super) fn bound_but_deaf() -> (OwnedFd, SocketAddr) {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a port");
    let addr = getsockname(&socket).expect("bound").try_into().expect("an IP address");
    (socket, addr)
}
