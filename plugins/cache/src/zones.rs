//! Zones by their names. A zone's store lives as long as the process, for Pingora wants it so; what is in it lives as long
//! as there is a configuration that uses it.

use std::sync::Arc;

use parking_lot::Mutex;
use tidegate_core::{BuildCx, ConfigError, ConfigErrors, ConfigPath};

use crate::config::ZoneConfig;
use crate::purge::Marks;
use crate::store::{Disk, Store, StoreMetrics};

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
        self.store.close();
    }
}

/// The zone of this name: the one that the configuration before had, or a new one. Its limits become those of `config` when
/// the configuration takes over. With a disk in another place it is a new one, whose keys are hashed in another way.
pub(crate) fn open(
    name: &str,
    config: &ZoneConfig,
    metrics: &StoreMetrics,
    cx: &mut BuildCx<'_>,
) -> Result<Arc<ZoneHandle>, ConfigErrors> {
    let (limits, most) = (config.limits()?, config.max_on_disk()?);
    let disk = disk(name, config, cx).map_err(|error| error.under(&ConfigPath::from("disk")))?;
    let place = config.disk.as_ref().map(|disk| disk.path.display().to_string()).unwrap_or_default();
    let slot = cx.retain(&format!("zone/{name}/{place}"), Slot::default);
    let handle = slot.get(|| {
        let marks = match &disk {
            Some(disk) => marks(disk, cx)?,
            None => Marks::new(),
        };
        let store = Store::new(limits, marks, cx.clock().clone(), metrics.zone(name));
        Ok(match disk.clone() {
            Some(disk) => store.with_disk(disk, most),
            None => store,
        })
    })?;
    let zone = handle.clone();
    cx.spawn(&format!("zone/{name}"), move |mut stop| async move {
        zone.store.resize(limits);
        if let Some(disk) = &disk
            && let Err(error) = zone.store.marks.seal_with(disk.keys())
        {
            log::error!(error:%; "what was purged can't be encrypted with another key");
        }
        zone.store.set_disk(disk, most);
        drop(zone);
        stop.stopped().await;
    });
    Ok(handle)
}

/// Its disk, which a dry run does not touch.
fn disk(name: &str, config: &ZoneConfig, cx: &BuildCx<'_>) -> Result<Option<Arc<Disk>>, ConfigErrors> {
    match &config.disk {
        None => Ok(None),
        Some(disk) if cx.is_dry_run() => Disk::check(disk).map(|()| None),
        Some(disk) => Disk::open(name, disk, cx.clock(), cx.metrics()).map(Some),
    }
}

/// What was purged stays purged: where that can't be known, nothing stored is used.
fn marks(disk: &Disk, cx: &BuildCx<'_>) -> Result<Marks, ConfigErrors> {
    let marks = Marks::kept(disk.dir(), disk.keys(), cx.clock().wall());
    marks.map_err(|error| {
        let error = ConfigError::at("disk.path", format!("what was purged can't be read: {error}"));
        error.help("remove the folder, and all that is stored in it").into()
    })
}

/// A zone from one configuration to the next.
#[derive(Default)]
struct Slot(Mutex<Option<Arc<ZoneHandle>>>);

impl Slot {
    fn get(&self, make: impl FnOnce() -> Result<Store, ConfigErrors>) -> Result<Arc<ZoneHandle>, ConfigErrors> {
        let mut slot = self.0.lock();
        if let Some(zone) = &*slot {
            return Ok(zone.clone());
        }
        let zone = Arc::new(ZoneHandle { store: Box::leak(Box::new(make()?)) });
        *slot = Some(zone.clone());
        Ok(zone)
    }
}
