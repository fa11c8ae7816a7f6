//! What is known of one target while it serves: atomics only, written beside requests and read by each of them.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

/// Why a target isn't used. A target may have several reasons; it is usable when it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Its first health check has no answer yet.
    Unchecked = 1,
    /// Its health checks fail.
    Unhealthy = 2,
    /// It has failed too many requests.
    Ejected = 4,
    /// An operator wants it to have no new requests.
    Draining = 8,
}

impl Reason {
    pub(crate) const ALL: [Self; 4] = [Self::Unchecked, Self::Unhealthy, Self::Ejected, Self::Draining];

    /// As it stands in logs, metrics and JSON.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unchecked => "unchecked",
            Self::Unhealthy => "unhealthy",
            Self::Ejected => "ejected",
            Self::Draining => "draining",
        }
    }
}

/// One target's state. Kept for as long as some configuration has the target at that address, also over a reload.
#[derive(Debug, Default)]
pub(crate) struct State {
    reasons: AtomicU8,
    in_flight: AtomicU32,
    /// When its slow start began, on the pool's clock, in nanoseconds; 0: it has its full share.
    pub(crate) ramp_from: AtomicU64,
    /// Whether it came with the pool itself and waits for its first check: all of these begin together, with full
    /// shares.
    pub(crate) founding: AtomicBool,
    /// What `peak_ewma` knows.
    pub(crate) ewma: crate::balance::Ewma,
    /// What `outlier` counts.
    pub(crate) record: crate::outlier::Record,
    /// What health checks found.
    pub(crate) checks: crate::health::Checks,
}

impl State {
    /// Whether requests may go there: one atomic load.
    pub(crate) fn is_usable(&self) -> bool {
        self.reasons.load(Ordering::Relaxed) == 0
    }

    pub(crate) fn has(&self, reason: Reason) -> bool {
        self.reasons.load(Ordering::Relaxed) & reason as u8 != 0
    }

    /// Why it isn't used.
    pub(crate) fn reasons(&self) -> impl Iterator<Item = Reason> {
        let reasons = self.reasons.load(Ordering::Relaxed);
        Reason::ALL.into_iter().filter(move |reason| reasons & *reason as u8 != 0)
    }

    /// Whether that changed anything. Only the pool calls this: it has to choose anew who serves.
    pub(crate) fn set(&self, reason: Reason, on: bool) -> bool {
        let bit = reason as u8;
        let before = match on {
            true => self.reasons.fetch_or(bit, Ordering::AcqRel),
            false => self.reasons.fetch_and(!bit, Ordering::AcqRel),
        };
        (before & bit != 0) != on
    }

    /// Requests that are on it now.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// One more request, unless it has `most` already.
    pub(crate) fn enter(&self, most: u32) -> bool {
        let entered = self.in_flight.fetch_add(1, Ordering::AcqRel) < most;
        if !entered {
            self.leave();
        }
        entered
    }

    /// One less of those that have entered.
    pub(crate) fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}
