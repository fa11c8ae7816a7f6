//! What a request still owes when it is let through, or is to get back when it is over.

use std::sync::Arc;

use smallvec::SmallVec;
use tidegate_core::Cx;

use crate::key::Key;
use crate::rule::Rule;
use crate::store::{Settlement, Store};

/// All that a client's request has open. What is in flight is so until the last request that goes on its behalf is over.
#[derive(Clone)]
struct Later(Arc<SmallVec<[Owed; 1]>>);

/// One limit whose cost is known later, or that counts what is in flight.
pub(crate) struct Owed {
    /// The limit's place among the route's.
    pub place: usize,
    pub rule: Arc<Rule>,
    pub key: Key,
    /// What was taken at first.
    pub taken: u64,
    /// Only its end matters.
    pub _in_flight: Option<InFlight>,
}

/// Given back when this is dropped: whatever becomes of the request, it isn't in flight any more then.
pub(crate) struct InFlight {
    pub store: Store,
    pub settlement: Settlement,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.store.release(&self.settlement);
    }
}

/// Keeps in mind what is settled later. Most requests have nothing of the kind, and pay nothing here.
pub(crate) fn note(cx: &mut Cx<'_>, owed: SmallVec<[Owed; 1]>) {
    if owed.is_empty() {
        return;
    }
    // Two phases may both have something.
    let before = cx.facts_mut().of_client.remove::<Later>();
    let before = before.into_iter().flat_map(|later| Arc::into_inner(later.0)).flatten();
    let owed = before.chain(owed).collect();
    cx.facts_mut().of_client.insert(Later(Arc::new(owed)));
}

/// What the request has open.
pub(crate) fn all<'a>(cx: &'a Cx<'_>) -> impl Iterator<Item = &'a Owed> {
    cx.facts().of_client.get::<Later>().into_iter().flat_map(|later| later.0.iter())
}
