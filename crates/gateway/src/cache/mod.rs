//! Pingora's cache, driven by a route's policy: what the state machine asks is asked of the plugin here.

mod admit;
mod conditional;
mod enable;
mod hit;
mod refresh;
mod result;
mod send;
mod slices;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use tidegate_core::AnsweredBy;
use tidegate_core::cache::{CacheKey, Slice};

pub(crate) use self::admit::{admit, confirmed, sent, variance};
pub(crate) use self::conditional::{not_modified, range};
pub(crate) use self::enable::{enable, key, only_stored};
pub(crate) use self::hit::{judge, may_be_stale};
pub(crate) use self::refresh::{Refresh, take as take_refresh};
pub(crate) use self::result::{failed, settle, unsent};
pub(crate) use self::send::at_once;
use self::slices::Report;
pub(crate) use self::slices::{
    answered as slice_answered, ended as slice_ended, failed as slice_failed, serve as serve_in_slices,
};
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
    /// Who waits for the slice.
    report: Option<Arc<Report>>,
    /// Who made the first slice, where this is a client's request that is answered in slices.
    sliced: Option<AnsweredBy>,
}

impl Trip {
    /// Of a request that renews what this one has found stored.
    fn renewal(&self) -> Option<Self> {
        let key = Some(self.key.clone()?);
        Some(Self { key, renews: true, slice: self.slice, whole: self.whole, ..Self::default() })
    }

    /// Of a request for a slice of what another one is after.
    fn for_slice(exchange: &Exchange, slice: Slice, whole: bool, report: Arc<Report>) -> Option<Self> {
        let slices = exchange.route().chain.cache()?.slices()?;
        let own = &exchange.cache;
        Some(Self {
            key: Some(slices.key(own.key.as_ref()?, slice)),
            only_stored: own.only_stored,
            slice: Some(slice),
            whole,
            report: Some(report),
            ..Self::default()
        })
    }

    /// Whether this is a request of the gateway's own, for a slice that a client waits for.
    pub(crate) fn is_for_slice(&self) -> bool {
        self.report.is_some()
    }

    /// Whether it is any request of the gateway's own: no client gets its answer, and it is not counted.
    pub(crate) fn is_own(&self) -> bool {
        self.renews || self.is_for_slice()
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
