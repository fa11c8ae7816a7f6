//! A stored answer is renewed behind a client's back: a request of the gateway's own, with all that the client's had
//! been given by then, and with nobody who waits for the answer (RFC 5861 section 3).

use std::sync::Arc;

use pingora_proxy::Session;
use pingora_proxy::subrequest::Ctx;
use tidegate_core::cache::CacheKey;
use tidegate_core::facts::Facts;
use tidegate_core::{Params, RouteId, Scheme};

use crate::exchange::Exchange;
use crate::generation::Generation;

/// What the request that renews takes over from the one on whose behalf it goes. The chain has let that one through:
/// it is not asked again, and no limit counts twice.
pub(crate) struct Refresh {
    pub(crate) generation: Arc<Generation>,
    pub(crate) route: Option<RouteId>,
    pub(crate) facts: Facts,
    pub(crate) params: Params,
    pub(crate) path: Option<Box<str>>,
    pub(crate) scheme: Scheme,
    pub(crate) trusted: bool,
    pub(crate) key: CacheKey,
}

/// Sends it off.
pub(super) fn spawn(session: &Session, exchange: &Exchange) {
    let (Some(spawner), Some(key)) = (&session.subrequest_spawner, &exchange.cache.key) else { return };
    let request = &exchange.request;
    let mut facts = Facts::new(request.facts.request_id.clone(), request.facts.client);
    facts.identity.clone_from(&request.facts.identity);
    facts.country = request.facts.country;
    facts.extensions = request.facts.extensions.clone();
    let refresh = Refresh {
        generation: exchange.generation.clone(),
        route: exchange.route,
        facts,
        params: request.params.clone(),
        path: request.path.clone(),
        scheme: request.scheme,
        trusted: exchange.trusted,
        key: key.clone(),
    };
    let cx = Ctx::builder().user_ctx(Box::new(Some(refresh))).build();
    drop(spawner.spawn_background_subrequest(session.as_ref(), cx));
}

/// What was sent with this request, if it is one that renews.
pub(crate) fn take(session: &mut Session) -> Option<Refresh> {
    let user = session.subrequest_ctx.as_mut()?.user_ctx_mut()?;
    user.downcast_mut::<Option<Refresh>>()?.take()
}
