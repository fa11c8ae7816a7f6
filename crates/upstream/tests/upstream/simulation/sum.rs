//! What happened in all hours together, so that it is known that something did.

/// How often.
#[derive(Debug, Default, Clone)]
pub(super) struct Sum {
    pub(super) requests: u64,
    pub(super) good: u64,
    /// Good at last, after a retry.
    pub(super) saved: u64,
    pub(super) failed: u64,
    pub(super) no_target: u64,
    pub(super) refused: u64,
    pub(super) left: u64,
    pub(super) queued: u64,
    pub(super) faults: u64,
    pub(super) changes: u64,
    pub(super) ejections: u64,
    /// Restored before their time, because too few others were left.
    pub(super) relented: u64,
    pub(super) retries: u64,
    pub(super) over_budget: u64,
    /// Refused by a breaker.
    pub(super) broken: u64,
}

impl Sum {
    pub(super) fn add(&mut self, more: &Self) {
        for (sum, more) in self.all_mut().into_iter().zip(more.clone().all_mut()) {
            *sum += *more;
        }
    }

    fn all_mut(&mut self) -> [&mut u64; 15] {
        let Self { requests, good, saved, failed, no_target, refused, left, .. } = self;
        let Self { queued, faults, changes, ejections, relented, retries, over_budget, broken, .. } = self;
        [
            requests,
            good,
            saved,
            failed,
            no_target,
            refused,
            left,
            queued,
            faults,
            changes,
            ejections,
            relented,
            retries,
            over_budget,
            broken,
        ]
    }

    /// A simulation in which nothing goes wrong proves nothing.
    pub(super) fn expect_much(&mut self, hours: u64) {
        println!("{self:#?}");
        let ended = self.good + self.failed + self.no_target + self.refused + self.left;
        assert_eq!(self.requests, ended, "every request ended in one way");
        let all = self.clone();
        let rare = self.all_mut().into_iter().any(|count| *count < hours / 50);
        assert!(!rare, "{all:#?}");
    }
}
