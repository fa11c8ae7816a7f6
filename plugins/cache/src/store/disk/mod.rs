//! Answers on a disk, a file each: what is damaged, half written or can't be read is a miss, never a wrong body.
//!
//! All work on files is done by a few threads of the disk's own. Nobody waits for a write, and for a read no longer than the
//! zone says.

mod file;
mod folder;
mod head;
mod hit;
mod index;
mod metrics;
mod place;
mod pool;
mod quiet;
mod scan;
mod seal;
mod setup;
mod turns;
mod write;

#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::hash::Hasher;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use siphasher::sip::SipHasher13;
use smallvec::SmallVec;
use tidegate_core::{Bytes, Clock};

pub(crate) use self::hit::DiskHit;
pub(crate) use self::index::Index;
pub(crate) use self::seal::{Keys, SALT};
pub(crate) use self::write::{DiskWrite, Follow, Way};

use self::file::Entry;
use self::metrics::{DiskMetrics, Lost};
use self::place::Place;
use self::quiet::Quiet;
use super::{Head, Slot};

/// A zone's disk.
pub(crate) struct Disk {
    place: Arc<Place>,
    zone: Arc<str>,
    keys: Keys,
    /// How many bytes files may take.
    size: u64,
    /// How long a read may take.
    timeout: Duration,
    metrics: DiskMetrics,
    clock: Clock,
    bad_reads: Quiet,
    bad_writes: Quiet,
}

/// By which an answer is found: 64 bits of a keyed hash. Where two meet, one of them is a miss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id(pub(crate) u64);

impl Id {
    fn parse(name: &str) -> Option<Self> {
        u64::from_str_radix(name, 16).ok().map(Self)
    }
}

impl Disk {
    /// Where it is. What belongs to its answers may be kept here as well.
    pub(crate) fn dir(&self) -> &Path {
        self.place.folder.path()
    }

    /// What the zone's keys are hashed with: without it nothing here is found again.
    pub(crate) fn secret(&self) -> [u8; 16] {
        self.place.folder.secret()
    }

    /// With what its files are encrypted, if they are.
    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Whether it may be there; costs no look at the disk. While the folder is being scanned, all may be.
    pub(crate) fn may_hold(&self, slot: &Slot) -> bool {
        !self.place.is_scanned() || self.place.index.holds(self.id(slot))
    }

    /// An answer that is there, its head and, if it is short, its body checked.
    pub(crate) async fn find(self: &Arc<Self>, slot: &Slot, key: &[u8]) -> Option<DiskHit> {
        let id = self.id(slot);
        if !self.place.index.touch(id) && self.place.is_scanned() {
            self.metrics.reads.miss.inc();
            return None;
        }
        let (disk, key) = (self.clone(), stored_key(slot, key));
        let found = self.place.pool.run(self.timeout, move || hit::look(&disk, id, &key)).await;
        let reads = &self.metrics.reads;
        match &found {
            Ok(Ok(Some(_))) => reads.hit.inc(),
            Ok(Ok(None)) => reads.miss.inc(),
            Ok(Err(error)) if is_broken(error) => reads.broken.inc(),
            Ok(Err(_)) => reads.failed.inc(),
            Err(_) => reads.busy.inc(),
        }
        found.ok()?.ok()?
    }

    /// Begins to store an answer. It never fails at once: one that is lost takes no more, and its end says so.
    pub(crate) fn begin(self: &Arc<Self>, slot: &Slot, key: &[u8], head: &Head) -> DiskWrite {
        DiskWrite::begin(self, self.id(slot), stored_key(slot, key), head)
    }

    /// Whether it has enough to do: what can wait should.
    pub(crate) fn is_busy(&self) -> bool {
        self.place.pool.hangs() || self.place.waiting.load(Ordering::Relaxed) > write::WAITING_IN_ALL / 2
    }

    /// Stores a whole answer some time later, unless the disk can't keep up.
    pub(crate) fn keep(self: &Arc<Self>, slot: &Slot, key: &[u8], head: &Head, body: SmallVec<[Bytes; 1]>) {
        self.begin(slot, key, head).keep(body);
    }

