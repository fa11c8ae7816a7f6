//! All upstreams of one configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tidegate_core::Clock;
use tidegate_core::config::{ConfigError, ConfigErrors, ConfigPath};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::address::Address;
use crate::check::check;
use crate::config::UpstreamConfig;
use crate::peer::PeerTemplate;
use crate::pool::{Pool, Target};
use crate::tls::TlsProfile;

/// The pools of one configuration, by name.
#[derive(Debug, Default)]
pub struct Upstreams {
    pools: BTreeMap<String, Arc<Pool>>,
}

/// Work to be spawned beside the requests.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Upstreams {
    /// Checks `configs` and makes their pools. A pool of `previous` whose configuration, and the files it names, did
    /// not change is taken over as it is, with its place in the rotation; of one that did, what its names resolved to.
    /// Reads certificate files; contacts nobody.
    ///
    /// # Errors
    /// Everything that is wrong, with paths relative to the `upstreams` section (`users.targets[0]`).
    pub fn build(configs: &BTreeMap<String, UpstreamConfig>, previous: Option<&Self>) -> Result<Self, ConfigErrors> {
        Self::build_with_clock(configs, previous, &Clock::system())
    }

    /// The same, with a clock of one's own for when names are resolved again.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_with_clock(
        configs: &BTreeMap<String, UpstreamConfig>,
        previous: Option<&Self>,
        clock: &Clock,
    ) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let mut pools = BTreeMap::new();
        for (name, config) in configs {
            let known = previous.and_then(|previous| previous.get(name));
            let built = build_pool(name, config, known, clock);
            let built = built.map_err(|errors| errors.under(&ConfigPath::root().key(name)));
            pools.extend(errors.collect(built).map(|pool| (name.clone(), pool)));
        }
        errors.into_result(Self { pools })
    }

    /// The pool of an upstream. A route looks it up once, when it is built.
    pub fn get(&self, name: &str) -> Option<&Arc<Pool>> {
        self.pools.get(name)
    }

    /// All pools, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Pool>> {
        self.pools.values()
    }

    /// Asks for every name that was never asked for, all at the same time, and waits for the answers, but no longer
    /// than `deadline`. To be awaited before requests are let in; a name without an answer is left to the tasks.
    pub async fn resolve_initially(&self, deadline: Duration) {
        let mut questions = JoinSet::new();
        for pool in self.iter() {
            for index in pool.unasked() {
                let pool = pool.clone();
                questions.spawn(async move { pool.refresh(index).await });
            }
        }
        let answers = async { while questions.join_next().await.is_some() {} };
        if tokio::time::timeout(deadline, answers).await.is_err() {
            log::warn!(unanswered = questions.len(); "names of upstreams not resolved in time");
        }
    }

    /// One task for each pool that has names and no task yet: to be spawned after each build, once
    /// [`resolve_initially`](Self::resolve_initially) is done. A pool outlives the configuration that made it, and
    /// ends its task by itself when it is dropped, so `stop` is to be the gateway's own end, not one configuration's.
    pub fn start(&self, stop: &watch::Receiver<bool>) -> Vec<Task> {
        let waiting = self.iter().filter(|pool| pool.needs_run());
        waiting.map(|pool| Box::pin(pool.run(stop.clone())) as Task).collect()
    }
}

fn build_pool(
    name: &str,
    config: &UpstreamConfig,
    known: Option<&Arc<Pool>>,
    clock: &Clock,
) -> Result<Arc<Pool>, ConfigErrors> {
    let mut errors = check(config);
    let targets = errors.collect(targets(config));
    let tls = config.tls.as_ref().map(TlsProfile::load).transpose();
    let tls = errors.collect(tls);
    let (Some(targets), Some(tls), true) = (targets, tls, errors.is_empty()) else { return Err(errors) };
    let peers = PeerTemplate::new(config, tls);
    match known {
        Some(known) if known.serves(config, &peers) => Ok(known.clone()),
        known => {
            let pool = Pool::new(name, config.clone(), targets, peers, clock.clone());
            known.into_iter().for_each(|known| pool.inherit(known));
            Ok(pool)
        }
    }
}

fn targets(config: &UpstreamConfig) -> Result<Vec<Target>, ConfigErrors> {
    let at = ConfigPath::root().key("targets");
    let mut errors = ConfigErrors::new();
    let mut seen = BTreeSet::new();
    let mut targets = Vec::new();
    for (index, target) in config.targets.iter().enumerate() {
        let at = at.index(index);
        let address = target.address.parse::<Address>();
        let address = address.map_err(|error| ConfigError::at(&at, error.to_string()).help(error.help()));
        let Some(address) = errors.collect(address) else { continue };
        if !seen.insert(address.clone()) {
            let twice = ConfigError::at(&at, format!("target `{address}` is listed twice"));
            errors.push(twice.help("list it once; `{ address, weight }` gives it a larger share"));
        }
        targets.push(Target::new(address, &target.address, target.weight, config));
    }
    errors.into_result(targets)
}
