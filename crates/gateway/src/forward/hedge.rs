//! `hedge:` of an upstream: a request that has no answer after a while is sent to a second target, and the first answer
//! counts.
//!
//! Pingora has one upstream at a time, so these requests go by the gateway's own client: those with a safe method and
//! no body, in pools that ask for it. A request that fails goes on to Pingora's tries, like any other.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri, Version, header};
use pingora_core::protocols::ALPN;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_error::{Error, ErrorType};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;
use tidegate_upstream::{Answer, Client, ClientError, Connected, Failure, Picked, TryOutcome, Why};

use super::choose::{enter, left, limit_time, pick, pool, untried};
use super::response::{kept, response, response_body, upstream_response_body};
use super::retry::{again, broken, failed, forgive, unwanted};
use super::{Fallible, request, request_body};
use crate::exchange::Exchange;

/// Whether the request may be sent twice. Settles which pool serves it.
pub(crate) fn is_wanted(session: &mut Session, exchange: &mut Exchange) -> bool {
    if exchange.generation.client.is_none() || !is_fit(session) {
        return false;
    }
    exchange.tries.pool = pool(session, exchange);
    exchange.tries.pool.as_ref().is_some_and(|pool| pool.config().hedge.is_some())
}

fn is_fit(session: &mut Session) -> bool {
    let head = session.req_header();
    let safe = matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS);
    safe && !session.is_upgrade_req()
        && names_nothing(&session.req_header().headers)
        && session.as_mut().is_body_empty()
}

/// Fields that `Connection` names are for Pingora to judge (RFC 9110 section 7.6.1).
fn names_nothing(headers: &HeaderMap) -> bool {
    let tokens =
        headers.get_all(header::CONNECTION).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    tokens.map(<[u8]>::trim_ascii).all(|token| {
        token.is_empty() || token.eq_ignore_ascii_case(b"close") || token.eq_ignore_ascii_case(b"keep-alive")
    })
}

/// Sends the request, perhaps twice, and passes the first answer on. `true`: there is to be another try, Pingora's.
pub(crate) async fn serve(session: &mut Session, exchange: &mut Exchange) -> Fallible<bool> {
    enter(session, exchange).await?;
    let Some(pool) = exchange.tries.pool.clone() else { return Ok(true) };
    let (Some(delay), Some(client)) = (pool.hedge_after(), exchange.generation.client.clone()) else { return Ok(true) };
    let Sent { picked, reused, result } = race(session, exchange, &client, delay).await?;
    exchange.tries.picked = Some(picked);
    let error = match result {
        Ok(answer) => {
            exchange.tries.answered(answer.head.status, &answer.head.headers);
            if unwanted(session, exchange).is_some() {
                return Ok(true);
            }
            let passed = pass_on(session, exchange, answer).await;
            return passed.map(|()| false).map_err(|error| broken(session, exchange, error, false));
        }
        Err(error) => error,
    };
    let failure = error.failure();
    let stale = reused && failure == Failure::Reset;
    let outcome = if stale { TryOutcome::Abandoned } else { failed(exchange, failure) };
    exchange.tries.end(outcome);
    match stale && forgive(session, exchange) || again(session, exchange, Why::Failed(failure)) {
        true => Ok(true),
        false => Err(upstream_error(&error)),
    }
}

/// One of the two, and what came of it.
struct Sent {
    picked: Picked,
    reused: bool,
    result: Result<Answer, ClientError>,
}

/// The first answer that is wanted; without one, the best of what there is.
async fn race(session: &mut Session, exchange: &mut Exchange, client: &Client, delay: Duration) -> Fallible<Sent> {
    let mut under_way = FuturesUnordered::new();
    let picked = pick(session, exchange)?;
    under_way.push(send(client.clone(), begin(session, exchange, picked)?));
    // There is no body, and plugins are told so, as ever; before anything is sent.
    request_body(session, exchange, &mut None, true).await?;
    let first = exchange.tries.tried.clone();
    let delay = tokio::time::sleep(delay);
    tokio::pin!(delay);
    let (mut waits, mut twice) = (true, false);
    let mut aside: Option<Sent> = None;
    loop {
        tokio::select! {
            biased;
            Some(sent) = under_way.next() => {
                let wanted = is_wanted_answer(exchange, &sent);
                if wanted && twice && let Some(pool) = &exchange.tries.pool {
                    pool.count_hedge(!first.contains(&sent.picked.id()));
                }
                match aside.take() {
                    _ if wanted => return Ok(sent),
                    Some(other) if under_way.is_empty() => return Ok(better(exchange, other, sent)),
                    None if under_way.is_empty() => return Ok(sent),
                    _ => aside = Some(sent),
                }
            }
            () = &mut delay, if waits => {
                waits = false;
                if may_send_another(exchange) && let Some(second) = another(session, exchange) {
                    under_way.push(send(client.clone(), second));
                    twice = true;
                }
            }
            gone = session.as_downstream_mut().read_body_or_idle(true) => return Err(left(gone)),
        }
    }
}

fn may_send_another(exchange: &Exchange) -> bool {
    let pool = exchange.tries.pool.as_ref();
    pool.is_some_and(|pool| pool.has_untried(&exchange.tries.tried) && pool.may_hedge())
}

/// Whether this ends the race.
fn is_wanted_answer(exchange: &Exchange, sent: &Sent) -> bool {
    let (Ok(answer), Some(pool)) = (&sent.result, &exchange.tries.pool) else { return false };
    !pool.retries_on(answer.head.status.as_u16())
}

