//! The client's connection.

use std::net::SocketAddr;
use std::sync::Arc;

/// The client's connection as the listener saw it; shared by every request on it.
#[derive(Debug)]
pub struct Connection {
    /// The listener's name.
    pub listener: Arc<str>,
    /// The other end: the client, or a proxy in front. `None` on a unix socket.
    pub peer: Option<SocketAddr>,
    /// Our end. `None` on a unix socket.
    pub local: Option<SocketAddr>,
    /// What the TLS handshake agreed on; `None` on a plain connection.
    pub tls: Option<TlsInfo>,
}

/// What a TLS handshake agreed on.
#[derive(Debug, Clone)]
pub struct TlsInfo {
    /// The server name the client asked for (RFC 6066), lower case.
    pub sni: Option<Box<str>>,
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite by its IANA name.
    pub cipher: Box<str>,
    /// The key exchange group, where one was used.
    pub key_exchange: Option<Box<str>>,
    /// The protocol agreed by ALPN (RFC 7301).
    pub alpn: Option<Box<[u8]>>,
    /// The client's own certificate, DER, verified.
    pub client_certificate: Option<Arc<[u8]>>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
}
