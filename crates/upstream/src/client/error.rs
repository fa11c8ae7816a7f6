//! Why a request has no answer.

use std::borrow::Cow;

use pingora_core::{BError, ErrorType, RetryType};

use crate::pick::{Failure, TlsTooOld};

/// Why a request has no answer, or not all of it. Its text is the cause, in a few words, for operators.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// No connection, or none that can be trusted: nothing was sent.
    #[error("{0}")]
    Connect(Cow<'static, str>),
    /// HTTP/2: the server has not begun with the stream: nothing was done.
    #[error("{0}")]
    RefusedStream(Cow<'static, str>),
    /// The connection broke, or the server gave the stream up.
    #[error("{0}")]
    Reset(Cow<'static, str>),
    /// It took too long.
    #[error("{0}")]
    Timeout(Cow<'static, str>),
    /// What came was no HTTP, or what was to be sent is none.
    #[error("{0}")]
    Protocol(Cow<'static, str>),
    /// The body is larger than whoever asked wants it.
    #[error("{0}")]
    TooLarge(Cow<'static, str>),
}

impl ClientError {
    /// As pools count it.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Connect(_) => Failure::Connect,
            Self::RefusedStream(_) => Failure::RefusedStream,
            Self::Reset(_) => Failure::Reset,
            Self::Timeout(_) => Failure::Timeout,
            Self::Protocol(_) | Self::TooLarge(_) => Failure::Protocol,
        }
    }
}

impl From<TlsTooOld> for ClientError {
    fn from(error: TlsTooOld) -> Self {
        Self::Connect(error.to_string().into())
    }
}

/// An error from before the connection stood.
pub(crate) fn connecting(error: &BError) -> ClientError {
    ClientError::Connect(match &error.etype {
        ErrorType::ConnectRefused => "connection refused".into(),
        ErrorType::ConnectTimedout => "connecting timed out".into(),
        ErrorType::ConnectNoRoute => "no route".into(),
        ErrorType::TLSHandshakeTimedout => "TLS handshake timed out".into(),
        ErrorType::TLSHandshakeFailure | ErrorType::InvalidCert => with_cause("TLS handshake failed", error),
        ErrorType::HandshakeError | ErrorType::H2Error => with_cause("HTTP/2 handshake failed", error),
        _ => with_cause("no connection", error),
    })
}

/// An error from when the connection stood. The context that Pingora gives is left out: it quotes what was received,
/// however long.
pub(super) fn exchanging(error: &BError) -> ClientError {
    use ErrorType as E;
    match &error.etype {
        E::ReadTimedout | E::WriteTimedout => ClientError::Timeout("timed out".into()),
        E::Custom("PingTimedout") => ClientError::Timeout("HTTP/2 ping not answered".into()),
        E::ConnectionClosed => ClientError::Reset("connection closed before the answer was over".into()),
        // Of errors on streams, Pingora marks those so that came before the server looked at the request: it has
        // refused the stream, or was about to close the connection (RFC 9113, sections 8.7 and 6.8).
        E::H2Error if error.retry == RetryType::Decided(true) => ClientError::RefusedStream("stream refused".into()),
        E::H2Error => ClientError::Reset(with_cause("stream reset", error)),
        E::ReadError => ClientError::Reset(with_cause("connection broke", error)),
        E::WriteError => ClientError::Reset("connection broke while the request was sent".into()),
        E::InvalidHTTPHeader => ClientError::Protocol("no HTTP, or a head that is invalid or too large".into()),
        E::InvalidH2 => ClientError::Protocol("invalid HTTP/2".into()),
        E::H2Downgrade => ClientError::Protocol("HTTP/1.1 demanded on HTTP/2".into()),
        other => ClientError::Protocol(format!("invalid answer ({})", other.as_str()).into()),
    }
}

/// The longest text that is passed on from elsewhere.
const LONGEST_CAUSE: usize = 160;

fn with_cause(what: &'static str, error: &BError) -> Cow<'static, str> {
    let mut root = error;
    while let Some(inner) = root.cause.as_ref().and_then(|cause| cause.downcast_ref::<BError>()) {
        root = inner;
    }
    match &root.cause {
        Some(cause) => clip(&format!("{what}: {cause}"), LONGEST_CAUSE).into(),
        None => what.into(),
    }
}

/// The beginning of a text, on one line.
pub(crate) fn clip(text: &str, most: usize) -> String {
    text.chars().take(most).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
