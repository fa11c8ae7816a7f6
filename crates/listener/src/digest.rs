//! What Pingora wants to know about a connection, in its own types.

use std::os::fd::AsRawFd;
use std::sync::Arc;

use pingora_core::protocols::SocketDigest;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::tls::SslDigest;
use pingora_http::ResponseHeader;
use tidegate_core::{Connection, TlsInfo};

use crate::conn::Conn;
use crate::socket::Socket;

/// Carries our [`Conn`] to every hook: the only place in Pingora's digests that is open to others.
pub(crate) fn proxy(conn: &Arc<Conn>) -> ProxyDigest {
    let unused = ResponseHeader::build(200, Some(0)).expect("200 is a status");
    ProxyDigest::new(Box::new(unused), Some(Box::new(conn.clone())))
}

/// With both addresses filled in, Pingora never asks the kernel for them.
pub(crate) fn socket(connection: &Connection, socket: &Socket) -> SocketDigest {
    let digest = SocketDigest::from_raw_fd(socket.as_raw_fd());
    // Fresh cells: setting them can't fail.
    _ = digest.peer_addr.set(connection.peer.map(SocketAddr::Inet));
    _ = digest.local_addr.set(connection.local.map(SocketAddr::Inet));
    _ = digest.original_dst.set(None);
    digest
}

pub(crate) fn ssl(tls: &TlsInfo) -> SslDigest {
    SslDigest::new(tls.cipher.to_string(), tls.version.to_owned(), None, None, Vec::new())
}
