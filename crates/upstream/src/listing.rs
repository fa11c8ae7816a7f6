//! Taking what the configuration and the sources of targets list, and what name servers say about it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};

use tidegate_core::config::{ConfigError, ConfigErrors, ConfigPath};

use crate::address::{Address, HostPort};
use crate::check::check;
use crate::config::{TargetConfig, UpstreamConfig};
use crate::dns::{Answer, DnsError};
use crate::names::{NameState, News};
use crate::pick::TargetId;
use crate::pool::Pool;
use crate::registry::{Entry, Known, List, Place, Registry};
use crate::state::{Reason, State};
use crate::target::{LiveTarget, Spec};

/// Targets that were found to be in order.
pub(crate) struct Listing {
    pub(crate) listed: Vec<TargetConfig>,
    pub(crate) specs: Vec<Arc<Spec>>,
}

/// How a list differs from the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) added: usize,
    pub(crate) removed: usize,
}

impl Listing {
    /// The targets of the configuration itself, but for what [`check`] says of them.
    pub(crate) fn of_config(config: &UpstreamConfig) -> Result<Self, ConfigErrors> {
        Ok(Self { listed: config.targets.clone(), specs: specs(config)? })
    }

    /// Targets that come from elsewhere, held to what the configuration's own are, but that there may be none.
    pub(crate) fn read(targets: Vec<TargetConfig>, config: &UpstreamConfig) -> Result<Self, ConfigErrors> {
        if targets.is_empty() {
            return Ok(Self { listed: targets, specs: Vec::new() });
        }
        let config = UpstreamConfig { targets, discovery: Vec::new(), ..config.clone() };
        let at = ConfigPath::root().key("targets");
        let wrong: Vec<_> = check(&config).iter().filter(|e| e.path.strip_prefix(&at).is_some()).cloned().collect();
        let mut errors: ConfigErrors = wrong.into_iter().collect();
        let specs = errors.collect(specs(&config));
        errors.into_result(Self { listed: config.targets, specs: specs.unwrap_or_default() })
    }
}

fn specs(config: &UpstreamConfig) -> Result<Vec<Arc<Spec>>, ConfigErrors> {
    let at = ConfigPath::root().key("targets");
    let mut errors = ConfigErrors::new();
    let mut seen = BTreeSet::new();
    let mut specs = Vec::with_capacity(config.targets.len());
    for (index, target) in config.targets.iter().enumerate() {
        let at = at.index(index);
        let address = target.address.parse::<Address>();
        let address = address.map_err(|error| ConfigError::at(&at, error.to_string()).help(error.help()));
        let Some(address) = errors.collect(address) else { continue };
        if !seen.insert(address.clone()) {
            let twice = ConfigError::at(&at, format!("target `{address}` is listed twice"));
            errors.push(twice.help("list it once; `{ address, weight }` gives it a larger share"));
        }
        specs.push(Arc::new(Spec::new(address, target, config)));
    }
    errors.into_result(specs)
}

impl Pool {
    /// Takes the targets that the source at `index` lists now. Those that were known keep their state, those that
    /// are gone get no new request; requests on them end as they would have.
    pub(crate) fn list(&self, index: usize, listing: Listing) -> Change {
        let mut registry = self.registry.lock();
        let in_force = registry.given.is_none();
        let entries = self.entries(&registry, listing.specs, in_force);
        let Some(list) = registry.lists.get_mut(index) else { return Change::default() };
        let change = Change::between(&list.entries, &entries);
        *list = List { heard: true, listed: listing.listed, entries, ..List::new(list.source.clone()) };
        registry.forget_before();
        self.rebuild(&registry);
        drop(registry);
        self.announce();
        change
    }

