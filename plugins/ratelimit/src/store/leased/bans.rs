//! Who is banned and who is not, as the store said it last.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::leases::Id;
use crate::rule::{Micros, Verdict};

const SHARDS: usize = 64;
/// In each shard. Of clients beyond that the store is asked each time.
const MOST: usize = 2048;

/// What is known of clients. Whoever was asked about last is known best, so what was asked earlier and answered later
/// changes nothing.
#[derive(Debug)]
pub(crate) struct Bans {
    shards: Box<[Mutex<HashMap<Id, Known>>]>,
    /// For how many microseconds anything is remembered; zero while nobody leases.
    length: AtomicU64,
}

#[derive(Debug)]
struct Known {
    /// `None`: something has happened, and the store must be asked.
    verdict: Option<Verdict>,
    at: Instant,
    until: Instant,
}

impl Default for Bans {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), length: AtomicU64::new(0) }
    }
}

impl Bans {
    /// Somebody leases, and remembers for so long.
    pub(super) fn remember_for(&self, length: Duration) {
        self.length.store(u64::try_from(length.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// The verdict as it is now, unless the store must be asked.
    pub(super) fn known(&self, id: Id, at: Instant) -> Option<Verdict> {
        let shard = self.shard(id).lock();
        let known = shard.get(&id).filter(|known| at < known.until)?;
        let verdict = known.verdict?;
        let passed = micros(at.saturating_duration_since(known.at));
        let least = u64::from(!verdict.allowed);
        let [reset, retry] = [verdict.reset, verdict.retry].map(|left| left.saturating_sub(passed).max(least));
        Some(Verdict { reset, retry, ..verdict })
    }

    /// The store was asked at this time and has answered.
    pub(super) fn said(&self, id: Id, verdict: Verdict, at: Instant) {
        self.note(id, Some(verdict), at);
    }

    /// A strike of this gateway has led to a ban of this length.
    pub(crate) fn begun(&self, id: Id, length: Micros) {
        let verdict = Verdict { quota: 1, reset: length, retry: length, ..Verdict::default() };
        self.note(id, Some(verdict), Instant::now());
    }

    /// It may be otherwise now: the next request asks.
    pub(crate) fn forget(&self, id: Id) {
        self.note(id, None, Instant::now());
    }

    pub(super) fn sweep(&self, at: Instant) {
        for shard in &self.shards {
            shard.lock().retain(|_, known| at < known.until);
        }
    }

    fn note(&self, id: Id, verdict: Option<Verdict>, at: Instant) {
        let most = self.length.load(Relaxed);
        if most == 0 {
            return;
        }
        let lasts = verdict.filter(|verdict| !verdict.allowed).map_or(most, |banned| banned.retry.min(most));
        let known = Known { verdict, at, until: at + Duration::from_micros(lasts) };
        let mut shard = self.shard(id).lock();
        match shard.get(&id) {
            Some(newer) if newer.at > at => return,
            None if shard.len() >= MOST => return,
            _ => {}
        }
        shard.insert(id, known);
    }

    fn shard(&self, id: Id) -> &Mutex<HashMap<Id, Known>> {
        // 64 of them, and six bits.
        &self.shards[id.place(SHARDS)]
    }
}

fn micros(duration: Duration) -> Micros {
    u64::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}