    /// Gives a stored answer another head, after a 304. `false`: what is there is another answer, or nothing.
    pub(crate) async fn replace_head(self: &Arc<Self>, slot: &Slot, key: &[u8], head: &Head) -> bool {
        let id = self.id(slot);
        if !self.may_hold(slot) {
            return false;
        }
        let (disk, key, head) = (self.clone(), stored_key(slot, key), head.clone());
        let replaced = self.place.pool.run(self.timeout, move || {
            let replaced = disk.write_head(id, &key, &head);
            replaced.unwrap_or_else(|error| {
                disk.cannot_write(Lost::of(&error));
                false
            })
        });
        replaced.await.unwrap_or(false)
    }

    /// Removes an answer, and has what is being written not stored: from now on it is not found. Whether it was there.
    pub(crate) async fn remove(self: &Arc<Self>, slot: &Slot) -> bool {
        let Some(known) = self.hide(slot) else { return false };
        let (disk, id) = (self.clone(), self.id(slot));
        // A file that stays is not in the index, so that only the next start would find it.
        let removed = self.place.pool.run(self.timeout, move || disk.remove_file(id)).await;
        known || removed.unwrap_or(false)
    }

    /// The same for nobody to wait: there is a newer one.
    pub(crate) fn forget(self: &Arc<Self>, slot: &Slot) {
        let Some(known) = self.hide(slot) else { return };
        let (disk, id) = (self.clone(), self.id(slot));
        let remove = move || {
            disk.remove_file(id);
        };
        match known {
            // Of these there are no more than there were answers.
            true => self.place.pool.surely(remove),
            false => drop(self.place.pool.later(remove)),
        }
    }

    /// From now on it is not found, once the folder is listed. Whether it was known; `None`: it is not there.
    fn hide(&self, slot: &Slot) -> Option<bool> {
        let id = self.id(slot);
        self.place.turns.supersede(id);
        let known = self.place.index.remove(id);
        if known {
            self.show();
        }
        (known || !self.place.is_scanned()).then_some(known)
    }

    fn remove_file(&self, id: Id) -> bool {
        let removed = self.place.remove(id);
        removed.unwrap_or_else(|error| self.cannot_remove(&error))
    }

    fn id(&self, slot: &Slot) -> Id {
        let mut hash = SipHasher13::new_with_key(&self.secret());
        hash.write(&slot.key);
        slot.variant.iter().for_each(|variant| hash.write(variant));
        Id(hash.finish())
    }

