//! All upstreams of one configuration.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tidegate_core::config::{ConfigError, ConfigErrors, ConfigPath};
use tidegate_core::{Clock, Metrics};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::check::check;
use crate::config::UpstreamConfig;
use crate::listing::Listing;
use crate::metrics::{PoolMetrics, UpstreamMetrics};
use crate::peer::PeerTemplate;
use crate::pool::{Plan, Pool};
use crate::tls::TlsProfile;

/// The pools of one configuration, by name.
#[derive(Debug, Default)]
pub struct Upstreams {
    pools: BTreeMap<String, Arc<Pool>>,
    metrics: Option<UpstreamMetrics>,
}

/// Work to be spawned beside the requests.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Upstreams {
    /// Checks `configs` and makes their pools. A pool of `previous` whose configuration, and the files it names, did
    /// not change is taken over as it is, with its place in the rotation; of one that did, what is known of the
    /// targets that both have. Reads certificate files; contacts nobody.
    ///
    /// # Errors
    /// Everything that is wrong, with paths relative to the `upstreams` section (`users.targets[0]`).
    pub fn build(
        configs: &BTreeMap<String, UpstreamConfig>,
        previous: Option<&Self>,
        metrics: &Metrics,
        clock: &Clock,
    ) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let mut pools = BTreeMap::new();
        let metrics = UpstreamMetrics::new(metrics, previous.and_then(|previous| previous.metrics.as_ref()));
        let metrics = metrics.map_err(|error| ConfigError::at("", error.to_string()))?;
        for (name, config) in configs {
            let known = previous.and_then(|previous| previous.get(name));
            let built = build_pool(name, config, known, &metrics, clock);
            let built = built.map_err(|errors| errors.under(&ConfigPath::root().key(name)));
            pools.extend(errors.collect(built).map(|pool| (name.clone(), pool)));
        }
        unknown_mirrors(configs).into_iter().for_each(|error| errors.push(error));
        errors.into_result(Self { pools, metrics: Some(metrics) })
    }

    /// The pool of an upstream. A route looks it up once, when it is built.
    pub fn get(&self, name: &str) -> Option<&Arc<Pool>> {
        self.pools.get(name)
    }

    /// All pools, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Pool>> {
        self.pools.values()
    }

    /// Finds out where the targets are and how they do, for those of which nothing is known, all at the same time:
    /// sources of targets, names, first health checks. Waits no longer than `deadline`; to be awaited before requests
    /// are let in. What has no answer then is left to the tasks.
    pub async fn prepare(&self, deadline: Duration) {
        let mut questions = JoinSet::new();
        for pool in self.iter() {
            let pool = pool.clone();
            questions.spawn(async move { pool.prepare().await });
        }
        let answers = async { while questions.join_next().await.is_some() {} };
        if tokio::time::timeout(deadline, answers).await.is_err() {
            log::warn!(unanswered = questions.len(); "upstreams not resolved or checked in time");
        }
    }

    /// Work for each pool that has some and no task yet: to be spawned after each build, once
    /// [`prepare`](Self::prepare) is done. A pool outlives the configuration that made it, and
    /// ends its task by itself when it is dropped, so `stop` is to be the gateway's own end, not one configuration's.
    pub fn start(&self, stop: &watch::Receiver<bool>) -> Vec<Task> {
        self.iter().filter_map(|pool| Some(Box::pin(pool.run(stop.clone())?) as Task)).collect()
    }
}

fn unknown_mirrors(configs: &BTreeMap<String, UpstreamConfig>) -> Vec<ConfigError> {
    let missing = configs.iter().filter_map(|(name, config)| {
        let to = &config.mirror.as_ref()?.upstream;
        let at = ConfigPath::root().key(name).key("mirror").key("upstream");
        match configs.contains_key(to) {
            _ if to == name => Some(ConfigError::at(at, "an upstream can't be its own mirror").help("name another")),
            true => None,
            false => Some(
                ConfigError::at(at, format!("there is no upstream `{to}`")).help("name one that stands in `upstreams`"),
            ),
        }
    });
    missing.collect()
}

fn build_pool(
    name: &str,
    config: &UpstreamConfig,
    known: Option<&Arc<Pool>>,
    metrics: &UpstreamMetrics,
    clock: &Clock,
) -> Result<Arc<Pool>, ConfigErrors> {
    let mut errors = check(config);
    let targets = errors.collect(Listing::of_config(config));
    let tls = config.tls.as_ref().map(TlsProfile::load).transpose();
    let tls = errors.collect(tls);
    let (Some(targets), Some(tls), true) = (targets, tls, errors.is_empty()) else { return Err(errors) };
    let peers = PeerTemplate::new(config, tls);
    if let Some(known) = known.filter(|known| known.serves(config, &peers)) {
        return Ok((*known).clone());
    }
    let metrics = PoolMetrics::new(name, metrics);
    let plan = Plan { name: name.into(), config: config.clone(), targets, peers, clock: clock.clone(), metrics };
    Ok(Pool::new(plan, known))
}
