//! The client's end of a TLS connection.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certs::Certs;

/// Connects, verifies the certificate for `name` with the kit's authority, and offers `alpn` alone.
pub(super) async fn connect(addr: SocketAddr, name: &str, certs: &Certs, alpn: &[u8]) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(addr).await.unwrap_or_else(|error| panic!("{addr}: {error}"));
    let name = ServerName::try_from(name.to_owned()).expect("a server name");
    let connector = TlsConnector::from(Arc::new(certs.client_config(&[alpn])));
    connector.connect(name, stream).await.unwrap_or_else(|error| panic!("TLS with {addr}: {error}"))
}
