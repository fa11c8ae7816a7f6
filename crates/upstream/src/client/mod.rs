//! A small HTTP client: one request to one peer, for what the gateway asks on its own account. Health checks, copies
//! for mirrors, second tries of hedges, and sources of targets.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use pingora_core::connectors::http::Connector;
use pingora_core::protocols::Digest;
use pingora_core::protocols::http::client::HttpSession;
use pingora_core::protocols::tls::SslDigest;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_http::{RequestHeader, ResponseHeader};

mod answer;
mod deadline;
mod error;
mod frame;

pub use answer::Answer;
pub(crate) use deadline::Deadline;
pub use error::ClientError;
pub(crate) use error::{clip, connecting};

use error::exchanging;

/// Sends requests, over HTTP/1.1 or HTTP/2, TLS and unix sockets, as the peer says. Cheap to clone; connections that
/// are kept for later requests are shared with the clones, and with nobody else.
#[derive(Clone)]
pub struct Client {
    connector: Arc<Connector>,
    connections: Connections,
}

/// What becomes of a connection when its request is over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Connections {
    /// It waits for the next request to the same peer.
    Kept,
    /// It is closed.
    Closed,
}

/// A connection on which nothing was sent yet.
#[derive(Debug, Clone, Copy)]
pub struct Connected<'a> {
    /// Whether it has carried a request before.
    pub reused: bool,
    /// Whether HTTP/2 is spoken on it.
    pub http2: bool,
    /// What is known of it: for `Picked::check_tls`.
    pub digest: Option<&'a Digest>,
}

impl<'a> Connected<'a> {
    /// What TLS has agreed on, if it is spoken.
    pub(crate) fn ssl(&self) -> Option<&'a SslDigest> {
        self.digest?.ssl_digest.as_deref()
    }
}

impl Client {
    /// A client that keeps connections. Reads the system's CA certificates: make one, not many.
    pub fn new() -> Self {
        Self { connector: Arc::new(Connector::new(None)), connections: Connections::Kept }
    }

    /// A client that makes a connection for each request and closes it afterwards.
    pub fn without_reuse() -> Self {
        Self { connections: Connections::Closed, ..Self::new() }
    }

