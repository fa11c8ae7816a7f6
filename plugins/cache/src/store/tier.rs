//! The disk behind the memory: what is on it, and what is on its way there.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use tidegate_core::Bytes;

use super::disk::{Disk, DiskWrite, Way};
use super::hit::Hit;
use super::memory::Said;
use super::{Notes, Slot};

/// For how many answers on the disk it is remembered that somebody has a new one fetched.
const NOTED: usize = 1024;

/// A zone's disk, if it has one.
#[derive(Default)]
pub(super) struct Tier {
    disk: ArcSwapOption<Disk>,
    /// Bytes of the longest body.
    max_object: AtomicU64,
    /// Answers on their way to the disk, too long for memory. As few as there are such requests.
    flights: Mutex<Vec<Arc<DiskFlight>>>,
    /// What is noted beside answers that are too long for memory, as far as they were asked for lately.
    notes: Mutex<HashMap<Slot, Arc<Notes>>>,
}

/// An answer on its way to the disk.
pub(super) struct DiskFlight {
    slot: Slot,
    key: Box<[u8]>,
    said: Arc<Said>,
    way: Way,
}

impl Tier {
    pub(super) fn disk(&self) -> Option<Arc<Disk>> {
        self.disk.load_full()
    }

    /// Another disk from now on, or the same with other limits.
    pub(super) fn set(&self, disk: Option<Arc<Disk>>, max_object: u64) {
        self.max_object.store(if disk.is_some() { max_object } else { 0 }, Ordering::Relaxed);
        disk.iter().for_each(Disk::fit);
        self.disk.store(disk);
    }

    /// Bytes of the longest body on the disk; 0 without one.
    pub(super) fn max_object(&self) -> u64 {
        self.max_object.load(Ordering::Relaxed)
    }

    /// What is asked for a second time is worth a place on the disk.
    pub(super) fn keep(&self, slot: &Slot, key: &[u8], said: (&super::Head, &Notes), body: &[Bytes]) {
        let (head, notes) = said;
        if notes.kept.load(Ordering::Relaxed) || self.max_object() == 0 {
            return;
        }
        let disk = self.disk().filter(|disk| !disk.is_busy() && !notes.kept.swap(true, Ordering::Relaxed));
        if let Some(disk) = disk {
            disk.keep(slot, key, head, body.iter().cloned().collect());
        }
    }

    /// What is on its way to the disk.
    pub(super) fn flight(&self, slot: &Slot, key: &[u8]) -> Option<Hit> {
        let flights = self.flights.lock();
        let flight = flights.iter().rfind(|flight| flight.slot == *slot && *flight.key == *key)?;
        flight.way.follow().map(|follow| Hit::followed(flight.said.clone(), key, follow))
    }

    /// Begins to write what gets too long for memory, with what there is of it.
    pub(super) async fn begin(&self, slot: Slot, key: &[u8], said: Arc<Said>, body: &[Bytes]) -> Option<Overflow> {
        let disk = self.disk()?;
        let mut write = disk.begin(&slot, key, &said.head);
        for piece in body {
            write.write(piece.clone()).await;
        }
        if write.is_lost() {
            return None;
        }
        let flight = Arc::new(DiskFlight { slot, key: key.into(), said, way: write.way() });
        self.flights.lock().push(flight.clone());
        Some(Overflow { write, flight })
    }

    fn end(&self, flight: &Arc<DiskFlight>) {
        self.flights.lock().retain(|other| !Arc::ptr_eq(flight, other));
    }

    /// Nobody new finds what is on its way.
    pub(super) fn unlist(&self, slot: &Slot) {
        self.flights.lock().retain(|flight| flight.slot != *slot);
    }

    /// What is noted beside an answer on the disk.
    pub(super) fn notes(&self, slot: &Slot) -> Arc<Notes> {
        let mut notes = self.notes.lock();
        if notes.len() >= NOTED {
            notes.clear();
        }
        notes.entry(*slot).or_default().clone()
    }

    /// Another answer is there, or another head.
    pub(super) fn forget_notes(&self, slot: &Slot) {
        self.notes.lock().remove(slot);
    }
}

/// Writes to the disk what is too long for memory. Dropped before its end, nothing is stored.
pub(super) struct Overflow {
    write: DiskWrite,
    flight: Arc<DiskFlight>,
}

impl Overflow {
    pub(super) async fn write(&mut self, piece: Bytes) {
        self.write.write(piece).await;
    }

    /// It is whole: whoever asked for it need not wait until it is on the disk.
    pub(super) fn finish(self, tier: &'static Tier) {
        tokio::spawn(async move {
            // The disk says itself what it could not store.
            let _ = self.write.finish().await;
            tier.forget_notes(&self.flight.slot);
            tier.end(&self.flight);
        });
    }

    /// It is not.
    pub(super) fn give_up(self, tier: &Tier) {
        tier.end(&self.flight);
    }
}
