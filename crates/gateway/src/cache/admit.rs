//! What an upstream answered, and whether it is stored.

use http::{HeaderMap, StatusCode, header};
use pingora_cache::{CacheMeta, NoCacheReason, RespCacheable};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;
use tidegate_core::cache::{Admit, Offer};
use tidegate_core::erased::head_and_facts;

use super::conditional;
use crate::exchange::{Exchange, route_of};
use crate::proxy::hook_failed;

/// Keeps what the upstream gets: an answer that varies by a field which the client did not send so can't be told from
/// another by what clients send.
pub(crate) fn sent(exchange: &mut Exchange, head: &RequestHeader) {
    if exchange.cache.is_on() {
        exchange.cache.sent = Some(Box::new(head.headers.clone()));
    }
}

/// Keeps what a 304 says, if it answers a question of the cache. One about another answer leaves nothing for Pingora to
/// put into the stored head.
pub(crate) fn confirmed(session: &Session, exchange: &mut Exchange, head: &mut ResponseHeader) {
    if head.status != StatusCode::NOT_MODIFIED || !session.cache.enabled() {
        return;
    }
    exchange.cache.confirmed = Some(Box::new(head.headers.clone()));
    let stored = session.cache.maybe_cache_meta().and_then(|meta| meta.headers().get(header::ETAG));
    let tag = head.headers.get(header::ETAG);
    if stored.zip(tag).is_some_and(|(stored, tag)| !conditional::is_same(stored.as_bytes(), tag.as_bytes())) {
        let mut parts = http::Response::new(()).into_parts().0;
        parts.status = head.status;
        *head = ResponseHeader::from(parts);
    }
}

/// Whether the answer is stored. `head` is of a 304 to the cache's question what Pingora made of it and the stored one.
pub(crate) fn admit(session: &Session, exchange: &mut Exchange, head: &ResponseHeader) -> RespCacheable {
    let confirmed = exchange.cache.confirmed.take();
    let stored = session.cache.maybe_cache_meta().filter(|_| confirmed.is_some());
    let route = route_of(&exchange.generation, exchange.route);
    let (request, facts) = head_and_facts(session, &mut exchange.request);
    facts.cached.upstream_status = Some(if confirmed.is_some() { 304 } else { head.status.as_u16() });
    let offer = Offer {
        request,
        sent: exchange.cache.sent.as_deref(),
        head: stored.map_or(head, CacheMeta::response_header),
        not_modified: confirmed.as_deref(),
        slice: exchange.cache.slice,
        facts,
    };
    match route.chain.ask(|policy| policy.admit(offer)) {
        None => RespCacheable::Uncacheable(NoCacheReason::OriginNotCache),
        Some(Ok(Admit::Store(meta))) => {
            exchange.request.facts.cached.stored = true;
            RespCacheable::Cacheable(*meta)
        }
        Some(Ok(Admit::Refuse(why))) => {
            exchange.request.facts.cached.why = Some(why);
            RespCacheable::Uncacheable(NoCacheReason::Custom(why))
        }
        Some(Err(failed)) => {
            // What the upstream has answered is the client's all the same.
            let _ = hook_failed(exchange, &failed);
            exchange.request.facts.cached.why = Some(FAILED);
            RespCacheable::Uncacheable(NoCacheReason::Custom(FAILED))
        }
    }
}

/// Why an answer is not stored of which the policy could not say whether it may be.
const FAILED: &str = "failed";

/// Which variant of what is stored a request wants.
pub(crate) fn variance(exchange: &mut Exchange, stored: &HeaderMap, request: &RequestHeader) -> Option<[u8; 16]> {
    let asked = exchange.route().chain.ask(|policy| policy.variance(stored, &request.headers))?;
    let variance = asked.unwrap_or_else(|failed| {
        let _ = hook_failed(exchange, &failed);
        // One that nothing has, and nobody will ask for.
        Some(rand::random())
    });
    // Pingora asks again for what it is about to store.
    if exchange.request.facts.cached.upstream_status.is_none() {
        exchange.cache.varies = variance.is_some();
    }
    variance
}
