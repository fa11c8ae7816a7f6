//! What is no longer to be used although its time isn't over. A purge removes nothing by itself: it leaves a mark with
//! its time, and each stored answer is compared with the marks when it is next asked for. That takes the same time
//! for one answer and for a million.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use tidegate_core::HeaderMap;

/// What the marks say of a stored answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nobody has purged it.
    Good,
    /// Its time ended then, by a soft purge: it may be used as any other stale answer.
    ExpiredAt(SystemTime),
    /// It is not to be used any more.
    Gone,
}

/// All purges that stored answers may still have to be compared with.
#[derive(Debug)]
pub(crate) struct Marks {
    epoch: AtomicU64,
}

impl Marks {
    /// Counts up with each purge. An answer that was found good at one epoch is good until the next.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// What they say of an answer under `key` (a whole cache key) with these fields, of which the upstream was asked
    /// at that time.
    pub(crate) fn verdict(&self, _key: &[u8], _headers: &HeaderMap, _asked: SystemTime) -> Verdict {
        Verdict::Good
    }
}
