//! Clients that are turned away: where their bans are kept, and what leads to one.

use std::net::IpAddr;
use std::sync::Arc;

use tidegate_core::Outcome;
use tidegate_core::prometheus::IntCounter;

use crate::answer;
use crate::config::StoreName;
use crate::config::limits::Bans;
use crate::key::Key;
use crate::metrics::{Counts, LimitMetrics};
use crate::store::{Ask, Store};
use crate::stores::Stores;

/// The section's ban, and the store it is kept in.
pub(crate) struct Banned {
    pub bans: Arc<Bans>,
    pub store: Store,
    /// That store's name: a route that counts there asks for its limits and the ban at once.
    pub name: StoreName,
    /// Requests that were turned away.
    pub refused: Counts,
    begun: IntCounter,
    policy: u16,
}

impl Banned {
    pub(crate) fn new(bans: Arc<Bans>, name: StoreName, store: Store, stores: &Stores, metrics: &LimitMetrics) -> Self {
        let (policy, refused, begun) = (stores.number("(ban)"), metrics.counts("", "ban"), metrics.bans().clone());
        Self { bans, store, name, refused, begun, policy }
    }

    /// Asks whether the client of `key` is banned.
    pub(crate) fn ask<'a>(&'a self, key: &'a Key) -> Ask<'a> {
        Ask { rule: self.bans.rule(), key, cost: 1, shadow: false, policy: self.policy }
    }

    /// Counts the answer if it is held against its client. What a banned client gets is not, or its ban would never end.
    pub(crate) fn count(&self, client: IpAddr, outcome: &Outcome) {
        let counts = outcome.code != Some(answer::BANNED) && self.bans.is_strike(outcome.status, outcome.code);
        if counts && !self.bans.is_exempt(client) && self.store.strike(&self.bans.strike(client, self.policy)) {
            self.begun.inc();
        }
    }
}
