//! To the upstream and back: what each side is to see.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, Version, header, request, response};
use pingora_core::upstreams::peer::HttpPeer;
use pingora_error::{Error, ErrorType};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;
use tidegate_core::erased::head_of;
use tidegate_core::{AnsweredBy, Flow, Reply, Split, StickBy};
use tidegate_upstream::Pick;

use crate::admit::too_large;
use crate::client;
use crate::exchange::Exchange;
use crate::generation::Service;
use crate::proxy::{hook_failed, refuse, shorten};

type Fallible<T> = Result<T, Box<Error>>;

/// How many targets one request is tried on.
const TRIES: usize = 3;

/// The target for the next try.
pub(crate) fn choose(session: &mut Session, exchange: &mut Exchange) -> Fallible<Box<HttpPeer>> {
    if exchange.pool.is_none() {
        exchange.pool = pool(session, exchange);
    }
    let picked = exchange.pool.as_ref().and_then(|pool| pool.pick(&Pick { hash: None, tried: &exchange.tried }));
    let Some(picked) = picked else {
        exchange.failed("no target of the upstream has an address");
        return Err(refuse(exchange, Reply::unavailable("no_target", "no server can take the request now")));
    };
    exchange.tried.push(picked.id());
    // A retry sends the body from its beginning.
    exchange.received = 0;
    let mut peer = match session.is_upgrade_req() {
        true => picked.peer_for_upgrade(),
        false => picked.peer(),
    };
    exchange.picked = Some(picked);
    expect_body(session, exchange);
    limit_time(exchange, &mut peer)?;
    Ok(peer)
}

/// HTTP/1 has a read deadline of Pingora's; on HTTP/2 only the listener can see that a client has stalled.
fn expect_body(session: &mut Session, exchange: &mut Exchange) {
    if session.is_http2() && !session.is_body_done() && exchange.body_expected.is_none() {
        exchange.body_expected = exchange.conn.as_ref().map(|conn| conn.expect_body());
    }
}

fn pool(session: &Session, exchange: &Exchange) -> Option<std::sync::Arc<tidegate_upstream::Pool>> {
    match &exchange.route().serve {
        Service::Pool(pool) => Some(pool.clone()),
        Service::Split(split, pools) => pools.get(split.choose(user(split, session, exchange))).cloned(),
        Service::Endpoint(_) | Service::Nothing => None,
    }
}

/// What the split knows the user by, as a number; a random one for a stranger.
fn user(split: &Split, session: &Session, exchange: &Exchange) -> u64 {
    let head = head_of(session, &exchange.request);
    let known = split.stick_by.iter().find_map(|by| match by {
        StickBy::Header(name) => head.headers.get(name).map(|value| hash(value.as_bytes())),
        StickBy::Cookie(name) => head.cookie(name).map(|value| hash(value.as_bytes())),
        StickBy::Identity => exchange.request.facts.identity.as_ref().map(|id| hash(id.subject().as_bytes())),
        StickBy::Client => Some(hash(head.client)),
    });
    known.unwrap_or_else(rand::random)
}

