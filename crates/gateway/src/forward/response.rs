//! The answer on its way back.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, Version, header, response};
use pingora_cache::CachePhase;
use pingora_error::{Error, ErrorType};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use tidegate_core::erased::head_of;
use tidegate_core::{AnsweredBy, Cx, Reply};

use super::affinity::sticky_value;
use super::choose::timed_out;
use super::{ADDED_FIELDS, Fallible, retry};
use crate::cache;
use crate::chain::{Chain, HookFailed};
use crate::exchange::Exchange;
use crate::proxy::{hook_failed, refuse};
use crate::respond::respond;

/// The upstream's head, as it came.
pub(crate) fn upstream_response(
    session: &mut Session,
    exchange: &mut Exchange,
    head: &mut ResponseHeader,
) -> Fallible<()> {
    if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS {
        return interim(exchange);
    }
    if head.status == StatusCode::SWITCHING_PROTOCOLS && !session.is_upgrade_req() {
        // The client would take what follows for whatever the upstream likes.
        return Err(Error::explain(ErrorType::H1Error, "switches protocols unasked").into_up());
    }
    exchange.tries.answered(head.status, &head.headers);
    if let Some(another_try) = retry::unwanted(session, exchange) {
        return Err(another_try);
    }
    kept(session, exchange, head)
}

/// The head of the answer that the client is to get.
pub(super) fn kept(session: &mut Session, exchange: &mut Exchange, head: &mut ResponseHeader) -> Fallible<()> {
    // Before the chain: what the upstream has done is done, whatever a plugin makes of its answer.
    if !session.req_header().method.is_safe() {
        changed(session, exchange, head)?;
    }
    let (route, mut cx) = exchange.hooks(session);
    if let Err(failed) = route.chain.upstream_response(&mut cx, head) {
        let reply = hook_failed(exchange, &failed);
        return Err(refuse(exchange, reply));
    }
    cache::confirmed(session, exchange, head);
    let status = head.status;
    if exchange.generation.error_pages.intercepts(status.as_u16()) {
        exchange.failed("the upstream's error page was replaced");
        let detail = status.canonical_reason().unwrap_or("error");
        return Err(refuse(exchange, Reply::problem(status, "upstream_error", detail)));
    }
    Ok(())
}

/// An unsafe request has been answered: what is stored of its target may be so no longer.
fn changed(session: &mut Session, exchange: &mut Exchange, head: &ResponseHeader) -> Fallible<()> {
    let generation = exchange.generation.clone();
    for watcher in &generation.invalidates {
        let (_, mut cx) = exchange.hooks(session);
        if let Err(failed) = watcher.answered(&mut cx, head) {
            let reply = hook_failed(exchange, &failed);
            return Err(refuse(exchange, reply));
        }
    }
    Ok(())
}

/// A 1xx before the answer. Pingora would pass them on for ever.
fn interim(exchange: &mut Exchange) -> Fallible<()> {
    exchange.tries.interim = exchange.tries.interim.saturating_add(1);
    match exchange.tries.interim > MAX_INTERIM {
        true => Err(Error::explain(ErrorType::H1Error, "more than 32 informational answers").into_up()),
        false => Ok(()),
    }
}

/// How many 1xx answers may come before the answer. One or two are usual.
const MAX_INTERIM: u8 = 32;

/// The head on its way to the client.
pub(crate) async fn response(
    session: &mut Session,
    exchange: &mut Exchange,
    head: &mut ResponseHeader,
) -> Fallible<()> {
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        upgraded(session, exchange);
    } else if head.status.is_informational() || exchange.cache.renews {
        return Ok(());
    }
    // From here on both sides may be silent for as long as they like: gRPC streams are.
    exchange.body_expected = None;
    exchange.answered_by = AnsweredBy::Upstream;
    cache::settle(session, exchange, head.status);
    exchange.status = head.status.as_u16();
    if exchange.cache.reports() {
        if let Some(cookie) = sticky_cookie(session, exchange) {
            head.append_header(header::SET_COOKIE, cookie)?;
        }
        cache::own_answered(exchange);
        return Ok(());
    }
    let mut parts = response_parts(head);
    // The version is ours to say, not the upstream's (RFC 9110 section 2.5).
    parts.version = parts.version.max(Version::HTTP_11);
    if session.req_header().version < Version::HTTP_11 {
        unchunk(session, &mut parts.headers);
    }
    // About the connection to the upstream (RFC 9110 section 7.6.1); the rest of that kind Pingora sees to.
    parts.headers.remove("keep-alive");
    if exchange.draining() {
        session.set_keepalive(None);
    }
    let id = exchange.request.facts.request_id.as_header().clone();
    parts.headers.insert(exchange.generation.request_ids.header(), id);
    if let Some(cookie) = sticky_cookie(session, exchange) {
        parts.headers.append(header::SET_COOKIE, cookie);
    }
    *head = ResponseHeader::from(parts);
    exchange.response_seen = true;
    let (route, mut cx) = exchange.hooks(session);
    match route.chain.response(&mut cx, head).await {
        Ok(()) => Ok(()),
        Err(failed) => {
            let stored = session.cache.enabled() && is_stored(session.cache.phase());
            cache::unsent(exchange);
            let reply = hook_failed(exchange, &failed);
            if !stored {
                return Err(refuse(exchange, reply));
            }
            // Of what comes from the store Pingora would answer itself, in its own words, and close.
            Box::pin(respond(session, exchange, reply.close())).await?;
            Err(Error::explain(ErrorType::InternalError, "a plugin has failed on a stored answer"))
        }
    }
}

