//! What a listener tells about itself.

use std::io;

use tidegate_core::Connection;

use crate::strict::Refusal;

/// Told what happens to connections, to count and to log it.
///
/// Called on the connection's own task, never per request that goes well: be quick, never block, never panic.
/// Every method does nothing by default.
pub trait Events: Send + Sync + 'static {
    /// A connection was accepted on this listener.
    fn connection_opened(&self, listener: &str) {
        _ = listener;
    }

    /// A connection that was opened is over.
    fn connection_closed(&self, listener: &str, reason: CloseReason) {
        _ = (listener, reason);
    }

    /// A connection was turned away because `max_connections` are open. It isn't opened, so it won't be closed.
    fn connection_refused(&self, listener: &str) {
        _ = listener;
    }

    /// A TLS handshake failed; not called when it just took too long.
    fn handshake_failed(&self, listener: &str, error: &io::Error) {
        _ = (listener, error);
    }

    /// A request was refused before anybody looked at it: malformed (400), too slow (408), too large (431).
    /// `request_id` is the one that the client was told.
    fn request_refused(&self, connection: &Connection, refusal: Refusal, request_id: &str) {
        _ = (connection, refusal, request_id);
    }

    /// The listener can't accept for now: out of file descriptors or memory. It tries again by itself.
    fn accept_failed(&self, listener: &str, error: &io::Error) {
        _ = (listener, error);
    }
}

impl Events for () {}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CloseReason {
    /// The client left, or the last response said that it was the last.
    Done,
    /// No request for `idle_timeout`.
    Idle,
    /// No request head within `head_timeout`.
    HeadTimeout,
    /// No TLS handshake within `handshake_timeout`.
    HandshakeTimeout,
    /// The TLS handshake failed.
    HandshakeFailed,
    /// No more of a request body for `body_timeout`.
    BodyTimeout,
    /// What we sent was not taken for `write_timeout`.
    WriteTimeout,
    /// A malformed request, or one that was too large.
    Refused,
    /// The gateway stops, and the connection was idle.
    Drained,
    /// The gateway stopped without waiting for it.
    Aborted,
}

impl CloseReason {
    const ALL: [Self; 10] = [
        Self::Done,
        Self::Idle,
        Self::HeadTimeout,
        Self::HandshakeTimeout,
        Self::HandshakeFailed,
        Self::BodyTimeout,
        Self::WriteTimeout,
        Self::Refused,
        Self::Drained,
        Self::Aborted,
    ];

    /// The reason as a metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Idle => "idle",
            Self::HeadTimeout => "head_timeout",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::HandshakeFailed => "handshake_failed",
            Self::BodyTimeout => "body_timeout",
            Self::WriteTimeout => "write_timeout",
            Self::Refused => "refused",
            Self::Drained => "drained",
            Self::Aborted => "aborted",
        }
    }

    /// The reason that [`CloseReason::label`] and `as u8` know under this number.
    pub(crate) fn from_u8(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Self::Done)
    }
}
