//! Who is listed in a pool, and where they are: the configuration and each source of targets have a list.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::address::{Address, HostPort};
use crate::config::TargetConfig;
use crate::names::NameState;
use crate::pick::TargetId;
use crate::state::{Reason, State};
use crate::target::{LiveTarget, Spec};
use crate::view::View;

/// The lists of a pool: at 0 that of the configuration, after it those of `discovery:`, and of an embedder's sources.
pub(crate) struct Registry {
    pub(crate) lists: Vec<List>,
    /// What an operator has put in the place of all of them. The others are kept, with their names resolved, but
    /// nothing of theirs is live.
    pub(crate) given: Option<List>,
    /// What a pool of the configuration before knew, until each list has been heard of.
    pub(crate) before: HashMap<Address, Known>,
}

/// What somebody lists.
pub(crate) struct List {
    /// Who: `config`, `operator`, or the source's name.
    pub(crate) source: Arc<str>,
    /// Whether they have said anything yet.
    pub(crate) heard: bool,
    /// Why there is nothing newer, while the source fails.
    pub(crate) failure: Option<String>,
    /// As they said it.
    pub(crate) listed: Vec<TargetConfig>,
    pub(crate) entries: Vec<Entry>,
}

/// A target that somebody lists.
pub(crate) struct Entry {
    pub(crate) spec: Arc<Spec>,
    /// Set if its address is a name.
    pub(crate) name: Option<NameState>,
    /// Whether an operator drains it, at whatever addresses its name will lead to.
    pub(crate) drained: bool,
    /// One for each of its addresses.
    pub(crate) live: Vec<Arc<LiveTarget>>,
}

/// What is known of a target that somebody lists again.
#[derive(Clone, Default)]
pub(crate) struct Known {
    pub(crate) name: Option<NameState>,
    pub(crate) drained: bool,
    pub(crate) places: Vec<Place>,
}

/// One address of a target: what outlives its [`LiveTarget`].
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) socket: Option<SocketAddr>,
    pub(crate) id: TargetId,
    pub(crate) state: Arc<State>,
    /// Of the same pool.
    pub(crate) live: Option<Arc<LiveTarget>>,
}

impl Registry {
    pub(crate) fn new(sources: impl IntoIterator<Item = Arc<str>>) -> Self {
        Self { lists: sources.into_iter().map(List::new).collect(), given: None, before: HashMap::new() }
    }

    /// The lists that count: the operator's, or all others.
    pub(crate) fn lists(&self) -> impl Iterator<Item = &List> {
        let others = if self.given.is_none() { &self.lists[..] } else { &[] };
        self.given.iter().chain(others)
    }

    /// The targets that count.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.lists().flat_map(|list| &list.entries)
    }

    /// Those that don't count at present, too.
    fn all_entries(&self) -> impl Iterator<Item = &Entry> {
        self.given.iter().chain(&self.lists).flat_map(|list| &list.entries)
    }

    pub(crate) fn all_entries_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.given.iter_mut().chain(&mut self.lists).flat_map(|list| &mut list.entries)
    }

    /// Whom requests may go to when `view` is no longer right, in the order of the lists. A target that two lists
    /// name counts for the first.
    ///
    /// Those who take the place of others are not used before their name is resolved and their first health check is
    /// over. Until one of them is usable, those they replace serve on: or each change of all targets, or of a name's
    /// address, would be an outage.
    pub(crate) fn members(&self, view: &View) -> Vec<Arc<LiveTarget>> {
        let mut seen = HashSet::new();
        let all = self.entries().flat_map(|entry| &entry.live);
        let mut live: Vec<_> = all.filter(|target| seen.insert(target.id)).cloned().collect();
        let unresolved = self.entries().any(|entry| entry.name.as_ref().is_some_and(|name| !name.asked()));
        let awaited = unresolved || live.iter().any(|target| target.state.has(Reason::Unchecked));
        if awaited && !live.iter().any(|target| target.state.is_usable()) {
            let replaced = view.targets().iter().filter(|target| target.state.is_usable() && seen.insert(target.id));
            live.extend(replaced.cloned());
        }
        live
    }

    /// What is known of each target.
    pub(crate) fn known(&self) -> HashMap<Address, Known> {
        let mut all = HashMap::new();
        for entry in self.all_entries() {
            entry.tell(all.entry(entry.spec.address.clone()).or_default());
        }
        for (address, before) in &self.before {
            all.entry(address.clone()).or_insert_with(|| before.clone());
        }
        all
    }

    /// Up to `most` names that are to be asked for now and are not in `asking`, and how long until the next is.
    pub(crate) fn due(
        &self,
        now: Instant,
        most: usize,
        asking: &HashSet<HostPort>,
    ) -> (HashSet<HostPort>, Option<Duration>) {
        let (mut due, mut next) = (HashSet::new(), None);
        for (host, name) in self.names() {
            let wait = name.due_in(now);
            match wait.is_zero() {
                true if due.len() < most && !asking.contains(host) => drop(due.insert(host.clone())),
                // When an answer comes, there is another look.
                true => {}
                false => next = Some(next.map_or(wait, |next| wait.min(next))),
            }
        }
        (due, next)
    }

    /// The names that were never asked for.
    pub(crate) fn unasked(&self) -> HashSet<HostPort> {
        self.names().filter(|(_, name)| !name.asked()).map(|(host, _)| host.clone()).collect()
    }

    fn names(&self) -> impl Iterator<Item = (&HostPort, &NameState)> {
        self.all_entries().filter_map(|entry| Some((entry.host()?, entry.name.as_ref()?)))
    }

    /// What the configuration before knew is of no more use when all of this one have spoken.
    pub(crate) fn forget_before(&mut self) {
        if self.lists.iter().all(|list| list.heard) {
            self.before = HashMap::new();
        }
    }
}

impl List {
    pub(crate) fn new(source: Arc<str>) -> Self {
        Self { source, heard: false, failure: None, listed: Vec::new(), entries: Vec::new() }
    }
}

impl Entry {
    /// The name, if it is one.
    pub(crate) fn host(&self) -> Option<&HostPort> {
        match &self.spec.address {
            Address::Name(host) => Some(host),
            Address::Inet(_) | Address::Unix(_) => None,
        }
    }

    /// Adds what it knows of its target.
    pub(crate) fn tell(&self, known: &mut Known) {
        if known.name.is_none() {
            known.name.clone_from(&self.name);
        }
        known.drained |= self.drained;
        for live in &self.live {
            if known.place(live.socket).is_none() {
                known.places.push(Place::of(live));
            }
        }
    }
}

impl Known {
    pub(crate) fn place(&self, socket: Option<SocketAddr>) -> Option<&Place> {
        self.places.iter().find(|place| place.socket == socket)
    }
}

impl Place {
    fn of(live: &Arc<LiveTarget>) -> Self {
        Self { socket: live.socket, id: live.id, state: live.state.clone(), live: Some(live.clone()) }
    }
}
