//! Whether a request goes through the cache, and by which key.

use http::StatusCode;
use pingora_cache::{CacheKey as EngineKey, CacheOptionOverrides};
use pingora_error::{Error, ErrorType};
use pingora_proxy::Session;
use tidegate_core::Reply;
use tidegate_core::cache::Lookup;
use tidegate_core::facts::CacheStatus;

use crate::chain::HookFailed;
use crate::exchange::Exchange;

/// Asks the policy, once for each request.
pub(super) fn look_up(session: &mut Session, exchange: &mut Exchange) -> Result<(), HookFailed> {
    if session.is_upgrade_req() {
        return Ok(());
    }
    let (route, mut cx) = exchange.hooks(session);
    let Some(found) = route.chain.ask(|policy| policy.lookup(&mut cx)) else { return Ok(()) };
    let found = found?;
    let (key, only_stored) = match found {
        Lookup::Key(key) => (key, false),
        Lookup::OnlyStored(key) => (key, true),
        Lookup::Bypass(why) | Lookup::Nothing(why) => {
            exchange.cache.only_stored = matches!(found, Lookup::Nothing(_));
            let facts = &mut exchange.request.facts;
            facts.cache = CacheStatus::Bypass;
            // The policy may know better than that why the upstream is asked.
            facts.cached.forwarded.get_or_insert("bypass");
            facts.cached.why = Some(why);
            return Ok(());
        }
    };
    exchange.request.facts.cache = CacheStatus::Miss;
    exchange.request.facts.cached.forwarded = Some("uri-miss");
    (exchange.cache.key, exchange.cache.only_stored) = (Some(key), only_stored);
    Ok(())
}

/// Turns Pingora's cache on for this request, if its policy wants it.
pub(crate) fn enable(session: &mut Session, exchange: &Exchange) {
    // Pingora panics when it is turned on twice.
    if !exchange.cache.is_on() || session.cache.enabled() {
        return;
    }
    let Some(policy) = exchange.route().chain.cache() else { return };
    let zone = policy.zone();
    let mut overrides = CacheOptionOverrides::default();
    overrides.wait_timeout = Some(zone.lock_wait);
    session.cache.enable(zone.storage, None, zone.predictor, zone.lock, Some(overrides));
    // Others may read what this request has written to the store: a client that reads slowly must not hold that up.
    session.as_downstream_mut().set_proxy_tasks_enabled(true);
}

/// The key as Pingora wants it.
pub(crate) fn key(exchange: &Exchange) -> pingora_error::Result<EngineKey> {
    let key = exchange.cache.key.as_ref().ok_or_else(|| Error::explain(ErrorType::InternalError, "no cache key"))?;
    let mut engine = EngineKey::new(key.as_bytes(), "");
    engine.set_primary_bin_override(key.hash());
    Ok(engine)
}

/// The answer to `only-if-cached` where nothing is stored that fits (RFC 9111 section 5.2.1.7).
pub(crate) fn only_stored(exchange: &mut Exchange) -> Option<Reply> {
    if !exchange.cache.only_stored || exchange.cache.renews {
        return None;
    }
    let cached = &mut exchange.request.facts.cached;
    // Nobody is asked.
    (cached.forwarded, cached.why) = (None, Some("only_if_cached"));
    (cached.age, cached.ttl) = (None, None);
    Some(Reply::problem(StatusCode::GATEWAY_TIMEOUT, "not_cached", "no stored answer fits the request"))
}
