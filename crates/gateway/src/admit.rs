//! From a request's head to the decision: an answer of ours, or on to an upstream.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use http::{HeaderValue, StatusCode, Version, header};
use pingora_proxy::Session;
use tidegate_core::erased::head_of;
use tidegate_core::facts::{Country, Facts};
use tidegate_core::{AnsweredBy, Connection, Flow, Params, Reply, Request, Routed, Scheme};
use tidegate_listener::Conn;

use crate::cache::{Refresh, Trip};
use crate::chain::{HookFailed, How, panic_text};
use crate::client;
use crate::exchange::{Exchange, InFlight};
use crate::forward::{BodySoFar, Tries};
use crate::generation::{Generation, Service};
use crate::proxy::{deadline, hook_failed};
use crate::shared::Shared;

/// What is known before anything is decided.
pub(crate) fn begin(shared: &Shared, session: &Session) -> Exchange {
    let generation = shared.current.load_full();
    let conn = Conn::of(session.digest()).cloned();
    let connection = match &conn {
        Some(conn) => conn.connection().clone(),
        None => foreign(session),
    };
    let headers = &session.req_header().headers;
    let origin = generation.trusted.resolve(connection.peer.map(|peer| peer.ip()), headers);
    let own = if connection.tls.is_some() { Scheme::Https } else { Scheme::Http };
    let mut facts = Facts::new(generation.request_ids.of(headers, origin.trusted), origin.client);
    if let Some(header) = generation.country_header.as_ref().filter(|_| origin.trusted) {
        facts.country = headers.get(header).and_then(|value| Country::parse(value.as_bytes()));
    }
    let request = Request {
        facts,
        params: Params::default(),
        path: None,
        scheme: client::scheme(own, origin.trusted, headers),
        connection,
        started: Instant::now(),
        body: None,
    };
    Exchange { conn, ..exchange(shared, generation, request, origin.trusted) }
}

fn exchange(shared: &Shared, generation: Arc<Generation>, request: Request, trusted: bool) -> Exchange {
    Exchange {
        generation,
        route: None,
        request,
        conn: None,
        trusted,
        draining: shared.draining.clone(),
        tries: Tries::default(),
        cache: Trip::default(),
        body: BodySoFar::default(),
        copy: None,
        pending: None,
        answered_by: AnsweredBy::Nobody,
        response_seen: false,
        body_expected: None,
        cause: None,
        code: None,
        status: 499,
        deadline: None,
        in_flight: Some(InFlight::new(&shared.in_flight)),
    }
}

/// A request of the gateway's own: it goes on where the one on whose behalf it goes was let through.
pub(crate) fn renew(shared: &Shared, session: &Session, refresh: Refresh) -> Exchange {
    let connection = Conn::of(session.digest()).map_or_else(|| foreign(session), |conn| conn.connection().clone());
    let request = Request {
        facts: refresh.facts,
        params: refresh.params,
        path: refresh.path,
        scheme: refresh.scheme,
        connection,
        started: Instant::now(),
        body: None,
    };
    let mut exchange = exchange(shared, refresh.generation, request, refresh.trusted);
    exchange.route = refresh.route;
    exchange.cache = refresh.trip;
    exchange.deadline = refresh.deadline.or_else(|| deadline(exchange.route().limits.request));
    if exchange.cache.reports() {
        exchange.in_flight = refresh.in_flight;
    }
    exchange
}

/// A connection that another listener than ours accepted.
fn foreign(session: &Session) -> Arc<Connection> {
    let inet = |addr: Option<&pingora_core::protocols::l4::socket::SocketAddr>| addr.and_then(|a| a.as_inet().copied());
    let tls = None;
    Arc::new(Connection {
        listener: "foreign".into(),
        peer: inet(session.client_addr()),
        local: inet(session.server_addr()),
        tls,
    })
}

