//! What was found in the store, and whether it is sent.

use std::time::SystemTime;

use http::{HeaderMap, StatusCode};
use pingora_cache::{CacheMeta, ForcedFreshness, HitHandler};
use pingora_error::{Error, ErrorSource, ErrorType};
use pingora_proxy::Session;
use tidegate_core::Reply;
use tidegate_core::cache::Use;
use tidegate_core::facts::CacheStatus;

use super::refresh;
use crate::exchange::Exchange;
use crate::proxy::hook_failed;

/// What the policy makes of a stored answer, as Pingora is to take it. The policy's clock decides, not Pingora's.
pub(crate) fn judge(
    session: &mut Session,
    exchange: &mut Exchange,
    meta: &CacheMeta,
    body: &mut HitHandler,
) -> ForcedFreshness {
    let (route, mut cx) = exchange.hooks(session);
    let found = match route.chain.ask(|policy| policy.judge(&mut cx, meta, body)) {
        None => return ForcedFreshness::ForceMiss,
        Some(Ok(found)) => found,
        Some(Err(failed)) => {
            // The upstream has the answer, too.
            let _ = hook_failed(exchange, &failed);
            Use::Miss
        }
    };
    let renews = exchange.cache.renews;
    let facts = &mut exchange.request.facts;
    match found {
        // Whoever renews it has been sent to do so.
        Use::Fresh | Use::Stale { .. } if renews => {
            exchange.cache.stale_if_error = false;
            ForcedFreshness::ForceExpired
        }
        Use::Fresh => {
            facts.cache = CacheStatus::Hit;
            ForcedFreshness::ForceFresh
        }
        Use::Stale { refresh } => {
            facts.cache = CacheStatus::Stale;
            if refresh {
                refresh::spawn(session, exchange);
            }
            ForcedFreshness::ForceFresh
        }
        Use::Expired { if_error } => {
            if matches!(facts.cached.forwarded, None | Some("uri-miss")) {
                facts.cached.forwarded = Some("stale");
            }
            exchange.cache.stale_if_error = if_error;
            match if_error {
                // Just expired, so that Pingora thinks its time for errors has not ended: whether it has, was judged.
                true => ForcedFreshness::ForceExpiredServeStale { expired_at: Some(SystemTime::now()) },
                false => ForcedFreshness::ForceExpired,
            }
        }
        Use::Miss => {
            facts.cached.forwarded = Some("uri-miss");
            (facts.cached.age, facts.cached.ttl) = (None, None);
            exchange.cache.varies = false;
            ForcedFreshness::ForceMiss
        }
    }
}

/// Whether a stale answer is sent instead of an error. Not while another request renews it: who may have it then has
/// got it already.
pub(crate) fn may_be_stale(session: &mut Session, exchange: &mut Exchange, error: Option<&Error>) -> bool {
    let Some(error) = error else { return false };
    let failed = *error.esource() == ErrorSource::Upstream || exchange.pending.is_some();
    let status = answered(exchange, error);
    // What the client would get: an upstream's page that is replaced may be a 404, which is no error of the kind.
    let instead = exchange.pending.as_ref().map(Reply::status).or(status);
    let stale = failed
        && exchange.cache.stale_if_error
        && !exchange.cache.renews
        && instead.is_none_or(|status| matches!(status.as_u16(), 500 | 502 | 503 | 504));
    if stale {
        if status.is_none() {
            // Pingora closes the connection of a request that has failed: the client must know, or its next one fails.
            session.set_keepalive(None);
        }
        if let Some(status) = status {
            // Pingora asks before the answer's head has come by: its target has answered badly all the same.
            exchange.tries.answered(status, &HeaderMap::new());
        }
        let cached = &mut exchange.request.facts.cached;
        cached.upstream_status = status.map(|status| status.as_u16());
        cached.why = Some("stale_if_error");
        exchange.pending = None;
        exchange.failed(crate::status::cause(error));
        exchange.request.facts.cache = CacheStatus::Stale;
    }
    stale
}

/// What the upstream answered, where that is what is wrong: only some statuses are errors of the kind that a stale answer
/// hides (RFC 5861 section 4).
fn answered(exchange: &Exchange, error: &Error) -> Option<StatusCode> {
    match error.etype() {
        ErrorType::HTTPStatus(code) if exchange.pending.is_none() => StatusCode::from_u16(*code).ok(),
        _ => None,
    }
}
