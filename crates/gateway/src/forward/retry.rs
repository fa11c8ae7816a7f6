//! How a try ended, and whether there is another.

use h2::Reason;
use pingora_error::{Error, ErrorSource, ErrorType, RetryType};
use pingora_proxy::Session;
use tidegate_upstream::{Failure, TryOutcome, Why};

use super::choose::is_idempotent;
use super::tries::Answer;
use crate::exchange::Exchange;

/// What ends a try whose answer isn't wanted: another one follows.
const TRY_AGAIN: ErrorType = ErrorType::new("TryAgain");

/// No connection could be made: nothing was sent, so another target may be tried, whatever the method.
pub(crate) fn not_connected(session: &mut Session, exchange: &mut Exchange, mut error: Box<Error>) -> Box<Error> {
    use ErrorType as E;
    // What the system didn't give us says nothing of the target.
    let ours = matches!(error.etype(), E::BindError | E::SocketError | E::InternalError);
    let outcome = failed(exchange, Failure::Connect);
    exchange.tries.end(if ours { TryOutcome::Abandoned } else { outcome });
    error.set_retry(again(session, exchange, Why::Failed(Failure::Connect)));
    error
}

/// Something went wrong after a connection stood: at the upstream, at the client, or with us.
pub(crate) fn broken(
    session: &mut Session,
    exchange: &mut Exchange,
    mut error: Box<Error>,
    reused: bool,
) -> Box<Error> {
    // Decided when the answer's head was there.
    if *error.etype() == TRY_AGAIN {
        return error;
    }
    let Some(failure) = failure(&error) else {
        // An answer that we replaced is an answer; what the client or a plugin did says nothing of the target.
        let replaced = exchange
            .tries
            .outcome(&session.req_header().headers)
            .filter(|_| matches!(error.etype(), ErrorType::HTTPStatus(_)));
        exchange.tries.end(replaced.unwrap_or(TryOutcome::Abandoned));
        error.set_retry(false);
        return error;
    };
    let owed = is_owed(session, exchange);
    if owed && *error.etype() == ErrorType::ReadTimedout {
        // It is the client that the target was waiting for. Another one would wait as long.
        exchange.failed("the request's body was not complete within the upstream's read timeout");
        exchange.tries.end(TryOutcome::Abandoned);
        error.esource = ErrorSource::Downstream;
        error.set_retry(false);
        return error;
    }
    let stale = reused && is_stale(&error) && exchange.tries.answer.is_none() && exchange.tries.interim == 0;
    // Servers hang up on clients that don't send what they announced: whoever could make them must not have them left
    // out for it.
    let impatient = owed && failure == Failure::Reset;
    let outcome = if stale || impatient { TryOutcome::Abandoned } else { failed(exchange, failure) };
    let answering = exchange.tries.answer.is_some();
    exchange.tries.end(outcome);
    let again = !answering && (stale && forgive(session, exchange) || again(session, exchange, Why::Failed(failure)));
    error.set_retry(again);
    error
}

/// What a failure says of the target: nothing, if it had only what others have left of the request's time.
pub(super) fn failed(exchange: &Exchange, failure: Failure) -> TryOutcome {
    let late = exchange.tries.hurried && exchange.time_left().is_some_and(|left| left.is_zero());
    if late { TryOutcome::Abandoned } else { TryOutcome::Failed(failure) }
}

/// Whether the client has more of its body to send.
fn is_owed(session: &mut Session, exchange: &Exchange) -> bool {
    !exchange.body.has_ended() && !session.was_upgraded() && !session.as_mut().is_body_empty()
}

/// Whether the answer with this head is not passed on because there will be another try. If so, the error that makes
/// Pingora try again.
pub(super) fn unwanted(session: &mut Session, exchange: &mut Exchange) -> Option<Box<Error>> {
    let Answer { status, grpc } = exchange.tries.answer?;
    let pool = exchange.tries.pool.as_ref()?;
    // A gRPC status in the head is one without a message: nothing has been done that the client would miss.
    let why = match grpc {
        _ if pool.retries_on(status.as_u16()) => Why::Status(status.as_u16()),
        Some(code) if pool.retries_on_grpc(code) => Why::Grpc(code),
        _ => return None,
    };
    if !again(session, exchange, why) {
        return None;
    }
    let permit = exchange.tries.permit.take();
    if let Some(outcome) = exchange.tries.outcome(&session.req_header().headers) {
        exchange.tries.end(outcome);
    }
    exchange.tries.permit = permit;
    let mut error = Error::new(TRY_AGAIN).into_up();
    error.set_retry(true);
    Some(error)
}

/// Asks the pool for leave to try again; it is kept for the next try.
pub(super) fn again(session: &mut Session, exchange: &mut Exchange, why: Why) -> bool {
    let replayable = is_replayable(session, exchange);
    let idempotent = is_idempotent(session);
    if exchange.time_left().is_some_and(|left| left.is_zero()) {
        return false;
    }
    let tries = &mut exchange.tries;
    let Some(pool) = &tries.pool else { return false };
    let tried = tidegate_upstream::Tried { why, retry: tries.retries + 1, sent: tries.sent, idempotent, replayable };
    // The try that asks no longer counts as one.
    tries.permit = None;
    match pool.retry(&tried) {
        Ok(permit) => {
            pool.count_retry(why);
            tries.retries += 1;
            (tries.permit, tries.again, tries.refused) = (Some(permit), Some(why), None);
            true
        }
        Err(no) => {
            pool.count_no_retry(no);
            tries.refused = Some(no);
            false
        }
    }
}