/// Decides: `None` sends the request to an upstream.
pub(crate) async fn admit(session: &mut Session, exchange: &mut Exchange) -> Option<Reply> {
    if let Some(reply) = malformed(session).or_else(|| too_many_fields(session, exchange)) {
        return Some(reply);
    }
    if let Some(reply) = redirect_https(session, exchange) {
        return Some(reply);
    }
    // A request without a route goes through every plugin's default policy too: who isn't let in isn't told which
    // routes there are, and floods of 404s are counted.
    let instead = route(session, exchange);
    let limits = exchange.route().limits;
    exchange.deadline = deadline(limits.request);
    if announced(session) > limits.body {
        return Some(too_large());
    }
    let (route, mut cx) = exchange.hooks(session);
    match route.chain.request(&mut cx).await {
        Ok(Flow::Continue) => {}
        Ok(Flow::Respond(reply)) => return Some(reply),
        Err(failed) => return Some(hook_failed(exchange, &failed)),
    }
    match instead {
        Some(reply) => Some(reply),
        None => endpoint(session, exchange).await,
    }
}

/// Finds the route; the reply is what the router has to say where there is none.
fn route(session: &Session, exchange: &mut Exchange) -> Option<Reply> {
    let head = head_of(session, &exchange.request);
    match exchange.generation.router.route(&head) {
        Routed::Found(found) => {
            exchange.route = Some(found.route);
            exchange.request.params = found.params;
            exchange.request.path = found.path;
            None
        }
        Routed::Respond(reply) => Some(reply),
        Routed::None => Some(Reply::not_found("there is nothing here")),
    }
}

/// The endpoint's answer, where the route has one.
async fn endpoint(session: &mut Session, exchange: &mut Exchange) -> Option<Reply> {
    let (route, mut cx) = exchange.hooks(session);
    let Service::Endpoint(endpoint) = &route.serve else { return None };
    let failed = match AssertUnwindSafe(endpoint.serve(&mut cx)).catch_unwind().await {
        Ok(Ok(reply)) => return Some(reply),
        Ok(Err(error)) => How::Error(error),
        Err(panic) => How::Panic(panic_text(&*panic)),
    };
    let failed = HookFailed { plugin: "endpoint", how: failed };
    let _ = hook_failed(exchange, &failed);
    Some(Reply::problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the gateway failed"))
}

/// What Pingora lets through and we don't, whoever accepted the connection.
fn malformed(session: &Session) -> Option<Reply> {
    let head = session.req_header();
    if !head.raw_path_is_utf8() {
        return Some(Reply::bad_request("bad_path", "the path is not valid").close());
    }
    let named = head.uri.authority().is_some() || head.headers.contains_key(header::HOST);
    // RFC 9112 section 3.2: a server must answer 400 to an HTTP/1.1 request without Host.
    (head.version >= Version::HTTP_11 && !named)
        .then(|| Reply::bad_request("no_host", "the request has no Host").close())
}

/// The listener counts fields of HTTP/1; those of HTTP/2 it can't see.
fn too_many_fields(session: &Session, exchange: &Exchange) -> Option<Reply> {
    if !session.is_http2() {
        return None;
    }
    let rule = exchange.generation.listener(&exchange.connection().listener)?;
    // Where the authority is no field, it becomes one on the way to an upstream.
    let headers = &session.req_header().headers;
    let fields = headers.len() + usize::from(!headers.contains_key(header::HOST));
    (fields > rule.max_fields).then(|| {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        Reply::problem(status, "too_many_headers", "the request has too many header fields")
    })
}

/// `redirect_https` of the listener.
fn redirect_https(session: &Session, exchange: &Exchange) -> Option<Reply> {
    if exchange.request.scheme == Scheme::Https {
        return None;
    }
    let status = exchange.generation.listener(&exchange.connection().listener)?.redirect_https?;
    let head = head_of(session, &exchange.request);
    let target = session.req_header().uri.path_and_query().map_or("/", |target| target.as_str());
    let location = HeaderValue::try_from(["https://", head.host(), target].concat());
    Some(match location {
        Ok(location) if !head.host().is_empty() => Reply::redirect(status, location),
        _ => Reply::bad_request("no_host", "the request has no Host").close(),
    })
}

/// The body's length, as far as the head says it.
pub(crate) fn announced(session: &Session) -> u64 {
    let length = session.req_header().headers.get(header::CONTENT_LENGTH);
    length.and_then(|length| length.to_str().ok()?.parse().ok()).unwrap_or(0)
}

/// A body longer than the route allows. Closed, because what is left of it won't be read.
pub(crate) fn too_large() -> Reply {
    Reply::problem(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "the request's body is too long").close()
}
