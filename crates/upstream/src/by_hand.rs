//! For simulations in virtual time: what tasks beside the requests do, done by hand, and what is known of a target.

use std::sync::Arc;

use crate::pool::Pool;
use crate::state::Reason;
use crate::target::LiveTarget;

/// What a pool knows of a target.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub unchecked: bool,
    pub unhealthy: bool,
    pub ejected: bool,
    pub draining: bool,
    pub in_flight: u32,
}

impl Pool {
    /// Takes the result of a health check of the target at `address`.
    #[doc(hidden)]
    pub fn check_by_hand(&self, address: &str, good: bool) {
        let result = if good { Ok(()) } else { Err("said so by hand".to_owned()) };
        if let Some(target) = self.at(address) {
            self.checked(&target, result);
        }
    }

    /// Restores ejected targets whose time is over, and compares targets with one another.
    #[doc(hidden)]
    pub fn judge_by_hand(&self) {
        let _ = self.sweep_outliers();
    }

    #[doc(hidden)]
    pub fn seen(&self, address: &str) -> Option<Seen> {
        let target = self.at(address)?;
        let has = |reason| target.state.has(reason);
        Some(Seen {
            unchecked: has(Reason::Unchecked),
            unhealthy: has(Reason::Unhealthy),
            ejected: has(Reason::Ejected),
            draining: has(Reason::Draining),
            in_flight: target.state.in_flight(),
        })
    }

    /// Requests that are in, and those that wait.
    #[doc(hidden)]
    pub fn counts_by_hand(&self) -> (u32, u32) {
        (self.admission.in_flight(), self.admission.waiting())
    }

    fn at(&self, address: &str) -> Option<Arc<LiveTarget>> {
        self.view().targets().iter().find(|target| *target.address == *address).cloned()
    }
}
