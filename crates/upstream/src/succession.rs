//! A pool that takes the place of another when its upstream's configuration has changed. While requests of the old
//! configuration go on, both share the states of the targets that both have; only the new one works for them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::address::Address;
use crate::listing::{Listing, Newcomers};
use crate::pool::Pool;
use crate::registry::{Known, Place};
use crate::state::Reason;

/// A pool's neighbours in time.
#[derive(Default)]
pub(crate) struct Succession {
    /// Until the pool has taken over from it.
    previous: Mutex<Weak<Pool>>,
    next: Mutex<Weak<Pool>>,
    /// Whether there was one before it.
    pub(crate) is_next: bool,
}

impl Succession {
    pub(crate) fn after(previous: Option<&Arc<Pool>>) -> Self {
        Self {
            previous: Mutex::new(previous.map(Arc::downgrade).unwrap_or_default()),
            next: Mutex::default(),
            is_next: previous.is_some(),
        }
    }
}

impl Pool {
    /// Takes over what `previous` knows of the targets that both have, so that a reload doesn't forget who is ill,
    /// nor, while name servers and sources are down, their last good answers.
    pub(crate) fn inherit(&self, previous: &Self) {
        let theirs = previous.registry.lock();
        let mut before = theirs.known();
        let lists: Vec<_> = theirs.lists.iter().map(|list| list.heard.then(|| list.listed.clone())).collect();
        drop(theirs);
        self.keep_what_holds(previous, &mut before);
        self.registry.lock().before = before;
        for (index, source) in self.config.discovery.iter().enumerate() {
            let same = previous.config.discovery.iter().position(|known| known == source);
            let listed = same.and_then(|same| lists.get(same + 1)?.clone());
            // What the new configuration refuses, the source will have to say again.
            if let Some(Ok(listing)) = listed.map(|listed| Listing::read(listed, &self.config)) {
                self.list(index + 1, listing);
            }
        }
    }

    fn keep_what_holds(&self, previous: &Self, before: &mut HashMap<Address, Known>) {
        let same_names = self.config.resolve == previous.config.resolve;
        let same_checks = self.config.health == previous.config.health;
        for known in before.values_mut() {
            if let Some(name) = known.name.as_mut().filter(|_| !same_names) {
                name.ask_anew(self.clock.now());
            }
            for place in &mut known.places {
                // It was made for the connections of another configuration.
                place.live = None;
                if !same_checks {
                    // What other checks have found says nothing about these.
                    *place = self.unchecked(place);
                }
            }
        }
    }

    fn unchecked(&self, place: &Place) -> Place {
        let fresh = self.newcomer(place.socket, place.state.has(Reason::Draining), Newcomers::First);
        Place { id: place.id, ..fresh }
    }

    /// To be called once the new configuration is in force: the pool before does no more work beside its requests,
    /// and what they teach it about targets is heard here, too.
    pub(crate) fn take_over(self: &Arc<Self>) {
        let previous = std::mem::take(&mut *self.succession.previous.lock()).upgrade();
        let Some(previous) = previous else { return };
        *previous.succession.next.lock() = Arc::downgrade(self);
        previous.gone.send_replace(true);
        self.trust_who_served(&previous);
        // Meanwhile it may have marked targets that both have.
        self.look_again();
    }

    /// Other checks than before have had the time of [`prepare`](Self::prepare) to answer. A target that served until
    /// now and has no answer yet serves on, until checks have failed often enough: or a reload could be an outage.
    fn trust_who_served(&self, previous: &Self) {
        let before = previous.view();
        let served: HashSet<_> =
            before.targets().iter().filter(|one| one.state.is_usable()).map(|one| one.id).collect();
        let registry = self.registry.lock();
        for target in registry.members(&self.view()).iter().filter(|target| served.contains(&target.id)) {
            // There is no slow start: it has had its share all the time.
            if target.state.set(Reason::Unchecked, false) {
                target.state.checks.ask_at_once();
                let (upstream, name, address) = (&*self.name, &*target.spec.name, &*target.address);
                log::info!(upstream, target = name, address; "target serves on, though no new check has an answer yet");
            }
        }
    }

    /// A target that the next pool may have, too, may have been marked. This pool's registry may be held: pools are
    /// locked in the order in which they came.
    pub(crate) fn tell_next(&self) {
        if let Some(next) = self.successor() {
            next.look_again();
        }
    }

    /// Who has taken over from it.
    pub(crate) fn successor(&self) -> Option<Arc<Self>> {
        self.succession.next.lock().upgrade()
    }

    fn look_again(&self) {
        let registry = self.registry.lock();
        self.rebuild(&registry);
    }
}
