//! Zones by their names. A zone's store lives as long as the process, for Pingora wants it so; what is in it lives as long
//! as there is a configuration that uses it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tidegate_core::{BuildCx, ConfigError};

use crate::config::ZoneConfig;
use crate::purge::Marks;
use crate::store::{Store, StoreMetrics};

/// One zone, as long as somebody uses it.
pub(crate) struct ZoneHandle {
    store: &'static Store,
}

impl ZoneHandle {
    pub(crate) fn store(&self) -> &'static Store {
        self.store
    }
}

impl Drop for ZoneHandle {
    fn drop(&mut self) {
        self.store.clear();
    }
}

/// The zone of this name: the one that the configuration before had, or a new one. Its limits become those of `config` when
/// the configuration takes over.
pub(crate) fn open(
    name: &str,
    config: &ZoneConfig,
    metrics: &StoreMetrics,
    cx: &mut BuildCx<'_>,
) -> Result<Arc<ZoneHandle>, ConfigError> {
    let limits = config.limits()?;
    let handle = cx.retain(&format!("zone/{name}"), || {
        let store = Store::new(limits, Marks::new(), metrics.zone(name));
        ZoneHandle { store: Box::leak(Box::new(store)) }
    });
    let zone = handle.clone();
    cx.spawn(&format!("zone/{name}"), move |mut stop| async move {
        zone.store.resize(limits);
        stop.stopped().await;
    });
    Ok(handle)
}
