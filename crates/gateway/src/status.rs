//! Which status an error of Pingora's is for the client.

use pingora_error::{Error, ErrorSource, ErrorType};
use tidegate_core::{Reply, StatusCode};
use tidegate_upstream::Failure;

use crate::forward::failure;

/// What to do about an error.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Tell the client this.
    Answer(Reply),
    /// There is nobody to tell: logged as 499.
    ClientGone,
}

/// Timeouts of the upstream are 504, other failures of it 502; of the client 408 or 400; our own 500.
pub(crate) fn verdict(error: &Error) -> Verdict {
    use ErrorType as E;
    let reply = match (error.esource(), error.etype()) {
        (_, E::HTTPStatus(code)) => of_code(*code),
        (ErrorSource::Upstream, E::ConnectTimedout | E::TLSHandshakeTimedout | E::ReadTimedout | E::WriteTimedout) => {
            Reply::problem(StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", "the upstream took too long")
        }
        (ErrorSource::Upstream, _) if failure(error) == Some(Failure::Protocol) => {
            Reply::problem(StatusCode::BAD_GATEWAY, "upstream_protocol", "the upstream's answer is not valid HTTP")
        }
        (ErrorSource::Upstream, E::ConnectError | E::ConnectRefused | E::ConnectNoRoute | E::SocketError) => {
            Reply::problem(StatusCode::BAD_GATEWAY, "upstream_refused", "the upstream can't be reached")
        }
        (ErrorSource::Upstream, E::TLSHandshakeFailure | E::InvalidCert | E::HandshakeError) => {
            Reply::problem(StatusCode::BAD_GATEWAY, "upstream_tls", "the upstream can't be trusted")
        }
        (ErrorSource::Upstream, _) => {
            Reply::problem(StatusCode::BAD_GATEWAY, "upstream_failed", "the upstream did not answer")
        }
        (ErrorSource::Downstream, E::ReadTimedout) => {
            Reply::problem(StatusCode::REQUEST_TIMEOUT, "request_timeout", "the request took too long to arrive")
                .close()
        }
        (
            ErrorSource::Downstream,
            E::ReadError | E::WriteError | E::WriteTimedout | E::ConnectionClosed | E::H2Error,
        ) => {
            return Verdict::ClientGone;
        }
        (ErrorSource::Downstream, _) => Reply::bad_request("bad_request", "the request is not valid HTTP").close(),
        (ErrorSource::Internal | ErrorSource::Unset, _) => {
            Reply::problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the gateway failed")
        }
    };
    Verdict::Answer(reply)
}

/// What went wrong, for the log. Pingora quotes a head that it can't read, whole: that may be long, and there may be
/// cookies in it.
pub(crate) fn cause(error: &Error) -> String {
    let quotes = *error.etype() == ErrorType::InvalidHTTPHeader && *error.esource() == ErrorSource::Upstream;
    let text = match &error.cause {
        Some(cause) if quotes => format!("upstream: not an HTTP head: {cause}"),
        _ => error.to_string(),
    };
    match text.char_indices().nth(LONGEST_CAUSE) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// In characters.
const LONGEST_CAUSE: usize = 512;

fn of_code(code: u16) -> Reply {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Reply::problem(status, "error", status.canonical_reason().unwrap_or("error"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(source: ErrorSource, kind: ErrorType) -> Option<u16> {
        let mut error = Error::new(kind);
        error.esource = source;
        match verdict(&error) {
            Verdict::Answer(reply) => Some(reply.status().as_u16()),
            Verdict::ClientGone => None,
        }
    }

    #[test]
    fn each_failure_has_its_status() {
        use ErrorSource::{Downstream, Internal, Upstream};
        for (source, kind, expected) in [
            (Upstream, ErrorType::ConnectTimedout, Some(504)),
            (Upstream, ErrorType::ReadTimedout, Some(504)),
            (Upstream, ErrorType::TLSHandshakeTimedout, Some(504)),
            (Upstream, ErrorType::ConnectRefused, Some(502)),
            (Upstream, ErrorType::InvalidCert, Some(502)),
            (Upstream, ErrorType::ConnectionClosed, Some(502)),
            (Downstream, ErrorType::ReadTimedout, Some(408)),
            (Downstream, ErrorType::ConnectionClosed, None),
            (Downstream, ErrorType::InvalidHTTPHeader, Some(400)),
            (Internal, ErrorType::InternalError, Some(500)),
            (Internal, ErrorType::HTTPStatus(503), Some(503)),
        ] {
            assert_eq!(status(source.clone(), kind.clone()), expected, "{source:?} {kind:?}");
        }
    }
}
