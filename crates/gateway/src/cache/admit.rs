//! What an upstream answered, and whether it is stored.

use http::{HeaderMap, StatusCode, header};
use pingora_cache::{CacheMeta, NoCacheReason, RespCacheable};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;
use tidegate_core::cache::{Admit, Offer};
use tidegate_core::erased::head_and_facts;

use super::conditional;
use crate::exchange::{Exchange, route_of};

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
    let Some(policy) = route.chain.cache() else { return RespCacheable::Uncacheable(NoCacheReason::OriginNotCache) };
    let (request, facts) = head_and_facts(session, &mut exchange.request);
    facts.cached.upstream_status = Some(if confirmed.is_some() { 304 } else { head.status.as_u16() });
    let offer = Offer {
        request,
        sent: exchange.cache.sent.as_deref(),
        head: stored.map_or(head, CacheMeta::response_header),
        not_modified: confirmed.as_deref(),
        facts,
    };
    match policy.admit(offer) {
        Admit::Store(meta) => {
            exchange.request.facts.cached.stored = true;
            RespCacheable::Cacheable(*meta)
        }
        Admit::Refuse(why) => {
            exchange.request.facts.cached.why = Some(why);
            RespCacheable::Uncacheable(NoCacheReason::Custom(why))
        }
    }
}

/// Which variant of what is stored a request wants.
pub(crate) fn variance(exchange: &mut Exchange, stored: &HeaderMap, request: &RequestHeader) -> Option<[u8; 16]> {
    let variance = exchange.route().chain.cache()?.variance(stored, &request.headers);
    // Pingora asks again for what it is about to store.
    if exchange.request.facts.cached.upstream_status.is_none() {
        exchange.cache.varies = variance.is_some();
    }
    variance
}