fn hash(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// The route's own timeouts, and no more than the request has left.
fn limit_time(exchange: &mut Exchange, peer: &mut HttpPeer) -> Fallible<()> {
    let limits = exchange.route().limits;
    let left = exchange.time_left();
    if left.is_some_and(|left| left.is_zero()) {
        exchange.failed("the request's time is up");
        return Err(refuse(exchange, timed_out()));
    }
    if limits.connect.is_none() && limits.read.is_none() && limits.write.is_none() && left.is_none() {
        return Ok(());
    }
    let at_most = |limit: Option<std::time::Duration>, own: Option<std::time::Duration>| {
        [limit.or(own), left].into_iter().flatten().min()
    };
    let own = &peer.options;
    let connect = at_most(limits.connect, own.total_connection_timeout);
    let (read, write) = (at_most(limits.read, own.read_timeout), at_most(limits.write, own.write_timeout));
    shorten(peer, connect, read, write);
    Ok(())
}

fn timed_out() -> Reply {
    Reply::problem(StatusCode::GATEWAY_TIMEOUT, "request_timeout", "the request took too long")
}

/// Whether a target is left that this request has not been to.
pub(crate) fn may_try_another(exchange: &Exchange) -> bool {
    let pool = exchange.pool.as_ref().filter(|_| exchange.tried.len() < TRIES);
    pool.is_some_and(|pool| pool.has_untried(&exchange.tried))
}

/// The head the upstream gets.
pub(crate) fn upstream_request(
    session: &mut Session,
    exchange: &mut Exchange,
    head: &mut RequestHeader,
) -> Fallible<()> {
    let mut parts = request_parts(head);
    normalise_target(exchange, &mut parts)?;
    let authority = head_of(session, &exchange.request).authority;
    let peer = exchange.connection().peer.map(|peer| peer.ip());
    client::forward(exchange.trusted, peer, authority, exchange.request.scheme, &mut parts.headers)
        .map_err(|error| Error::because(ErrorType::InternalError, "X-Forwarded-Host", error))?;
    let id = exchange.request.facts.request_id.as_header().clone();
    parts.headers.insert(exchange.generation.request_ids.header(), id);
    host(exchange, &mut parts);
    *head = RequestHeader::from(parts);
    let (route, mut cx) = exchange.hooks(session);
    match route.chain.upstream_request(&mut cx, head) {
        Ok(()) => Ok(()),
        Err(failed) => {
            let reply = hook_failed(exchange, &failed);
            Err(refuse(exchange, reply))
        }
    }
}

/// Takes the head without the spelling of its field names, which Pingora keeps in a second map that doubles the cost
/// of each field added. The upstream gets them in lower case, as it does with HTTP/2; they mean the same
/// (RFC 9110 section 5.1).
fn request_parts(head: &mut RequestHeader) -> request::Parts {
    let nothing = http::Request::new(()).into_parts().0;
    let mut parts: request::Parts = std::mem::replace(head, RequestHeader::from(nothing)).into();
    parts.headers.reserve(ADDED_FIELDS);
    parts
}

/// How many fields are added to a request, by the gateway and by its plugins, before the map has to grow again.
const ADDED_FIELDS: usize = 8;

/// What was matched is what is sent: an upstream never sees a path that another route would have been for.
fn normalise_target(exchange: &Exchange, parts: &mut request::Parts) -> Fallible<()> {
    let Some(path) = &exchange.request.path else { return Ok(()) };
    let target = match parts.uri.query() {
        Some(query) => [path, "?", query].concat(),
        None => path.to_string(),
    };
    let uri = Uri::builder().path_and_query(target).build();
    parts.uri = uri.map_err(|error| Error::because(ErrorType::InternalError, "normalised path", error))?;
    Ok(())
}

/// `Host` as the pool wants it; HTTP/1.0 may have come without one, and HTTP/1.1 must not go without.
fn host(exchange: &Exchange, parts: &mut request::Parts) {
    let Some(picked) = &exchange.picked else { return };
    let authority = parts.uri.authority().map(|authority| HeaderValue::from_str(authority.as_str()));
    let host = match (picked.host(), authority) {
        (Some(host), _) => host.clone(),
        // An absolute-form target (RFC 9112 section 3.2.2), or HTTP/2: the authority is what Host must say.
        (None, Some(Ok(authority))) => authority,
        (None, _) if parts.headers.contains_key(header::HOST) => return,
        (None, _) => HeaderValue::from_str(picked.target()).unwrap_or(NO_HOST),
    };
    parts.headers.insert(header::HOST, host);
}

const NO_HOST: HeaderValue = HeaderValue::from_static("upstream");

/// One piece of the body on its way to the upstream.
pub(crate) async fn request_body(
    session: &mut Session,
    exchange: &mut Exchange,
    body: &mut Option<Bytes>,
    end: bool,
) -> Fallible<()> {
    if end {
        exchange.body_expected = None;
        // HTTP/2 may end a body with an empty frame. Pingora would write it to an HTTP/1 upstream as a last chunk, and
        // then the last chunk: the second one would stand before the next request on that connection.
        body.take_if(|body| body.is_empty());
    }
    if session.was_upgraded() {
        return Ok(());
    }
    exchange.received += body.as_ref().map_or(0, |body| body.len() as u64);
    if exchange.received > exchange.route().limits.body {
        return Err(refuse(exchange, too_large()));
    }
    if exchange.route().chain.steps().is_empty() {
        return Ok(());
    }
    let mut piece = body.take().unwrap_or_default();
    let (route, mut cx) = exchange.hooks(session);
    let flow = route.chain.request_body(&mut cx, &mut piece, end).await;
    // Nothing in place of a piece would end the body, so a plugin that holds one back leaves an empty piece.
    *body = (!end || !piece.is_empty()).then_some(piece);
    match flow {
        Ok(Flow::Continue) => Ok(()),
        Ok(Flow::Respond(reply)) => Err(refuse(exchange, reply)),
        Err(failed) => {
            let reply = hook_failed(exchange, &failed);
            Err(refuse(exchange, reply))
        }
    }
}

/// The upstream's head, as it came.
pub(crate) fn upstream_response(
    session: &mut Session,
    exchange: &mut Exchange,
    head: &mut ResponseHeader,
) -> Fallible<()> {
    let (route, mut cx) = exchange.hooks(session);
    if let Err(failed) = route.chain.upstream_response(&mut cx, head) {
        let reply = hook_failed(exchange, &failed);
        return Err(refuse(exchange, reply));
    }
    let status = head.status;
    if exchange.generation.error_pages.intercepts(status.as_u16()) {
        exchange.failed("the upstream's error page was replaced");
        let detail = status.canonical_reason().unwrap_or("error");
        return Err(refuse(exchange, Reply::problem(status, "upstream_error", detail)));
    }
    Ok(())
}

/// The head on its way to the client.
pub(crate) async fn response(
    session: &mut Session,
    exchange: &mut Exchange,
    head: &mut ResponseHeader,
) -> Fallible<()> {
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        upgraded(session, exchange);
    } else if head.status.is_informational() {
        return Ok(());
    }
    // From here on both sides may be silent for as long as they like: gRPC streams are.
    exchange.body_expected = None;
    exchange.answered_by = AnsweredBy::Upstream;
    exchange.status = head.status.as_u16();
    let mut parts = response_parts(head);
    // The version is ours to say, not the upstream's (RFC 9110 section 2.5).
    parts.version = parts.version.max(Version::HTTP_11);
    if session.req_header().version < Version::HTTP_11 {
        unchunk(session, &mut parts.headers);
    }
    if exchange.draining() {
        session.set_keepalive(None);
    }
    let id = exchange.request.facts.request_id.as_header().clone();
    parts.headers.insert(exchange.generation.request_ids.header(), id);
    *head = ResponseHeader::from(parts);
    exchange.response_seen = true;
    let (route, mut cx) = exchange.hooks(session);
    match route.chain.response(&mut cx, head).await {
        Ok(()) => Ok(()),
        Err(failed) => {
            let reply = hook_failed(exchange, &failed);
            Err(refuse(exchange, reply))
        }
    }
}

/// As [`request_parts`], the other way. A reason phrase of the upstream's own goes too: a client is to ignore it
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

/// One piece of the answer's body.
pub(crate) fn response_body(
    session: &mut Session,
    exchange: &mut Exchange,
    body: &mut Option<Bytes>,
    end: bool,
) -> Fallible<()> {
    if session.was_upgraded() {
        return Ok(());
    }
    if exchange.time_left().is_some_and(|left| left.is_zero()) {
        exchange.failed("the request's time is up");
        return Err(refuse(exchange, timed_out()));
    }
    if exchange.route().chain.steps().is_empty() {
        return Ok(());
    }
    let mut piece = body.take().unwrap_or_default();
    let (route, mut cx) = exchange.hooks(session);
    let result = route.chain.response_body(&mut cx, &mut piece, end);
    *body = (!end || !piece.is_empty()).then_some(piece);
    result.map_err(|failed| {
        let reply = hook_failed(exchange, &failed);
        refuse(exchange, reply)
    })
}
