//! One request on a connection of its own.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::Method;

use crate::{Answer, Call, Certs, Client, Download, H2Client, call};

/// The version of HTTP that a request is sent by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Http {
    /// HTTP/1.1.
    One,
    /// HTTP/2: by prior knowledge, or by ALPN over TLS.
    Two,
}

impl Http {
    /// Each of them, for tests that must hold for both.
    pub const BOTH: [Http; 2] = [Http::One, Http::Two];
}

/// A request to be completed and sent.
#[derive(Debug)]
pub struct Request<'a> {
    addr: SocketAddr,
    call: Call,
    http: Http,
    tls: Option<(&'a Certs, &'a str)>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(addr: SocketAddr, method: Method, path: &str) -> Self {
        Self { addr, call: call(method, path), http: Http::One, tls: None }
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { call: self.call.header(name, value), ..self }
    }

    /// Asks for this host.
    #[must_use]
    pub fn host(self, host: impl Into<String>) -> Self {
        Self { call: self.call.host(host), ..self }
    }

    /// Sends a body with its `Content-Length`.
    #[must_use]
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self { call: self.call.body(body), ..self }
    }

    /// Sends a body in these chunks or frames, its length unsaid.
    #[must_use]
    pub fn chunks<B: Into<Bytes>>(self, chunks: impl IntoIterator<Item = B>) -> Self {
        Self { call: self.call.chunks(chunks), ..self }
    }

    /// Sends `length` bytes of the [`pattern`](crate::pattern()).
    #[must_use]
    pub fn generated(self, length: u64) -> Self {
        Self { call: self.call.generated(length), ..self }
    }

    /// Sends `length` bytes of the [`pattern`](crate::pattern()), their number unsaid.
    #[must_use]
    pub fn generated_chunked(self, length: u64) -> Self {
        Self { call: self.call.generated_chunked(length), ..self }
    }

    /// To another listener.
    #[must_use]
    pub fn to(self, addr: SocketAddr) -> Self {
        Self { addr, ..self }
    }

    /// By this version of HTTP.
    #[must_use]
    pub fn by(self, http: Http) -> Self {
        Self { http, ..self }
    }

    /// By HTTP/2.
    #[must_use]
    pub fn h2(self) -> Self {
        self.by(Http::Two)
    }

    /// Over TLS, asking for `name`.
    #[must_use]
    pub fn tls(self, certs: &'a Certs, name: &'a str) -> Self {
        Self { tls: Some((certs, name)), ..self }
    }

    /// Sends it, and reads the answer; panics when there is none.
    pub async fn send(self) -> Answer {
        self.try_send().await.unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    /// Sends it, and reads the answer; an error when the connection ends before the answer does.
    pub async fn try_send(self) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        match (self.http, self.tls) {
            (Http::One, None) => Ok(Client::connect(self.addr).await.try_send(self.call).await?),
            (Http::One, Some((certs, name))) => {
                Ok(Client::tls(self.addr, name, certs).await.try_send(self.call).await?)
            }
            (Http::Two, None) => Ok(H2Client::connect(self.addr).await.try_send(self.call).await?),
            (Http::Two, Some((certs, name))) => {
                Ok(H2Client::tls(self.addr, name, certs).await.try_send(self.call).await?)
            }
        }
    }

    /// Sends it, and checks the answer's body against the [`pattern`](crate::pattern()) without keeping it.
    pub async fn download(self) -> Download {
        match (self.http, self.tls) {
            (Http::One, None) => Client::connect(self.addr).await.download(self.call).await,
            (Http::One, Some((certs, name))) => Client::tls(self.addr, name, certs).await.download(self.call).await,
            (Http::Two, None) => H2Client::connect(self.addr).await.download(self.call).await,
            (Http::Two, Some((certs, name))) => H2Client::tls(self.addr, name, certs).await.download(self.call).await,
        }
    }
}

/// What came back for bytes that need not be HTTP.
#[derive(Debug, Clone)]
pub struct RawAnswer {
    /// All of it.
    pub bytes: Bytes,
    /// Whether the gateway ended the connection.
    pub closed: bool,
}

/// So many turns, each so long, a connection may stay silent before we believe that it stays open. Not one long time:
/// while the whole process is held up a time passes, and the gateway does nothing; of the turns only one does.
const TURNS: usize = 40;
const TURN: Duration = Duration::from_millis(50);

impl RawAnswer {
    /// Ends when the gateway closes the connection, or says nothing more for two seconds.
    pub(crate) async fn to(addr: SocketAddr, bytes: &[u8]) -> Self {
        let mut client = Client::connect(addr).await;
        // It may be gone before it has read everything: what it said before that is what counts.
        let _ = client.try_write(bytes).await;
        let mut all = Vec::new();
        let mut silent = 0;
        while silent < TURNS {
            match tokio::time::timeout(TURN, client.bytes(1)).await {
                Ok(piece) if piece.is_empty() => return Self { bytes: all.into(), closed: true },
                Ok(piece) => {
                    all.extend_from_slice(&piece);
                    silent = 0;
                }
                Err(_) => silent += 1,
            }
        }
        Self { bytes: all.into(), closed: false }
    }

    /// The status of the first answer; `None` when there was none.
    pub fn status(&self) -> Option<u16> {
        self.statuses().first().copied()
    }

    /// The status of each answer, as far as status lines can be found at the beginnings of lines.
    pub fn statuses(&self) -> Vec<u16> {
        let lines = self.bytes.split(|byte| *byte == b'\n');
        let status = |line: &[u8]| {
            let rest = line.strip_prefix(b"HTTP/1.1 ").or_else(|| line.strip_prefix(b"HTTP/1.0 "))?;
            std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok()
        };
        lines.filter_map(status).collect()
    }

    /// All of it as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}
