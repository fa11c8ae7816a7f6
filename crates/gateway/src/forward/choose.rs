//! Which pool, which target, and how long it may take.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode, header};
use pingora_core::upstreams::peer::HttpPeer;
use pingora_error::{Error, ErrorType};
use pingora_proxy::Session;
use tidegate_core::erased::head_of;
use tidegate_core::{Cx, Reply, Split, StickBy};
use tidegate_upstream::{Admitted, NoTarget, Overloaded, Pick, Picked, Pool};

use super::Fallible;
use super::affinity::{hash_of, sticky_value};
use crate::admit::announced;
use crate::cache;
use crate::exchange::Exchange;
use crate::generation::Service;
use crate::proxy::{refuse, shorten};

/// The target for the next try.
pub(crate) async fn choose(session: &mut Session, exchange: &mut Exchange) -> Fallible<Box<HttpPeer>> {
    if exchange.tries.admitted.is_none() {
        enter(session, exchange).await?;
    }
    let pause = exchange.tries.permit.as_ref().map_or(Duration::ZERO, |permit| permit.after);
    if !pause.is_zero() {
        let pause = exchange.time_left().map_or(pause, |left| left.min(pause));
        // Boxed: a first try shall not carry its weight.
        Box::pin(unless_client_leaves(session, tokio::time::sleep(pause))).await?;
    }
    let picked = pick(session, exchange)?;
    let mut peer = match session.is_upgrade_req() {
        true => picked.peer_for_upgrade(),
        false => picked.peer(),
    };
    exchange.tries.begin(picked);
    cache::trying(exchange);
    exchange.body.begin_try();
    if !session.as_mut().is_body_empty() {
        exchange.tries.sending();
    }
    expect_body(session, exchange);
    limit_time(session, exchange, &mut peer)?;
    Ok(peer)
}

/// Finds the request's pool and waits to be let in: once for each request.
pub(super) async fn enter(session: &mut Session, exchange: &mut Exchange) -> Fallible<()> {
    if exchange.tries.pool.is_none() {
        exchange.tries.pool = pool(session, exchange);
    }
    // Taken out for as long as `exchange` is needed too: a clone would be two more atomics for each request.
    let Some(pool) = exchange.tries.pool.take() else { return Err(none(exchange, NoTarget::NoAddress)) };
    let admission = admission(session, &pool, exchange.time_left()).await;
    exchange.tries.pool = Some(pool);
    match admission? {
        Ok(admitted) => {
            exchange.tries.admitted = Some(admitted);
            Ok(())
        }
        Err(why) => Err(overloaded(exchange, why)),
    }
}

async fn admission(
    session: &mut Session,
    pool: &Pool,
    within: Option<Duration>,
) -> Fallible<Result<Admitted, Overloaded>> {
    let mut admission = pin!(pool.admit(within));
    match poll_fn(|cx| Poll::Ready(admission.as_mut().poll(cx))).await {
        Poll::Ready(admission) => Ok(admission),
        Poll::Pending => Box::pin(unless_client_leaves(session, admission)).await,
    }
}

/// Waits, as long as there is somebody to wait for. While a client is sending a body, nobody looks.
async fn unless_client_leaves<T>(session: &mut Session, wait: impl Future<Output = T>) -> Fallible<T> {
    let silent = session.as_mut().is_body_empty();
    tokio::select! {
        biased;
        done = wait => Ok(done),
        gone = session.as_downstream_mut().read_body_or_idle(true), if silent => Err(left(gone)),
    }
}

/// The client has left; what else it may have sent isn't for this request.
pub(crate) fn left<T>(gone: Fallible<T>) -> Box<Error> {
    let error = gone.err().unwrap_or_else(|| Error::explain(ErrorType::ConnectionClosed, "the client has left"));
    error.into_down()
}

/// A target that this request has not been to, if there is one.
pub(super) fn pick(session: &Session, exchange: &mut Exchange) -> Fallible<Picked> {
    untried(session, exchange).map_err(|why| none(exchange, why))
}

/// The same, where it is no failure if there is none.
pub(super) fn untried(session: &Session, exchange: &Exchange) -> Result<Picked, NoTarget> {
    match &exchange.tries.pool {
        Some(pool) => {
            let mut cx = Pick { tried: &exchange.tries.tried, ..Pick::default() };
            if !pool.hash_on().is_empty() || pool.sticky_cookie().is_some() {
                let head = head_of(session, &exchange.request);
                cx.hash = hash_of(pool.hash_on(), &head, &exchange.request.facts);
                cx.sticky = sticky_value(pool, &head);
            }
            pool.pick(&cx)
        }
        None => Err(NoTarget::NoAddress),
    }
}

