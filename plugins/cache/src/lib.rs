#![doc = include_str!("../README.md")]

mod admin;
mod admit;
#[doc(hidden)]
pub mod bench;
pub mod config;
mod control;
mod handler;
mod invalidate;
mod judge;
mod key;
mod operate;
mod purge;
mod rules;
mod status;
mod store;
mod vary;
mod warm;
mod zones;

#[doc(hidden)]
pub mod fuzz;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use tidegate_core::cache::Invalidates;
use tidegate_core::config::ByteSize;
use tidegate_core::{Admin, BuildCx, Clock, ConfigError, ConfigErrors, ConfigPath, Plugin, Route};

use config::{Config, Policy, ZoneConfig};
pub use handler::CacheRoute;
use invalidate::Holders;
use operate::{Operations, operate};
use rules::Rules;
use status::{Counters, Name};
use store::StoreMetrics;
use zones::ZoneHandle;

/// The plugin; its section is `cache`. See the crate's own page for what it does.
pub struct Cache {
    zones: BTreeMap<String, Arc<ZoneHandle>>,
    /// The longest body that each of them keeps.
    longest: BTreeMap<String, u64>,
    counters: Counters,
    operations: Operations,
    /// Where routes store: unsafe requests on others make that invalid, too.
    holders: Holders,
    clock: Clock,
}

/// The zone of routes that name none.
const MAIN: &str = "main";

impl Plugin for Cache {
    const NAME: &'static str = "cache";
    type Config = Config;
    type Policy = Policy;
    type Handler = CacheRoute;

    fn build(mut config: Config, cx: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        if config.zones.is_empty() {
            config.zones.insert(MAIN.to_owned(), ZoneConfig::default());
        }
        let metrics = StoreMetrics::new(cx.metrics())?;
        let mut errors = ConfigErrors::new();
        let (mut zones, mut longest) = (BTreeMap::new(), BTreeMap::new());
        for (name, zone) in &config.zones {
            let at = ConfigPath::from("zones").key(name);
            let opened = zones::open(name, zone, &metrics, cx).map_err(|error| error.under(&at));
            zones.extend(errors.collect(opened).map(|zone| (name.clone(), zone)));
            longest.insert(name.clone(), zone.longest());
        }
        errors.into_result(())?;
        let counters = Counters::new(cx.metrics())?;
        let operations = operate(&config, &zones, cx)?;
        Ok(Self { zones, longest, counters, operations, holders: Holders::default(), clock: cx.clock().clone() })
    }

    fn handler(&self, policy: Policy, route: &Route) -> Result<CacheRoute, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let zone_name = policy.zone.as_deref().unwrap_or(MAIN);
        let zone = errors.collect(self.zone(zone_name));
        let rules = errors.collect(Rules::build(&policy, route.name()));
        let name = errors.collect(Name::parse(&policy.status_header));
        let slice = policy.slice.map(|slice| self.slice(slice, zone_name)).transpose();
        let slice = errors.collect(slice.map_err(ConfigErrors::from));
        let (Some(zone), Some(rules), Some(name), Some(slice)) = (zone, rules, name, slice) else { return Err(errors) };
        let counters = self.counters.zone(zone_name);
        self.holders.add(&zone, &rules.key.query, &counters.invalidated);
        errors.into_result(CacheRoute {
            rules,
            zone,
            lock_wait: policy.lock.timeout.get(),
            slice,
            name,
            purge: policy.purge,
            fleet: self.operations.fleets.get(zone_name).cloned(),
            wanted: self.operations.wanted.clone(),
            clock: self.clock.clone(),
            counters,
        })
    }

    fn invalidates(&self) -> Option<Arc<dyn Invalidates>> {
        self.holders.invalidates(&self.clock)
    }

    fn admin(&self) -> Option<Arc<dyn Admin>> {
        Some(self.operations.pages.clone())
    }
}

/// Smaller slices cost more than they save; larger ones are no slices.
const SLICES: RangeInclusive<u64> = 64 << 10..=64 << 20;

impl Cache {
    /// The bytes of a slice, if its zone can keep one.
    fn slice(&self, slice: ByteSize, zone: &str) -> Result<u64, ConfigError> {
        let bytes = slice.bytes();
        if !SLICES.contains(&bytes) {
            let error = ConfigError::at("slice", format!("{slice} is not a size for slices"));
            return Err(error.help("from 64KiB to 64MiB; 1MiB is a good one for video"));
        }
        match self.longest.get(zone).filter(|longest| bytes > **longest) {
            None => Ok(bytes),
            Some(longest) => {
                let longest = ByteSize::new(*longest);
                let error = ConfigError::at("slice", format!("the zone keeps no body that is longer than {longest}"));
                Err(error.help("make the slices smaller, or `max_object` of the zone larger"))
            }
        }
    }

    fn zone(&self, name: &str) -> Result<Arc<ZoneHandle>, ConfigError> {
        self.zones.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = self.zones.keys().map(String::as_str).collect();
            ConfigError::unknown("zone", "zone", name, &known)
        })
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("zones", &self.zones.keys()).finish_non_exhaustive()
    }
}