    /// Writes another head behind the body, whose answer must still be the same.
    fn write_head(&self, id: Id, key: &[u8], head: &Head) -> io::Result<bool> {
        let _alone = self.place.alone(id);
        let path = self.place.folder.of(id);
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            file => file?,
        };
        let entry = Entry::read(&file, &self.keys)?;
        if entry.key != key || !is_same_answer(&entry.head, head) {
            return Ok(false);
        }
        let number = entry.number.wrapping_add(1);
        let Some(bytes) = file::later(&entry.start, &self.keys, number, &head::encode(head)) else {
            // Longer by more than a 304 adds: as good as another answer.
            self.place.index.remove(id);
            std::fs::remove_file(self.place.folder.of(id))?;
            return Ok(false);
        };
        file.write_all_at(&bytes, entry.start.room_at(number))?;
        self.place.index.insert(id, file.metadata()?.len());
        Ok(true)
    }

    /// Evicts until there is room for what is reserved.
    fn make_room(&self) {
        while self.place.taken() > self.size {
            let Some(id) = self.place.index.victim() else { return };
            self.metrics.evicted.inc();
            self.unlink(id);
        }
    }

    /// Evicts so many bytes, but no more than an eighth, whatever there is room for.
    fn give_way(&self, bytes: u64) {
        let all = self.place.index.bytes();
        let most = all - bytes.min((all / 8).max(1 << 20)).min(all);
        while self.place.index.bytes() > most {
            let Some(id) = self.place.index.victim() else { return };
            self.metrics.evicted.inc();
            self.unlink(id);
        }
        self.show();
    }

    fn unlink(&self, id: Id) -> bool {
        self.place.unlink(id).unwrap_or_else(|error| self.cannot_remove(&error))
    }

    fn cannot_remove(&self, error: &io::Error) -> bool {
        if let Some(quiet) = self.bad_writes.is_due(&self.clock) {
            log::warn!(zone = &*self.zone, error:%, quiet; "a stored answer can't be removed from the disk");
        }
        false
    }

    /// What can't be used is removed, unless that may be the machine's fault for the moment.
    fn cannot_read(&self, id: Id, error: &io::Error) {
        let file = self.place.folder.of(id);
        if let Some(quiet) = self.bad_reads.is_due(&self.clock) {
            log::warn!(zone = &*self.zone, file:% = file.display(), error:%, quiet; "a stored answer can't be used: a miss");
        }
        if !is_passing(error) {
            self.place.index.remove(id);
            self.unlink(id);
            self.show();
        }
    }

    fn cannot_write(&self, why: Lost) {
        self.metrics.writes.lost(why);
        if why == Lost::Aborted {
            return;
        }
        if let Some(quiet) = self.bad_writes.is_due(&self.clock) {
            let error = io::Error::from(why);
            log::warn!(zone = &*self.zone, error:%, quiet; "an answer is not stored on the disk");
        }
    }

    fn show(&self) {
        let index = &self.place.index;
        self.metrics.bytes.set(i64::try_from(index.bytes()).unwrap_or(i64::MAX));
        self.metrics.objects.set(i64::try_from(index.objects()).unwrap_or(i64::MAX));
    }
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disk").field("zone", &self.zone).field("dir", &self.dir()).finish_non_exhaustive()
    }
}

/// A key with its variant, of which two in one file must not be mistaken for one another either.
fn stored_key(slot: &Slot, key: &[u8]) -> Vec<u8> {
    let variant = slot.variant.as_ref().map_or(&[][..], |variant| variant.as_slice());
    [key, variant, &[u8::from(slot.variant.is_some())]].concat()
}

/// Whether a head may take the place of another: what tells two bodies apart is the same.
fn is_same_answer(stored: &Head, new: &Head) -> bool {
    use tidegate_core::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, LAST_MODIFIED};
    let same = |name| stored.headers.get(&name) == new.headers.get(&name);
    let validator = if stored.headers.contains_key(ETAG) { same(ETAG) } else { same(LAST_MODIFIED) };
    // What came without its length has got it since it was written.
    let length = !stored.headers.contains_key(CONTENT_LENGTH) || same(CONTENT_LENGTH);
    validator && length && stored.status == new.status && stored.variance == new.variance && {
        [CONTENT_ENCODING, CONTENT_RANGE].into_iter().all(same)
    }
}

fn is_broken(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

/// Whether it says nothing of the file: too many are open, or memory is short.
fn is_passing(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let passing = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::INTR, Errno::AGAIN];
    Errno::from_io_error(error).is_some_and(|errno| passing.contains(&errno))
}

impl file::ReadAt for File {
    fn length(&self) -> u64 {
        self.metadata().map_or(0, |meta| meta.len())
    }

    fn read_at(&self, at: u64, to: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(to, at)
    }
}

/// Reads a whole file as it would be served, and says how long its body is. For the fuzzer: it panics for none. So that
/// checksums don't keep it from the rest, it takes the same bytes for a head as well.
pub(crate) fn read_whole(file: &[u8]) -> Option<u64> {
    if let Some(head) = head::decode(file) {
        assert!(head::decode(&head::encode(&head)).is_some(), "what was read can't be written");
    }
    let entry = Entry::read(file, &Keys::default()).ok()?;
    (0..entry.start.blocks())
        .try_fold(0, |length, block| entry.block(file, block).ok().map(|block| length + block.len() as u64))
}
