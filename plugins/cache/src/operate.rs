//! What goes on beside requests: purges of other gateways, warming, and what operators see and do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::to_value;
use tidegate_core::config::{ConfigErrors, ConfigPath};
use tidegate_core::{BuildCx, Stop};
use tokio::sync::watch;

use crate::admin::{Pages, ZonePages};
use crate::config::{Config, FleetConfig};
use crate::purge::{Fleet, follow};
use crate::warm::{Wanted, Warmer, keep};
use crate::zones::ZoneHandle;

/// Redis keys begin with this.
const PREFIX: &str = "tidegate:";

/// What the rest of the plugin needs of it.
pub(crate) struct Operations {
    pub(crate) pages: Arc<Pages>,
    /// The zones' ways to tell other gateways.
    pub(crate) fleets: BTreeMap<String, Fleet>,
    /// Counts what is wanted, where somebody wants to know.
    pub(crate) wanted: Option<Arc<Wanted>>,
}

/// Sets all of it up; what takes time begins when the configuration takes over.
pub(crate) fn operate(
    config: &Config,
    zones: &BTreeMap<String, Arc<ZoneHandle>>,
    cx: &mut BuildCx<'_>,
) -> Result<Operations, ConfigErrors> {
    let mut errors = ConfigErrors::new();
    let fleets = match &config.fleet {
        Some(fleet) => errors.collect(join(fleet, zones, cx).map_err(|e| e.under(&ConfigPath::from("fleet")))),
        None => Some(BTreeMap::new()),
    };
    let warm = config.warm.as_ref().map(|_| warmer(config, cx).map_err(|e| e.under(&ConfigPath::from("warm"))));
    let warm = warm.map(|warm| errors.collect(warm));
    let gateway = errors.collect(cx.gateway());
    errors.into_result(())?;
    let (Some(fleets), Some(gateway)) = (fleets, gateway) else { return Err(ConfigErrors::new()) };
    let (warmer, wanted) = warm.flatten().map_or((None, None), |(warmer, wanted)| (Some(warmer), wanted));
    let pages = zones.iter().map(|(name, zone)| {
        let store = zone.store();
        let list = Box::new(move || to_value(store.stats()).unwrap_or_default());
        (name.clone(), ZonePages { marks: &store.marks, list, fleet: fleets.get(name).cloned() })
    });
    let stop = cx.retain("stop", || watch::Sender::new(false));
    let pages = Pages {
        zones: pages.collect(),
        clock: cx.clock().clone(),
        warmer,
        gateway,
        stop: Stop::new(stop.subscribe()),
        _sender: stop,
    };
    Ok(Operations { pages: Arc::new(pages), fleets, wanted })
}

/// Reads what other gateways purge, for each zone.
fn join(
    config: &FleetConfig,
    zones: &BTreeMap<String, Arc<ZoneHandle>>,
    cx: &mut BuildCx<'_>,
) -> Result<BTreeMap<String, Fleet>, ConfigErrors> {
    let store = cx.redis(&config.store).map_err(|error| error.under(&ConfigPath::from("store")))?;
    let me = cx.retain("fleet", || format!("{:032x}", rand::random::<u128>()));
    let mut fleets = BTreeMap::new();
    for (name, zone) in zones {
        let fleet = Fleet::new(store.clone(), PREFIX, name, &me);
        let (follower, marks, clock) = (fleet.clone(), &zone.store().marks, cx.clock().clone());
        let (every, zone) = (config.learn.get() / 2, zone.clone());
        // Where the stream was read to outlives a reload: nothing is missed between two configurations.
        let place = cx.retain(&format!("fleet/{name}/{}", config.store), tokio::sync::Mutex::<Option<String>>::default);
        cx.spawn(&format!("fleet/{name}"), move |stop| async move {
            follow(follower, marks, clock, every, &place, stop).await;
            drop(zone);
        });
        fleets.insert(name.clone(), fleet);
    }
    Ok(fleets)
}

type Warm = (Arc<Warmer>, Option<Arc<Wanted>>);

fn warmer(config: &Config, cx: &mut BuildCx<'_>) -> Result<Warm, ConfigErrors> {
    let Some(config) = config.warm.clone() else { return Err(ConfigErrors::new()) };
    // Secrets are not in it: a changed token is no reason to warm the cache anew.
    let begun = cx.retain(&format!("warm/{config:?}"), || AtomicBool::new(false));
    let (on_start, every) = (config.on_start, config.every.map(tidegate_core::config::Duration::get));
    let warmer = Arc::new(Warmer::new(config, cx)?);
    let again = warmer.clone();
    cx.spawn("warm", move |stop| async move {
        let first = on_start && !begun.swap(true, Ordering::AcqRel);
        again.repeat(first, every, stop).await;
    });
    let wanted = warmer.top().cloned().map(|top| {
        let count = top.count();
        let wanted = cx.retain(&format!("wanted/{count}"), || Wanted::new(count));
        let (counted, clock) = (wanted.clone(), cx.clock().clone());
        let most = Arc::new(move |count| counted.most(count));
        cx.spawn("top", move |stop| keep(top, most, clock, stop));
        wanted
    });
    Ok((warmer, wanted))
}
