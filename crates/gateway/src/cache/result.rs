//! What came of a request's way through the cache.

use http::StatusCode;
use pingora_cache::CachePhase;
use pingora_proxy::Session;
use tidegate_core::AnsweredBy;
use tidegate_core::facts::{CacheStatus, Cached};

use crate::exchange::Exchange;

/// Notes what came of it, for plugins, the log and the client. Runs with the answer's head, before the chain sees it.
pub(crate) fn settle(session: &Session, exchange: &mut Exchange, status: StatusCode) {
    if let Some(answered_by) = exchange.cache.relayed {
        // Settled by the request of the gateway's own.
        exchange.answered_by = answered_by;
        return;
    }
    if !exchange.cache.is_on() {
        if exchange.request.facts.cache == CacheStatus::Bypass {
            exchange.request.facts.cached.upstream_status = Some(status.as_u16());
        }
        return;
    }
    let waited = session.cache.lock_duration().is_some_and(|waited| !waited.is_zero());
    let varies = exchange.cache.varies;
    let facts = &mut exchange.request.facts;
    let cached = &mut facts.cached;
    match session.cache.phase() {
        // How fresh it is was noted when it was judged.
        CachePhase::Hit => {
            exchange.answered_by = AnsweredBy::Cache;
            cached.collapsed = waited;
            if !waited {
                cached.forwarded = None;
            }
        }
        // The upstream was asked, and failed.
        CachePhase::Stale | CachePhase::StaleUpdating => {
            (facts.cache, exchange.answered_by) = (CacheStatus::Stale, AnsweredBy::Cache);
        }
        CachePhase::Revalidated | CachePhase::RevalidatedNoCache(_) => {
            (facts.cache, exchange.answered_by) = (CacheStatus::Revalidated, AnsweredBy::Cache);
        }
        CachePhase::Disabled(reason) => {
            facts.cache = CacheStatus::Miss;
            cached.stored = false;
            cached.why = cached.why.or(Some(reason.as_str()));
            (cached.age, cached.ttl) = (None, None);
        }
        // How fresh it will be was noted when it was admitted.
        _ => facts.cache = CacheStatus::Miss,
    }
    if facts.cache == CacheStatus::Miss && varies && cached.forwarded == Some("uri-miss") {
        cached.forwarded = Some("vary-miss");
    }
    if facts.cache == CacheStatus::Miss {
        cached.upstream_status.get_or_insert(status.as_u16());
    }
}

/// What was stored is not what the client gets: a plugin could not make anything of it.
pub(crate) fn unsent(exchange: &mut Exchange) {
    let facts = &mut exchange.request.facts;
    if exchange.answered_by == AnsweredBy::Cache || !exchange.response_seen {
        (facts.cache, facts.cached) = (CacheStatus::Off, Cached::default());
    }
}

/// The gateway answers by itself, whatever had been stored by then: what broke off isn't.
pub(crate) fn failed(exchange: &mut Exchange) {
    if !exchange.response_seen && exchange.cache.is_on() {
        let facts = &mut exchange.request.facts;
        facts.cache = CacheStatus::Miss;
        let cached = &mut facts.cached;
        (cached.stored, cached.collapsed, cached.age, cached.ttl) = (false, false, None, None);
    }
}
