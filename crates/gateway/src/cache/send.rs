//! A stored answer that is in memory and needs nothing but to be sent: most answers of a busy cache.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use pingora_core::protocols::http::conditional_filter::to_304;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use tidegate_core::AnsweredBy;
use tidegate_core::cache::AtOnce;
use tidegate_core::facts::CacheStatus;

use super::{conditional, enable, refresh, unsent};
use crate::chain::HookFailed;
use crate::exchange::Exchange;
use crate::proxy::hook_failed;
use crate::respond::{bodiless, frame, request_id, respond};

/// Asks the policy whether there is a cache for this request, and sends what is at hand. `false`: the request goes on.
pub(crate) async fn at_once(session: &mut Session, exchange: &mut Exchange) -> pingora_error::Result<bool> {
    match look(session, exchange) {
        Ok(None) => Ok(false),
        Ok(Some(found)) => Box::pin(send(session, exchange, found)).await.map(|()| true),
        Err(failed) => Box::pin(instead(session, exchange, &failed)).await.map(|()| true),
    }
}

fn look(session: &mut Session, exchange: &mut Exchange) -> Result<Option<AtOnce>, HookFailed> {
    enable::look_up(session, exchange)?;
    let Some(key) = exchange.cache.key.take() else { return Ok(None) };
    let (route, mut cx) = exchange.hooks(session);
    let found = route.chain.ask(|policy| policy.at_once(&mut cx, &key));
    exchange.cache.key = Some(key);
    found.transpose().map(Option::flatten)
}

/// The gateway's own answer, in place of what a plugin could not make something of.
async fn instead(session: &mut Session, exchange: &mut Exchange, failed: &HookFailed) -> pingora_error::Result<()> {
    unsent(exchange);
    let reply = hook_failed(exchange, failed);
    respond(session, exchange, reply).await
}

async fn send(session: &mut Session, exchange: &mut Exchange, found: AtOnce) -> pingora_error::Result<()> {
    exchange.answered_by = AnsweredBy::Cache;
    let facts = &mut exchange.request.facts;
    let fresh = facts.cached.ttl.is_none_or(|ttl| ttl > 0);
    facts.cache = if fresh { CacheStatus::Hit } else { CacheStatus::Stale };
    facts.cached.forwarded = None;
    if found.refresh {
        refresh::spawn(session, exchange);
    }
    let AtOnce { status, headers, mut body, .. } = found;
    let mut head = head_of(exchange, status, headers);
    if conditional::not_modified(session.req_header(), &head) {
        to_304(&mut head);
    }
    let without_body = session.req_header().method == Method::HEAD || bodiless(head.status);
    if let Err(failed) = dress(session, exchange, &mut head, without_body, &mut body).await {
        return instead(session, exchange, &failed).await;
    }
    exchange.status = head.status.as_u16();
    if exchange.draining() {
        session.set_keepalive(None);
    }
    let without_body = without_body || body.iter().all(Bytes::is_empty);
    session.write_response_header(Box::new(head), without_body).await?;
    if without_body {
        return Ok(());
    }
    let last = body.iter().rposition(|piece| !piece.is_empty()).unwrap_or(0);
    for (place, piece) in body.into_iter().enumerate().take(last + 1) {
        if !piece.is_empty() {
            session.write_response_body(Some(piece), place == last).await?;
        }
    }
    Ok(())
}

/// The stored head, with what every answer of ours has.
fn head_of(exchange: &Exchange, status: StatusCode, headers: HeaderMap) -> ResponseHeader {
    let mut parts = http::Response::new(()).into_parts().0;
    (parts.status, parts.headers) = (status, headers);
    parts.headers.insert(exchange.generation.request_ids.header(), request_id(exchange));
    ResponseHeader::from(parts)
}

/// The head, and the body, as the chain wants them.
async fn dress(
    session: &mut Session,
    exchange: &mut Exchange,
    head: &mut ResponseHeader,
    without_body: bool,
    body: &mut [Bytes],
) -> Result<(), HookFailed> {
    exchange.response_seen = true;
    let (route, mut cx) = exchange.hooks(session);
    route.chain.response(&mut cx, head).await?;
    let count = body.len();
    for (place, piece) in body.iter_mut().enumerate().filter(|_| !without_body) {
        route.chain.response_body(&mut cx, piece, place + 1 == count)?;
    }
    if !without_body {
        frame(session, head);
    }
    Ok(())
}