fn none(exchange: &mut Exchange, why: NoTarget) -> Box<Error> {
    exchange.failed(why.to_string());
    let code = match why {
        NoTarget::Full => "upstream_overloaded",
        NoTarget::NoAddress | NoTarget::Unusable => "no_target",
    };
    let reply = Reply::unavailable(code, "no server can take the request now");
    refuse(exchange, reply.header(header::RETRY_AFTER, HeaderValue::from_static("1")))
}

fn overloaded(exchange: &mut Exchange, why: Overloaded) -> Box<Error> {
    exchange.failed(why.to_string());
    let code = match why {
        Overloaded::BreakerOpen { .. } => "upstream_breaker_open",
        Overloaded::Full | Overloaded::QueueTimeout => "upstream_overloaded",
    };
    let reply = Reply::unavailable(code, "the servers have too much to do now");
    refuse(exchange, reply.header(header::RETRY_AFTER, HeaderValue::from(why.retry_after())))
}

/// HTTP/1 has a read deadline of Pingora's; on HTTP/2 only the listener can see that a client has stalled.
fn expect_body(session: &mut Session, exchange: &mut Exchange) {
    if session.is_http2() && !session.is_body_done() && exchange.body_expected.is_none() {
        exchange.body_expected = exchange.conn.as_ref().map(|conn| conn.expect_body());
    }
}

pub(super) fn pool(session: &Session, exchange: &Exchange) -> Option<Arc<Pool>> {
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

fn hash(what: impl std::hash::Hash) -> u64 {
    use std::hash::Hasher;
    let mut hasher = std::hash::DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// The route's own timeouts, the pool's for a try that isn't the last, and no more than the request has left.
pub(super) fn limit_time(session: &Session, exchange: &mut Exchange, peer: &mut HttpPeer) -> Fallible<()> {
    let limits = exchange.route().limits;
    let left = exchange.time_left();
    if left.is_some_and(|left| left.is_zero()) {
        exchange.failed("the request's time is up");
        return Err(refuse(exchange, timed_out()));
    }
    let each = per_try(session, exchange);
    let plain = limits.connect.is_none() && limits.read.is_none() && limits.write.is_none();
    if plain && left.is_none() && each.connect.is_none() {
        return Ok(());
    }
    let at_most = |limit: Option<Duration>, own: Option<Duration>, each: Option<Duration>| {
        [limit.or(own), left, each].into_iter().flatten().min()
    };
    let own = &peer.options;
    let connect = at_most(limits.connect, own.total_connection_timeout, each.connect);
    let read = at_most(limits.read, own.read_timeout, each.silence);
    let write = at_most(limits.write, own.write_timeout, each.silence);
    let late = limits.request.is_some_and(|all| left.is_some_and(|left| left < all / 2));
    exchange.tries.hurried = late && (connect == left || read == left);
    shorten(peer, connect, read, write);
    Ok(())
}

/// How long a target may be silent before another is tried.
struct PerTry {
    connect: Option<Duration>,
    silence: Option<Duration>,
}

/// `per_try_timeout`, where there may be another try: any request may be sent again while nothing was sent, and after
/// that one that may be repeated.
fn per_try(session: &Session, exchange: &Exchange) -> PerTry {
    let tries = &exchange.tries;
    let retry = tries.pool.as_ref().map(|pool| &pool.config().retry);
    let retry = retry.filter(|retry| retry.per_try_timeout.is_some() && tries.retries < retry.attempts);
    let Some(retry) = retry else { return PerTry { connect: None, silence: None } };
    let timeout = retry.per_try_timeout.map(|timeout| timeout.get());
    let repeatable = (is_idempotent(session) || !retry.idempotent_only)
        && !session.is_upgrade_req()
        && announced(session) <= Cx::REPLAYABLE_BODY as u64;
    PerTry { connect: timeout, silence: timeout.filter(|_| repeatable) }
}

/// RFC 9110 section 9.2.2.
pub(super) fn is_idempotent(session: &Session) -> bool {
    let method = &session.req_header().method;
    method.is_idempotent() && *method != Method::CONNECT
}

pub(crate) fn timed_out() -> Reply {
    Reply::problem(StatusCode::GATEWAY_TIMEOUT, "request_timeout", "the request took too long")
}