    /// Wakes the tasks that work for each target.
    pub(crate) fn announce(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// The entries of a list. They are live only if the list counts.
    pub(crate) fn entries(&self, registry: &Registry, specs: Vec<Arc<Spec>>, in_force: bool) -> Vec<Entry> {
        let now = self.clock.now();
        let mut known = registry.known();
        let newcomers = self.newcomers();
        let entry = |spec: Arc<Spec>| {
            // Each address stands in a list once.
            let known = known.remove(&spec.address).unwrap_or_default();
            let is_name = matches!(spec.address, Address::Name(_));
            let name = is_name.then(|| known.name.clone().unwrap_or_else(|| NameState::new(now)));
            let mut entry = Entry { spec, name, drained: known.drained, live: Vec::new() };
            if in_force {
                entry.live = self.places(&entry, &known, newcomers);
            }
            entry
        };
        specs.into_iter().map(entry).collect()
    }

    /// The live targets of an entry: one at each of its addresses.
    pub(crate) fn places(&self, entry: &Entry, known: &Known, newcomers: Newcomers) -> Vec<Arc<LiveTarget>> {
        let place = |socket: Option<SocketAddr>| {
            let known = known.place(socket).cloned();
            let place = known.unwrap_or_else(|| self.newcomer(socket, entry.drained, newcomers));
            match place.live {
                Some(live) if live.spec == entry.spec => Some(live),
                _ => self.live_target(&entry.spec, socket, place.id, place.state),
            }
        };
        match (&entry.spec.address, &entry.name) {
            (Address::Name(host), Some(name)) => {
                let sockets = name.addresses.iter().map(|ip| SocketAddr::new(*ip, host.port));
                sockets.filter_map(|socket| place(Some(socket))).collect()
            }
            (Address::Inet(socket), _) => place(Some(*socket)).into_iter().collect(),
            (Address::Unix(_) | Address::Name(_), _) => place(None).into_iter().collect(),
        }
    }

    /// A target that nobody has met before.
    pub(crate) fn newcomer(&self, socket: Option<SocketAddr>, drained: bool, newcomers: Newcomers) -> Place {
        let state = State::default();
        state.set(Reason::Draining, drained);
        let unchecked = self.config.health.as_ref().is_some_and(|health| !health.assume_healthy);
        state.set(Reason::Unchecked, unchecked);
        let founding = newcomers != Newcomers::AmongOthers;
        state.founding.store(founding && unchecked, Ordering::Relaxed);
        if self.config.slow_start.is_some() && !unchecked && !founding {
            state.ramp_from.store(self.now(), Ordering::Relaxed);
        }
        let id = TargetId(self.next_id.fetch_add(1, Ordering::Relaxed));
        Place { socket, id, state: Arc::new(state), live: None }
    }

    pub(crate) fn newcomers(&self) -> Newcomers {
        let first = match self.running.load(Ordering::Relaxed) {
            true => self.view().targets().is_empty(),
            false => !self.succession.is_next,
        };
        if first { Newcomers::First } else { Newcomers::AmongOthers }
    }

    /// Takes what the name servers said.
    pub(crate) fn settle(&self, answers: &HashMap<HostPort, Result<Answer, DnsError>>) {
        let mut registry = self.registry.lock();
        let mut known: HashMap<HostPort, Known> = HashMap::new();
        let newcomers = self.newcomers();
        let in_force = registry.given.is_none();
        let mut moved = false;
        for (of_operator, entry) in registry.named_mut() {
            let Some(host) = entry.host().cloned() else { continue };
            let Some(answer) = answers.get(&host) else { continue };
            // Whoever serves on until this name has been asked for has waited long enough.
            moved |= entry.name.as_ref().is_some_and(|name| !name.asked());
            if self.learn(entry, answer) && (of_operator || in_force) {
                // In one list a name stands once, but two lists may both have it: then they share its places.
                let known = known.entry(host).or_default();
                entry.tell(known);
                entry.live = self.places(entry, known, newcomers);
                entry.tell(known);
                moved = true;
            }
        }
        if moved {
            self.rebuild(&registry);
            drop(registry);
            self.announce();
        }
    }

    /// Whether the name leads elsewhere from now on.
    fn learn(&self, entry: &mut Entry, answer: &Result<Answer, DnsError>) -> bool {
        let (now, wall): (Instant, SystemTime) = (self.clock.now(), self.clock.wall());
        let Some(state) = &mut entry.name else { return false };
        let (upstream, target) = (&*self.name, &*entry.spec.name);
        match answer {
            Ok(answer) => {
                let news = state.learn(answer.clone(), self.schedule, now, wall);
                match news {
                    News::None => {}
                    News::Recovered => log::info!(upstream, target; "target resolved again"),
                    News::Moved => log::info!(upstream, target, addresses:? = state.addresses; "target resolved"),
                }
                news == News::Moved
            }
            Err(error) => {
                let wait = state.fail(error.clone(), self.schedule, now);
                let kept = state.addresses.len();
                log::warn!(upstream, target, error:%, kept, retry_in:? = wait; "target not resolved");
                false
            }
        }
    }
}

/// Whether others serve already when a target comes: with nobody to grow beside, there is no slow start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Newcomers {
    First,
    AmongOthers,
}

impl Registry {
    /// All entries that are names, and whether each is one of the operator's list.
    fn named_mut(&mut self) -> impl Iterator<Item = (bool, &mut Entry)> {
        let given = self.given.iter_mut().map(|list| (true, list));
        let all = given.chain(self.lists.iter_mut().map(|list| (false, list)));
        all.flat_map(|(given, list)| list.entries.iter_mut().map(move |entry| (given, entry)))
            .filter(|(_, entry)| entry.name.is_some())
    }
}

impl Change {
    fn between(before: &[Entry], after: &[Entry]) -> Self {
        let addresses = |entries: &[Entry]| -> HashSet<Address> {
            entries.iter().map(|entry| entry.spec.address.clone()).collect()
        };
        let (before, after) = (addresses(before), addresses(after));
        Self { added: after.difference(&before).count(), removed: before.difference(&after).count() }
    }
}