/// Whether the upstream has no part in the answer.
fn is_stored(phase: CachePhase) -> bool {
    matches!(phase, CachePhase::Hit | CachePhase::Stale | CachePhase::StaleUpdating)
}

/// The cookie that brings the client back to this target, unless it has it.
fn sticky_cookie(session: &Session, exchange: &Exchange) -> Option<HeaderValue> {
    let (picked, pool) = (exchange.tries.picked.as_ref()?, exchange.tries.pool.as_ref()?);
    if pool.sticky_cookie().is_none() || exchange.status == StatusCode::SWITCHING_PROTOCOLS {
        return None;
    }
    let sent = sticky_value(pool, &head_of(session, &exchange.request));
    picked.set_cookie(sent).cloned()
}

/// As [`super::request::request_parts`], the other way. A reason phrase of the upstream's own goes too: a client is to ignore it
/// (RFC 9112 section 4).
fn response_parts(head: &mut ResponseHeader) -> response::Parts {
    let nothing = http::Response::new(()).into_parts().0;
    let mut parts: response::Parts = std::mem::replace(head, ResponseHeader::from(nothing)).into();
    parts.headers.reserve(ADDED_FIELDS);
    parts
}

/// Another protocol from here on: silence is normal on it, so no read deadline, and no idle one.
fn upgraded(session: &mut Session, exchange: &Exchange) {
    session.set_read_timeout(None);
    if let Some(conn) = &exchange.conn {
        conn.set_upgraded();
    }
}

/// HTTP/1.0 knows no chunks (RFC 9112 section 6.1): the body ends with the connection.
fn unchunk(session: &mut Session, headers: &mut HeaderMap) {
    if headers.remove(header::TRANSFER_ENCODING).is_some() || !headers.contains_key(header::CONTENT_LENGTH) {
        session.set_keepalive(None);
    }
}

/// One piece of the upstream's body, before a cache has it.
pub(crate) fn upstream_response_body(
    session: &mut Session,
    exchange: &mut Exchange,
    body: &mut Option<Bytes>,
    end: bool,
) -> Fallible<()> {
    through_chain(session, exchange, body, end, Chain::upstream_response_body)
}

/// One piece of the answer's body.
pub(crate) fn response_body(
    session: &mut Session,
    exchange: &mut Exchange,
    body: &mut Option<Bytes>,
    end: bool,
) -> Fallible<()> {
    if session.was_upgraded() || exchange.cache.is_own() {
        return Ok(());
    }
    if exchange.time_left().is_some_and(|left| left.is_zero()) {
        exchange.failed("the request's time is up");
        return Err(refuse(exchange, timed_out()));
    }
    through_chain(session, exchange, body, end, Chain::response_body)
}

/// Trailers end a body without a piece that says so, and plugins hear of its end all the same. What one of them has held
/// back until now can't go out any more: then the answer is cut off, for nobody may take it for whole, nor store it.
pub(crate) fn ended_by_trailers(session: &mut Session, exchange: &mut Exchange) -> Fallible<()> {
    let mut rest = None;
    upstream_response_body(session, exchange, &mut rest, true)?;
    response_body(session, exchange, &mut rest, true)?;
    match rest {
        None => Ok(()),
        Some(_) => {
            Err(Error::explain(ErrorType::InternalError, "a plugin held back the end of a body that has trailers"))
        }
    }
}

fn through_chain(
    session: &mut Session,
    exchange: &mut Exchange,
    body: &mut Option<Bytes>,
    end: bool,
    hook: impl FnOnce(&Chain, &mut Cx<'_>, &mut Bytes, bool) -> Result<(), HookFailed>,
) -> Fallible<()> {
    if session.was_upgraded() || exchange.route().chain.steps().is_empty() {
        return Ok(());
    }
    let mut piece = body.take().unwrap_or_default();
    let (route, mut cx) = exchange.hooks(session);
    let result = hook(&route.chain, &mut cx, &mut piece, end);
    *body = (!end || !piece.is_empty()).then_some(piece);
    result.map_err(|failed| {
        let reply = hook_failed(exchange, &failed);
        refuse(exchange, reply)
    })
}
