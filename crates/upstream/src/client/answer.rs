//! What came back.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use pingora_core::protocols::http::client::HttpSession;
use pingora_http::ResponseHeader;
use tokio::time::timeout;

use super::deadline::Deadline;
use super::error::exchanging;
use super::{ClientError, Link};

/// An answer whose head has come. Dropped, it closes the connection, or resets the HTTP/2 stream;
/// [`done`](Self::done) leaves the connection to later requests.
pub struct Answer {
    /// The final head.
    pub head: ResponseHeader,
    link: Link,
    /// How long to wait for the next piece of the body.
    idle: Duration,
    /// Whether the body has come to its end.
    ended: bool,
}

/// For peers without a read timeout.
const READ: Duration = Duration::from_secs(60);

impl Answer {
    pub(super) fn new(head: ResponseHeader, link: Link) -> Self {
        let idle = link.peer.options.read_timeout.unwrap_or(READ);
        Self { head, link, idle, ended: false }
    }

    /// Whether the connection had carried a request before.
    pub fn reused(&self) -> bool {
        self.link.reused
    }

    /// How long [`chunk`](Self::chunk) and [`trailers`](Self::trailers) wait, in place of the peer's read timeout.
    pub fn set_idle(&mut self, idle: Duration) {
        self.idle = idle;
    }

    /// The next piece of the body, never an empty one; `None` at its end.
    ///
    /// # Errors
    /// The body broke off, or nothing more came for too long. There is nothing more to read then.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        if self.ended {
            return Ok(None);
        }
        let read = timeout(self.idle, read(&mut self.link)).await;
        let read = read.unwrap_or_else(|_| Err(self.stalled()));
        match &read {
            Ok(Some(_)) => {}
            Ok(None) => self.ended = true,
            Err(_) => drop(self.link.session.take()),
        }
        read
    }

    /// The fields after the body, of which HTTP/1.1 has none here. To be called when the body has been read.
    ///
    /// # Errors
    /// They didn't come.
    pub async fn trailers(&mut self) -> Result<Option<HeaderMap>, ClientError> {
        let idle = self.idle;
        let HttpSession::H2(stream) = self.link.session()? else { return Ok(None) };
        match timeout(idle, stream.read_trailers()).await {
            Ok(read) => read.map_err(|error| exchanging(&error)),
            Err(_) => Err(self.stalled()),
        }
    }

    /// The whole body, read within `within`; the connection is left to later requests.
    ///
    /// # Errors
    /// It is larger than `most`, broke off, or took too long.
    pub async fn whole(mut self, most: usize, within: Duration) -> Result<Bytes, ClientError> {
        let deadline = Deadline::after(within);
        let body = deadline.bound(self.collect(most)).await;
        let body = body.ok_or_else(|| deadline.passed("answer not over"))??;
        self.done().await;
        Ok(body)
    }

    /// Reads the body to its end and throws it away, at most `most` bytes of it and no longer than `within`; then
    /// the connection is left to later requests, or closed if that was not all.
    pub async fn discard(mut self, most: usize, within: Duration) {
        let mut left = most;
        let rest = async {
            while let Ok(Some(chunk)) = self.chunk().await {
                left = left.checked_sub(chunk.len())?;
            }
            Some(())
        };
        if Deadline::after(within).bound(rest).await.flatten().is_some() {
            self.done().await;
        }
    }

    /// Leaves the connection to later requests, if the body was read to its end, and closes it otherwise.
    pub async fn done(mut self) {
        if !self.ended && self.is_over() {
            self.ended = true;
        }
        if self.ended {
            self.link.release().await;
        }
    }

    /// Whether there is nothing left of the body, as after `HEAD`, though nobody has read its end.
    fn is_over(&mut self) -> bool {
        self.link.session.as_mut().is_some_and(HttpSession::response_done)
    }

    async fn collect(&mut self, most: usize) -> Result<Bytes, ClientError> {
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if chunk.len() > most.saturating_sub(body.len()) {
                return Err(ClientError::TooLarge(format!("body larger than {most} bytes").into()));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    fn stalled(&self) -> ClientError {
        ClientError::Timeout(format!("answer stalled for {:?}", self.idle).into())
    }
}

async fn read(link: &mut Link) -> Result<Option<Bytes>, ClientError> {
    loop {
        // HTTP/1.1 has empty pieces, where the size of a chunk is split between two packets.
        match link.session()?.read_response_body().await.map_err(|error| exchanging(&error))? {
            Some(chunk) if chunk.is_empty() => {}
            read => return Ok(read),
        }
    }
}
