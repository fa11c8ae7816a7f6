//! Our own failures. A refusal to a client is a [`Reply`](crate::Reply), not an error.

use std::borrow::Cow;
use std::error::Error as StdError;

/// The result of a hook.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whose fault a failure is; decides the status the client gets and the label in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The upstream, or the way there: 502, or 504 when it took too long.
    Upstream,
    /// The client, or the way to it: 400, or nothing when it is gone.
    Downstream,
    /// The gateway, a plugin, or a store it depends on: 500, or 503 before the request was let through.
    Internal,
}

/// A failure of the gateway or of something it depends on.
///
/// The text and the cause go to the log; the client gets a status and the request id.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    side: Side,
    message: Cow<'static, str>,
    #[source]
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A failure of the gateway itself, a plugin or a store.
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Side::Internal, message)
    }

    /// A failure of an upstream.
    pub fn upstream(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Side::Upstream, message)
    }

    /// A failure of the client's side, such as a body that stopped half-way.
    pub fn downstream(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Side::Downstream, message)
    }

    fn new(side: Side, message: impl Into<Cow<'static, str>>) -> Self {
        Self { side, message: message.into(), cause: None }
    }

    /// The same failure with what caused it.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Whose fault it is.
    pub fn side(&self) -> Side {
        self.side
    }
}

/// Pingora's errors keep their side.
impl From<Box<pingora_error::Error>> for Error {
    fn from(error: Box<pingora_error::Error>) -> Self {
        use pingora_error::ErrorSource;
        let side = match error.esource() {
            ErrorSource::Upstream => Side::Upstream,
            ErrorSource::Downstream => Side::Downstream,
            ErrorSource::Internal | ErrorSource::Unset => Side::Internal,
        };
        Self { side, message: Cow::Borrowed("pingora failed"), cause: Some(error) }
    }
}
