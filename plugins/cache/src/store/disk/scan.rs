//! After a start: what is in the folder? Names and lengths only, in the background.

use std::io;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use super::Disk;

/// Others want the disk, too.
const REST: Duration = Duration::from_micros(200);
/// How often it is said how far it is.
const NEWS: Duration = Duration::from_secs(10);

/// Begins. Until it is done, lookups go to the file system.
pub(super) fn start(disk: &Arc<Disk>) {
    disk.metrics.scanning.set(1);
    let weak = Arc::downgrade(disk);
    let started = thread::Builder::new().name("tidegate-scan".to_owned()).spawn(move || scan(&weak));
    if let Err(error) = started {
        log::error!(zone = disk.zone; "no thread to read the cache's folder with: {error}");
    }
}

/// Ends early when nobody has the disk any more.
fn scan(disk: &Weak<Disk>) {
    let Some((clock, zone, parts)) = disk.upgrade().map(|disk| (disk.clock.clone(), disk.zone.clone(), disk.parts()))
    else {
        return;
    };
    let mut last = clock.now();
    let result = parts.and_then(|parts| {
        for part in parts {
            let Some(disk) = disk.upgrade() else { return Ok(false) };
            disk.place.folder.list_part(&part, |id, length| disk.place.index.insert(id, length))?;
            disk.make_room();
            disk.show();
            let now = clock.now();
            if now.saturating_duration_since(last) >= NEWS {
                last = now;
                log::info!(zone = &*zone, objects = disk.place.index.objects(); "the cache's folder is being read");
            }
            drop(disk);
            thread::sleep(REST);
        }
        Ok(true)
    });
    let Some(disk) = disk.upgrade() else { return };
    match result {
        Ok(true) => disk.has_scanned(),
        Ok(false) => {}
        Err(error) => {
            log::warn!(zone = &*zone, error:%; "the cache's folder can't be read: each lookup goes to the disk");
        }
    }
    disk.metrics.scanning.set(0);
    if let Err(error) = disk.place.folder.remove_old() {
        log::warn!(zone = &*zone, error:%; "what the cache's folder held before can't be removed");
    }
}

impl Disk {
    fn parts(&self) -> io::Result<Vec<std::path::PathBuf>> {
        self.place.folder.parts()
    }

    fn has_scanned(&self) {
        let index = &self.place.index;
        self.place.has_scanned();
        log::info!(zone = &*self.zone, objects = index.objects(), bytes = index.bytes(); "the cache's folder was read");
    }
}
