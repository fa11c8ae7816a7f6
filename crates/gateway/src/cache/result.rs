//! What came of a request's way through the cache.

use pingora_cache::CachePhase;
use pingora_proxy::Session;
use tidegate_core::AnsweredBy;
use tidegate_core::facts::CacheStatus;

use crate::exchange::Exchange;

/// Notes what came of it, for plugins, the log and the client. Runs with the answer's head, before the chain sees it.
pub(crate) fn settle(session: &Session, exchange: &mut Exchange) {
    if !exchange.cache.is_on() {
        return;
    }
    let facts = &mut exchange.request.facts;
    facts.cached.collapsed = session.cache.lock_duration().is_some_and(|waited| !waited.is_zero());
    match session.cache.phase() {
        // How fresh it is was noted when it was judged.
        CachePhase::Hit => exchange.answered_by = AnsweredBy::Cache,
        CachePhase::Stale | CachePhase::StaleUpdating => {
            (facts.cache, exchange.answered_by) = (CacheStatus::Stale, AnsweredBy::Cache);
        }
        CachePhase::Revalidated | CachePhase::RevalidatedNoCache(_) => {
            (facts.cache, exchange.answered_by) = (CacheStatus::Revalidated, AnsweredBy::Cache);
        }
        CachePhase::Disabled(reason) => {
            facts.cache = CacheStatus::Miss;
            facts.cached.stored = false;
            facts.cached.why = facts.cached.why.or(Some(reason.as_str()));
            (facts.cached.age, facts.cached.ttl) = (None, None);
        }
        _ => {
            facts.cache = CacheStatus::Miss;
            (facts.cached.age, facts.cached.ttl) = (None, None);
        }
    }
}
