//! A gateway's share of a limit that it counts by itself.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::rule::{Rule, Shape};

/// Rules are few; those of clients' own rates are many, and the oldest makes no difference.
const MOST: usize = 1024;

/// Rules divided by the number of gateways, kept: making one takes longer than asking it.
#[derive(Debug, Default)]
pub(super) struct Shares(Mutex<HashMap<u64, (u32, Arc<Rule>)>>);

impl Shares {
    pub(super) fn of(&self, rule: &Rule, gateways: u32) -> Arc<Rule> {
        let mut shares = self.0.lock();
        if let Some((of, share)) = shares.get(&rule.fingerprint)
            && *of == gateways
        {
            return share.clone();
        }
        if shares.len() >= MOST {
            shares.clear();
        }
        let share = Arc::new(share(rule, gateways));
        shares.insert(rule.fingerprint, (gateways, share.clone()));
        share
    }
}

/// Counts mean the same whatever the limit, so they are found again when the number of gateways changes; what is in
/// flight must be, or it would never be given back. Water is in units of the rule.
fn share(rule: &Rule, gateways: u32) -> Rule {
    let share = rule.divided(gateways);
    match rule.shape {
        Shape::Bucket(_) => share,
        _ => Rule { fingerprint: rule.fingerprint, ..share },
    }
}
