//! The client's end of a TLS connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certs::Certs;

/// Sends these bytes over TLS and reads until the server closes. What goes wrong in the handshake, or is said after it
/// (a server of TLS 1.3 refuses a client's certificate then), is an error.
pub async fn tls_exchange(addr: SocketAddr, name: &str, config: ClientConfig, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let name = ServerName::try_from(name.to_owned()).expect("a server name");
    let stream = TcpStream::connect(addr).await?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    stream.write_all(bytes).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

/// Connects, verifies the certificate for `name` with the kit's authority, and offers `alpn` alone.
pub(super) async fn connect(addr: SocketAddr, name: &str, certs: &Certs, alpn: &[u8]) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(addr).await.unwrap_or_else(|error| panic!("{addr}: {error}"));
    let name = ServerName::try_from(name.to_owned()).expect("a server name");
    let connector = TlsConnector::from(Arc::new(certs.client_config(&[alpn])));
    connector.connect(name, stream).await.unwrap_or_else(|error| panic!("TLS with {addr}: {error}"))
}
