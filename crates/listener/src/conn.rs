//! A connection as the gateway sees it, from any request on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use pingora_core::protocols::Digest;
use tidegate_core::Connection;

use crate::pulse::Pulse;

/// The connection a request came on. One for all requests of a connection.
#[derive(Debug)]
pub struct Conn {
    connection: Arc<Connection>,
    pulse: Arc<Pulse>,
    upgraded: AtomicBool,
}

impl Conn {
    pub(crate) fn new(connection: Arc<Connection>, pulse: Arc<Pulse>) -> Self {
        Self { connection, pulse, upgraded: AtomicBool::new(false) }
    }

    /// The connection behind `session.digest()`, on HTTP/1 and HTTP/2 alike. `None` if it isn't one of ours.
    pub fn of(digest: Option<&Digest>) -> Option<&Arc<Conn>> {
        digest?.proxy_digest.as_ref()?.user_data.as_ref()?.downcast_ref()
    }

    /// The two ends, and what TLS agreed on.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Says that the gateway waits for more of a request's body, until what is returned is dropped.
    ///
    /// Needed on HTTP/2 only, where nobody else watches for `body_timeout`: the connection is closed when nothing at
    /// all moves on it for that long. Don't hold it while it is the gateway that has nothing to say: a stream that
    /// is open both ways (gRPC) would be cut.
    pub fn expect_body(&self) -> BodyExpected {
        self.pulse.body_expected();
        BodyExpected(self.pulse.clone())
    }

    /// Says that the connection speaks another protocol from now on (101).
    pub fn set_upgraded(&self) {
        self.upgraded.store(true, Relaxed);
    }

    /// Whether the connection speaks another protocol by now.
    pub fn is_upgraded(&self) -> bool {
        self.upgraded.load(Relaxed)
    }

    pub(crate) fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }
}

/// As long as it lives, the gateway waits for a request's body. See [`Conn::expect_body`].
#[derive(Debug)]
#[must_use = "the body is expected only as long as this lives"]
pub struct BodyExpected(Arc<Pulse>);

impl Drop for BodyExpected {
    fn drop(&mut self) {
        self.0.body_done();
    }
}
