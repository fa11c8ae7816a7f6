//! What an operator changes in a running pool.

use std::sync::Arc;

use tidegate_core::config::{ConfigError, ConfigErrors};

use crate::address::Address;
use crate::config::TargetConfig;
use crate::listing::Listing;
use crate::pool::Pool;
use crate::registry::{Known, List};
use crate::state::Reason;
use crate::target::LiveTarget;

impl Pool {
    /// Replaces all targets of the pool, whoever lists them, until [`clear_targets`](Self::clear_targets) or a reload
    /// that changes the upstream. Targets that were there before keep what is known of them.
    ///
    /// # Errors
    /// What is wrong with the targets, with paths as in the configuration (`targets[0]`); nothing is replaced then.
    pub fn set_targets(&self, targets: Vec<TargetConfig>) -> Result<(), ConfigErrors> {
        if targets.is_empty() {
            return Err(ConfigError::at("targets", "no targets").help("list at least one").into());
        }
        let listing = Listing::read(targets, &self.config)?;
        let mut registry = self.registry.lock();
        let entries = self.entries(&registry, listing.specs, true);
        registry.given = Some(List { heard: true, listed: listing.listed, entries, ..List::new("operator".into()) });
        registry.lists.iter_mut().flat_map(|list| &mut list.entries).for_each(|entry| entry.live.clear());
        self.rebuild(&registry);
        drop(registry);
        self.announce();
        log::info!(upstream = &*self.name; "targets replaced by an operator");
        Ok(())
    }

    /// Goes back to the targets of the configuration and of its sources. `false` if none were set.
    pub fn clear_targets(&self) -> bool {
        let mut registry = self.registry.lock();
        let mut known = registry.known();
        let newcomers = self.newcomers();
        if registry.given.take().is_none() {
            return false;
        }
        for entry in registry.lists.iter_mut().flat_map(|list| &mut list.entries) {
            let known: &mut Known = known.entry(entry.spec.address.clone()).or_default();
            entry.live = self.places(entry, known, newcomers);
            entry.tell(known);
        }
        self.rebuild(&registry);
        drop(registry);
        self.announce();
        log::info!(upstream = &*self.name; "targets of the configuration and its sources restored");
        true
    }

    /// Lets a target have no new requests, or have them again; those in flight end as they would have. `address` is
    /// the target as listed, at all addresses that its name leads to now and later; or one of those addresses.
    /// `false` if there is no such target. What is drained stays so until the process ends or the target is gone
    /// from all lists.
    pub fn drain(&self, address: &str, on: bool) -> bool {
        let Ok(address) = address.parse::<Address>() else { return false };
        let mut registry = self.registry.lock();
        let mut found = false;
        let mut targets: Vec<Arc<LiveTarget>> = Vec::new();
        for entry in registry.all_entries_mut() {
            let listed = entry.spec.address == address;
            if listed {
                entry.drained = on;
            }
            let before = targets.len();
            targets.extend(entry.live.iter().filter(|live| listed || is_at(live, &address)).cloned());
            found |= listed || targets.len() > before;
        }
        drop(registry);
        for target in targets {
            self.mark(&target, Reason::Draining, on, "an operator said so");
        }
        found
    }
}

fn is_at(live: &LiveTarget, address: &Address) -> bool {
    matches!(address, Address::Inet(socket) if live.socket == Some(*socket))
}