/// Of two that failed, the one to go by: any answer is more than none. The other's target hears of its failure.
fn better(exchange: &Exchange, one: Sent, other: Sent) -> Sent {
    let (best, mut rest) = if one.result.is_ok() { (one, other) } else { (other, one) };
    rest.picked.finish(match &rest.result {
        Ok(answer) => TryOutcome::Answered { status: answer.head.status.as_u16(), grpc: None },
        Err(error) if rest.reused && error.failure() == Failure::Reset => TryOutcome::Abandoned,
        Err(error) => failed(exchange, error.failure()),
    });
    best
}

/// The request once more, for a target that it isn't at yet. If there is none with room, or anything else is in the
/// way, the first still has all its time.
fn another(session: &mut Session, exchange: &mut Exchange) -> Option<Ready> {
    let picked = untried(session, exchange).ok()?;
    if exchange.tries.tried.contains(&picked.id()) {
        return None;
    }
    let cause = exchange.cause.take();
    let second = begin(session, exchange, picked);
    exchange.cause = cause;
    if second.is_err() {
        (exchange.tries.picked, exchange.pending) = (None, None);
    }
    second.ok()
}

/// A request that can be sent.
struct Ready {
    picked: Picked,
    peer: Box<HttpPeer>,
    head: Box<RequestHeader>,
    /// How long until the answer's head is there.
    within: Duration,
    /// How long the answer may be silent after that.
    idle: Option<Duration>,
}

/// The request, as the target is to get it.
fn begin(session: &mut Session, exchange: &mut Exchange, picked: Picked) -> Fallible<Ready> {
    let mut peer = picked.peer();
    exchange.tries.begin(picked);
    let left = exchange.time_left();
    // What follows the head may be as silent as in any other answer: there is no other try then.
    let idle = [exchange.route().limits.read.or(peer.options.read_timeout), left].into_iter().flatten().min();
    limit_time(session, exchange, &mut peer)?;
    let mut head = session.req_header().clone();
    for name in OF_CONNECTIONS {
        head.remove_header(&name);
    }
    head.set_version(Version::HTTP_11);
    request::upstream_request(session, exchange, &mut head)?;
    aim(&mut head, &peer);
    let picked = exchange.tries.picked.take();
    let picked = picked.ok_or_else(|| Error::explain(ErrorType::InternalError, "no target was picked"))?;
    let within = [peer.options.total_connection_timeout, peer.options.read_timeout].into_iter().flatten().sum();
    let within = left.map_or(within, |left| left.min(within));
    Ok(Ready { picked, peer, head: Box::new(head), within, idle })
}

async fn send(client: Client, ready: Ready) -> Sent {
    let Ready { mut picked, peer, head, within, idle } = ready;
    let mut reused = false;
    let fit = |connected: Connected<'_>| {
        reused = connected.reused;
        picked.connected(reused);
        picked.check_tls(connected.digest).map_err(ClientError::from)
    };
    let mut result = client.send_if(&peer, head, None, within, fit).await;
    if let Ok(answer) = &mut result {
        picked.answered();
        idle.into_iter().for_each(|idle| answer.set_idle(idle));
    }
    Sent { picked, reused, result }
}

/// Fields of one connection only, as Pingora takes them out of a request (RFC 9110 section 7.6.1).
pub(crate) const OF_CONNECTIONS: [HeaderName; 10] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("http2-settings"),
];

/// The target of the request line: HTTP/1 has no authority in it, and HTTP/2 without TLS says so.
pub(crate) fn aim(head: &mut RequestHeader, peer: &HttpPeer) {
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let uri = match host {
        Some(host) if peer.options.alpn == ALPN::H2 && !peer.is_tls() => {
            Uri::builder().scheme("http").authority(host).path_and_query(path).build().ok()
        }
        _ => path.parse().ok(),
    };
    if let Some(uri) = uri {
        head.set_uri(uri);
    }
}

/// The answer, through the chain and to the client.
async fn pass_on(session: &mut Session, exchange: &mut Exchange, mut answer: Answer) -> Fallible<()> {
    let mut head = std::mem::replace(&mut answer.head, ResponseHeader::build(StatusCode::OK, None)?);
    kept(session, exchange, &mut head)?;
    for name in OF_CONNECTIONS {
        head.remove_header(&name);
    }
    let empty = session.req_header().method == Method::HEAD
        || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    head.set_version(Version::HTTP_11);
    let framed = session.is_http2() || head.headers.contains_key(header::CONTENT_LENGTH);
    if !empty && !framed {
        head.insert_header(header::TRANSFER_ENCODING, "chunked")?;
    }
    response(session, exchange, &mut head).await?;
    session.write_response_header(Box::new(head), empty).await.map_err(Error::into_down)?;
    loop {
        let piece = tokio::select! {
            biased;
            piece = answer.chunk() => piece.map_err(|error| upstream_error(&error))?,
            gone = session.as_downstream_mut().read_body_or_idle(true) => return Err(left(gone)),
        };
        let end = piece.is_none();
        let mut body = piece.filter(|_| !empty);
        upstream_response_body(session, exchange, &mut body, end)?;
        response_body(session, exchange, &mut body, end)?;
        let body = body.filter(|body| !body.is_empty());
        if !empty && (end || body.is_some()) {
            session.write_response_body(body, end).await.map_err(Error::into_down)?;
        }
        if end {
            answer.done().await;
            return Ok(());
        }
    }
}

fn upstream_error(error: &ClientError) -> Box<Error> {
    let kind = match error.failure() {
        Failure::Connect => ErrorType::ConnectError,
        Failure::RefusedStream => ErrorType::H2Error,
        Failure::Reset => ErrorType::ConnectionClosed,
        Failure::Timeout => ErrorType::ReadTimedout,
        Failure::Protocol => ErrorType::InvalidHTTPHeader,
    };
    Error::explain(kind, error.to_string()).into_up()
}