/// A kept connection that was dead already is nobody's failure, and takes no place in the budget: when a server
/// restarts, all its connections are. Once for each request, and only if it may be repeated.
pub(super) fn forgive(session: &mut Session, exchange: &mut Exchange) -> bool {
    let never = exchange.tries.pool.as_ref().is_none_or(|pool| pool.config().retry.attempts == 0);
    if never || exchange.tries.forgiven || !is_idempotent(session) || !is_replayable(session, exchange) {
        return false;
    }
    exchange.tries.forgiven = true;
    exchange.tries.again = Some(Why::Failed(Failure::Reset));
    true
}

/// Whether all that was sent can be sent once more.
fn is_replayable(session: &mut Session, exchange: &Exchange) -> bool {
    let upgrade = session.is_upgrade_req() && exchange.tries.sent;
    let whole = !session.as_ref().retry_buffer_truncated();
    let empty = session.as_mut().is_body_empty();
    !upgrade && whole && exchange.body.is_replayable(empty)
}

/// Pingora's own mark for what a connection that was kept too long does, and a head that could not even be written.
fn is_stale(error: &Error) -> bool {
    error.retry == RetryType::ReusedOnly || *error.etype() == ErrorType::WriteError
}

/// How the upstream failed; `None` if it was somebody else.
pub(crate) fn failure(error: &Error) -> Option<Failure> {
    use ErrorType as E;
    if *error.esource() != ErrorSource::Upstream {
        return None;
    }
    Some(match error.etype() {
        E::HTTPStatus(_) => return None,
        E::ReadTimedout | E::WriteTimedout => Failure::Timeout,
        E::InvalidHTTPHeader | E::H1Error | E::InvalidH2 => Failure::Protocol,
        // TLS that isn't good enough: found once connected, before anything is sent.
        E::InvalidCert => Failure::Connect,
        // It wants HTTP/1.1, and has not begun (RFC 9113 section 7): Pingora will speak that from now on.
        E::H2Downgrade if error.retry == RetryType::Decided(true) => Failure::RefusedStream,
        E::H2Error | E::ReadError | E::WriteError => h2_failure(error).unwrap_or(Failure::Reset),
        _ => Failure::Reset,
    })
}

/// What HTTP/2 knows of it: a stream that was not begun with (RFC 9113 section 8.7).
fn h2_failure(error: &Error) -> Option<Failure> {
    let cause = error.root_cause().downcast_ref::<h2::Error>()?;
    let refused = cause.is_reset() && cause.reason() == Some(Reason::REFUSED_STREAM)
        || cause.is_go_away() && cause.reason() == Some(Reason::NO_ERROR);
    match cause.is_remote() {
        true => refused.then_some(Failure::RefusedStream),
        // Our side found the frames to be wrong.
        false if cause.is_library() => Some(Failure::Protocol),
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(source: ErrorSource, kind: ErrorType) -> Option<Failure> {
        let mut error = Error::new(kind);
        error.esource = source;
        failure(&error)
    }

    #[test]
    fn only_the_upstream_s_own_errors_are_its_failures() {
        use ErrorSource::{Downstream, Internal, Unset, Upstream};
        for (source, kind, expected) in [
            (Upstream, ErrorType::ConnectionClosed, Some(Failure::Reset)),
            (Upstream, ErrorType::ReadError, Some(Failure::Reset)),
            (Upstream, ErrorType::WriteError, Some(Failure::Reset)),
            (Upstream, ErrorType::H2Error, Some(Failure::Reset)),
            (Upstream, ErrorType::ReadTimedout, Some(Failure::Timeout)),
            (Upstream, ErrorType::WriteTimedout, Some(Failure::Timeout)),
            (Upstream, ErrorType::InvalidHTTPHeader, Some(Failure::Protocol)),
            (Upstream, ErrorType::InvalidCert, Some(Failure::Connect)),
            (Upstream, ErrorType::HTTPStatus(503), None),
            (Downstream, ErrorType::ConnectionClosed, None),
            (Downstream, ErrorType::ReadTimedout, None),
            (Internal, ErrorType::InternalError, None),
            (Unset, ErrorType::HTTPStatus(413), None),
        ] {
            assert_eq!(of(source.clone(), kind.clone()), expected, "{source:?} {kind:?}");
        }
    }

    #[test]
    fn what_our_own_side_of_http2_gave_up_was_not_refused_by_the_upstream() {
        let refused = |reason: Reason| {
            let mut error = Error::because(ErrorType::H2Error, "test", h2::Error::from(reason));
            error.esource = ErrorSource::Upstream;
            failure(&error)
        };
        // Made here, so neither is remote: what only looks like a refusal isn't one.
        assert_ne!(refused(Reason::REFUSED_STREAM), Some(Failure::RefusedStream));
        assert_ne!(refused(Reason::NO_ERROR), Some(Failure::RefusedStream));
    }
}
