//! Unsafe requests on all routes: the one that stores the answers to GET is often not the one that serves POST.

use std::sync::Arc;

use parking_lot::Mutex;
use tidegate_core::cache::Invalidates;
use tidegate_core::prometheus::IntCounter;
use tidegate_core::{Clock, Cx, ResponseHeader};

use super::urls;
use crate::key::Query;
use crate::zones::ZoneHandle;

/// All in which a URL may be stored: zones, and by which parts of a query.
#[derive(Default)]
pub(crate) struct Holders(Mutex<Vec<Holder>>);

#[derive(Clone)]
struct Holder {
    zone: Arc<ZoneHandle>,
    counts: Query,
    invalidated: IntCounter,
}

impl Holders {
    /// A route that stores in `zone`. There are many of them, and few different ones.
    pub(crate) fn add(&self, zone: &Arc<ZoneHandle>, counts: &Query, invalidated: &IntCounter) {
        let mut all = self.0.lock();
        if !all.iter().any(|known| Arc::ptr_eq(&known.zone, zone) && known.counts == *counts) {
            all.push(Holder { zone: zone.clone(), counts: counts.clone(), invalidated: invalidated.clone() });
        }
    }

    /// `None` where nothing is stored.
    pub(crate) fn invalidates(&self, clock: &Clock) -> Option<Arc<dyn Invalidates>> {
        let holders: Box<[Holder]> = self.0.lock().clone().into();
        (!holders.is_empty()).then(|| Arc::new(Everywhere { holders, clock: clock.clone() }) as Arc<dyn Invalidates>)
    }
}

struct Everywhere {
    holders: Box<[Holder]>,
    clock: Clock,
}

impl Invalidates for Everywhere {
    fn answered(&self, cx: &mut Cx<'_>, head: &ResponseHeader) {
        for holder in &self.holders {
            for url in urls(&holder.counts, &cx.head(), head.status, &head.headers) {
                if holder.zone.store().marks.invalidate(url, self.clock.wall()) {
                    holder.invalidated.inc();
                }
            }
        }
    }
}
