#![doc = include_str!("../README.md")]

mod admin;
mod algorithm;
mod answer;
mod banned;
#[doc(hidden)]
pub mod bench;
pub mod config;
mod cost;
mod fields;
mod handler;
mod key;
mod later;
mod metrics;
mod registry;
mod rule;
mod store;
mod stores;
mod top;
mod upkeep;

use std::sync::Arc;

use tidegate_core::{Admin, BuildCx, ConfigErrors, Plugin, Route};

use banned::Banned;
use config::limits::{Limits, Shared};
use config::{Config, Policy};
use handler::Common;
pub use handler::RouteLimits;
use metrics::LimitMetrics;
use registry::Registry;
use stores::Stores;
use top::Top;

/// The plugin; its section is `ratelimit`. See the crate's own page for what it does.
pub struct RateLimit {
    shared: Shared,
    stores: Stores,
    metrics: LimitMetrics,
    common: Arc<Common>,
    registry: Arc<Registry>,
    banned: Option<Arc<Banned>>,
}

impl Plugin for RateLimit {
    const NAME: &'static str = "ratelimit";
    type Config = Config;
    type Policy = Policy;
    type Handler = RouteLimits;

    fn build(config: Config, cx: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let shared = errors.collect(Shared::build(&config));
        let metrics = errors.collect(LimitMetrics::new(cx.metrics()));
        let stores = errors.collect(Stores::build(&config, cx));
        let (Some(shared), Some(metrics), Some(stores)) = (shared, metrics, stores) else { return Err(errors) };
        let top = cx.retain("top", Top::default);
        let banned = shared.bans.clone().map(|bans| {
            let store = stores.of(&config.store, config.on_store_error, BAN_TAG, &metrics);
            store.map(|store| Arc::new(Banned::new(bans, config.store.clone(), store, &stores, &metrics)))
        });
        let banned = errors.collect(banned.transpose().map_err(|error| error.under(&"store".into())));
        let registry = Arc::new(Registry::new(top.clone(), banned.clone().flatten()));
        upkeep::spawn(&stores, &metrics, &config.memory, cx);
        let common = Arc::new(Common::new(cx.clock().clone(), top));
        errors.into_result(Self { shared, stores, metrics, common, registry, banned: banned.flatten() })
    }

    fn handler(&self, policy: Policy, route: &Route) -> Result<RouteLimits, ConfigErrors> {
        let limits = Limits::build(&policy, &self.shared, route)?;
        let store = self.stores.of(&limits.store, limits.on_store_error, self.tag(&policy, route), &self.metrics);
        let store = store.map_err(|error| error.under(&"store".into()))?;
        self.registry.add(route.name(), &limits, &store);
        let counted = limits.all().iter().map(|limit| {
            let shared = policy.shared.iter().any(|name| **name == *limit.name);
            let number = match shared {
                true => self.stores.number(&limit.name),
                false => self.stores.number(&format!("{}/{}", route.name(), limit.name)),
            };
            (self.metrics.counts(route.name(), &limit.name), number)
        });
        let counted = counted.collect();
        Ok(RouteLimits::new(limits, counted, store, self.banned.clone(), self.common.clone()))
    }

    /// A ban holds where nothing is limited, too.
    fn everywhere(&self) -> Option<Policy> {
        self.banned.is_some().then(Policy::default)
    }

    fn admin(&self) -> Option<Arc<dyn Admin>> {
        Some(self.registry.clone())
    }
}

/// Where bans are in a cluster, and so everything that is asked for together with them.
const BAN_TAG: &str = "all";

impl RateLimit {
    /// In a cluster one script sees one slot: all that a route asks for at once has one tag. A route with limits of its
    /// own only has its own; limits that routes share, and bans, are with everything that they are asked for with.
    fn tag<'a>(&self, policy: &Policy, route: &'a Route) -> &'a str {
        match self.banned.is_some() || !policy.shared.is_empty() {
            true => BAN_TAG,
            false => route.name(),
        }
    }
}

impl std::fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RateLimit").field("shared", &self.shared).finish_non_exhaustive()
    }
}
