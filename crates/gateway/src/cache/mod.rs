//! Pingora's cache, driven by a route's policy: what the state machine asks is asked of the plugin here.

mod admit;
mod conditional;
mod enable;
mod hit;
mod own;
mod refresh;
mod relay;
mod result;
mod send;
mod slices;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use pingora_error::Error;
use pingora_proxy::Session;
use tidegate_core::AnsweredBy;
use tidegate_core::cache::{CacheKey, Slice};

pub(crate) use self::admit::{admit, confirmed, sent, variance};
pub(crate) use self::conditional::{not_modified, range};
pub(crate) use self::enable::{enable, key, only_stored};
pub(crate) use self::hit::{judge, may_be_stale};
use self::own::Report;
pub(crate) use self::own::{answered as own_answered, ended as own_ended, failed as own_failed, trying};
pub(crate) use self::refresh::{Refresh, take as take_refresh};
pub(crate) use self::result::{failed, settle, unsent};
pub(crate) use self::send::at_once;
use crate::exchange::Exchange;

/// One request's way through the cache.
#[derive(Default)]
pub(crate) struct Trip {
    /// What it asks the store for; `None` where it doesn't.
    key: Option<CacheKey>,
    /// Whether an answer that isn't stored is none.
    only_stored: bool,
    /// Whether what was found may be sent if the upstream fails.
    stale_if_error: bool,
    /// Whether something is stored of which this request wants another variant.
    varies: bool,
    /// The fields that the upstream got: what `Vary` is about.
    sent: Option<Box<HeaderMap>>,
    /// The fields of a 304 to a question of ours.
    confirmed: Option<Box<HeaderMap>>,
    /// Whether this is a background request that has a stored answer renewed: nobody waits for it.
    pub(crate) renews: bool,
    /// Which slice of an object this is for, if it is for one.
    slice: Option<Slice>,
    /// Whether the upstream is asked for all there is in the place of the first slice.
    whole: bool,
    /// Who waits for the answer to a request of the gateway's own.
    report: Option<Arc<Report>>,
    /// Who made the answer, where this is a client's request for which the gateway's own was sent.
    relayed: Option<AnsweredBy>,
}

impl Trip {
    /// Of a request that renews what this one has found stored.
    fn renewal(&self) -> Option<Self> {
        let key = Some(self.key.clone()?);
        Some(Self { key, renews: true, slice: self.slice, whole: self.whole, ..Self::default() })
    }

    /// Of a request for a slice of what another one is after.
    fn for_slice(exchange: &Exchange, slice: Slice, whole: bool) -> Option<Self> {
        let slices = exchange.route().chain.cache()?.slices()?;
        let own = &exchange.cache;
        let key = Some(slices.key(own.key.as_ref()?, slice));
        Some(Self { key, only_stored: own.only_stored, slice: Some(slice), whole, ..Self::default() })
    }

    /// Of a request that is this one once more.
    fn once_more(&self) -> Self {
        Self { key: self.key.clone(), only_stored: self.only_stored, ..Self::default() }
    }

    /// Somebody waits for it.
    fn reporting(self, report: &Arc<Report>) -> Self {
        Self { report: Some(report.clone()), ..self }
    }

    /// Whether this is a request of the gateway's own that a client waits for.
    pub(crate) fn reports(&self) -> bool {
        self.report.is_some()
    }

    /// Whether it is any request of the gateway's own: it is neither logged nor counted.
    pub(crate) fn is_own(&self) -> bool {
        self.renews || self.reports()
    }

    /// What the upstream is asked for, where that isn't the whole.
    pub(crate) fn range(&self) -> Option<HeaderValue> {
        self.slice.filter(|_| !self.whole).map(Slice::range)
    }

    /// Whether the store is asked, and may get the answer.
    pub(crate) fn is_on(&self) -> bool {
        self.key.is_some()
    }
}

/// Serves a request that the cache has nothing at hand for by requests of the gateway's own, where that is better. `false`:
/// it goes on.
pub(crate) async fn serve(session: &mut Session, exchange: &mut Exchange) -> Result<bool, Box<Error>> {
    // Without one none can be made.
    if !exchange.cache.is_on() || session.subrequest_spawner.is_none() {
        return Ok(false);
    }
    if let Some(size) = slices::size(exchange) {
        return Box::pin(slices::serve(session, exchange, size)).await.map(|()| true);
    }
    match relay::is_wanted(session, exchange) {
        true => Box::pin(relay::serve(session, exchange)).await.map(|()| true),
        false => Ok(false),
    }
}