    /// Sends a request and waits for the head of the answer, no longer than `within` from connecting on. `Host` is to
    /// be in `head`; `Content-Length` is added where the body needs it. Interim answers (1xx) are passed over.
    /// Dropped before its end, it closes the connection, or resets the stream.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn send(
        &self,
        peer: &HttpPeer,
        head: Box<RequestHeader>,
        body: Option<Bytes>,
        within: Duration,
    ) -> Result<Answer, ClientError> {
        self.send_if(peer, head, body, within, |_| Ok(())).await
    }

    /// The same, for a request that isn't to go over just any connection: `fit` is asked when it stands, and an error
    /// of its ends the request before anything of it was sent.
    ///
    /// # Errors
    /// That of `fit`, or why there is no answer.
    pub async fn send_if(
        &self,
        peer: &HttpPeer,
        head: Box<RequestHeader>,
        body: Option<Bytes>,
        within: Duration,
        fit: impl FnOnce(Connected<'_>) -> Result<(), ClientError> + Send,
    ) -> Result<Answer, ClientError> {
        let deadline = Deadline::after(within);
        let mut link = self.connect(peer, &deadline).await?;
        fit(link.connected())?;
        let exchange = link.exchange(head, body);
        let head = deadline.bound(exchange).await.ok_or_else(|| deadline.passed("no answer"))??;
        Ok(Answer::new(head, link))
    }

    async fn connect(&self, peer: &HttpPeer, deadline: &Deadline) -> Result<Link, ClientError> {
        let mut peer = Box::new(peer.clone());
        if self.connections == Connections::Closed {
            // Pingora keeps an HTTP/2 connection that has room for another stream, so this one has none.
            peer.options.max_h2_streams = 1;
        }
        let session = deadline.bound(self.connector.get_http_session(&*peer)).await;
        let (session, reused) = session.ok_or_else(|| deadline.unconnected())?.map_err(|error| connecting(&error))?;
        Ok(Link { client: self.clone(), peer, session: Some(session), reused })
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

/// A connection, or a stream on one, while a request is on it.
struct Link {
    client: Client,
    peer: Box<HttpPeer>,
    /// `None` once it is of no more use.
    session: Option<HttpSession>,
    reused: bool,
}

impl Link {
    fn connected(&self) -> Connected<'_> {
        let session = self.session.as_ref();
        Connected {
            reused: self.reused,
            http2: session.is_some_and(|session| session.as_http2().is_some()),
            digest: session.and_then(HttpSession::digest),
        }
    }

    /// The session, until it has failed.
    fn session(&mut self) -> Result<&mut HttpSession, ClientError> {
        self.session.as_mut().ok_or_else(|| ClientError::Reset("the connection is closed".into()))
    }

    async fn exchange(
        &mut self,
        mut head: Box<RequestHeader>,
        body: Option<Bytes>,
    ) -> Result<ResponseHeader, ClientError> {
        let session = self.session()?;
        frame::prepare(&mut head, body.as_ref(), session.as_http2().is_some());
        write(session, head, body).await.map_err(|error| exchanging(&error))?;
        read_head(session).await
    }

    /// Leaves the connection to later requests, as far as it is fit for them.
    async fn release(mut self) {
        let keep = self.client.connections == Connections::Kept;
        if let Some(session) = self.session.take().filter(|_| keep) {
            let idle = self.peer.options.idle_timeout.unwrap_or(IDLE);
            self.client.connector.release_http_session(session, &*self.peer, Some(idle)).await;
        }
    }
}

/// How long a connection waits for its next request, for peers that don't say.
const IDLE: Duration = Duration::from_secs(60);

impl Drop for Link {
    /// HTTP/1.1: closes the connection. HTTP/2: resets the stream and leaves the connection to others; without this,
    /// Pingora would count it among those in use, and never close it for being idle.
    fn drop(&mut self) {
        let Some(session @ HttpSession::H2(_)) = self.session.take() else { return };
        // Outside of a runtime, as at the end of the process, there is nobody left to wait with it.
        if self.client.connections == Connections::Kept && tokio::runtime::Handle::try_current().is_ok() {
            let idle = self.peer.options.idle_timeout.unwrap_or(IDLE);
            // This never waits for HTTP/2.
            self.client.connector.release_http_session(session, &*self.peer, Some(idle)).now_or_never();
        }
    }
}

async fn write(session: &mut HttpSession, head: Box<RequestHeader>, body: Option<Bytes>) -> pingora_core::Result<()> {
    let body = body.filter(|body| !body.is_empty());
    if let HttpSession::H2(stream) = session {
        stream.write_request_header(head, body.is_none())?;
        return match body {
            Some(body) => stream.write_request_body(body, true).await,
            None => Ok(()),
        };
    }
    session.write_request_header(head).await?;
    if let Some(body) = body {
        session.write_request_body(body, true).await?;
    }
    session.finish_request_body().await
}

/// More interim answers than anybody has a use for.
const MOST_INTERIM: usize = 16;

/// The largest head that is taken, as Pingora has it for HTTP/1.1.
const LARGEST_HEAD: usize = 1 << 20;

async fn read_head(session: &mut HttpSession) -> Result<ResponseHeader, ClientError> {
    for _ in 0..=MOST_INTERIM {
        session.read_response_header().await.map_err(|error| exchanging(&error))?;
        let head = session.response_header();
        let head = head.ok_or_else(|| ClientError::Protocol("an answer without a head".into()))?;
        match head.status {
            // It ends HTTP on this connection, and nobody asked for that.
            http::StatusCode::SWITCHING_PROTOCOLS => {
                return Err(ClientError::Protocol("switches protocols unasked".into()));
            }
            status if status.is_informational() && session.as_http1().is_some() => {}
            _ if size(head) > LARGEST_HEAD => {
                return Err(ClientError::Protocol("head of the answer larger than 1 MiB".into()));
            }
            _ => return Ok(head.clone()),
        }
    }
    Err(ClientError::Protocol("no answer, but interim answers (1xx) without end".into()))
}

fn size(head: &ResponseHeader) -> usize {
    head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}
