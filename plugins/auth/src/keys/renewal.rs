//! The task that keeps keys as they should be, and those who wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tidegate_core::{Clock, Stop};
use tokio::sync::{Notify, watch};

use super::set::Schedule;
use super::snapshot::Snapshot;
use super::{KeyRing, LOOK, Place};
use crate::id::Millis;

/// How soon after a failure.
const RETRY: Duration = Duration::from_secs(1);
/// The longest that nobody looks at keys of this gateway's own.
const REST: Duration = Duration::from_secs(3600);
/// How soon a question makes the task look again.
const COOLDOWN: Duration = Duration::from_secs(1);
/// The longest that a question waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between the task and those who want newer keys.
pub(super) struct Renewal {
    wanted: Notify,
    /// How often the task has looked.
    looked: watch::Sender<u64>,
    /// When it did so last, in milliseconds since 1970.
    last: AtomicU64,
    turn: tokio::sync::Mutex<()>,
}

impl Default for Renewal {
    fn default() -> Self {
        Self {
            wanted: Notify::new(),
            looked: watch::Sender::new(0),
            last: AtomicU64::new(0),
            turn: tokio::sync::Mutex::default(),
        }
    }
}

impl Renewal {
    /// Lets the task look, unless it has done so a moment ago, and waits until it has.
    pub(super) async fn ask(&self, clock: &Clock) {
        let last = Millis(self.last.load(Ordering::Relaxed));
        let now = Millis::of(clock.wall());
        if now >= last && now.since(last) < COOLDOWN {
            return;
        }
        let mut looked = self.looked.subscribe();
        self.wanted.notify_one();
        // Real time: somebody waits for an answer.
        let _ = tokio::time::timeout(PATIENCE, looked.changed()).await;
    }

    fn looked(&self, now: Millis) {
        self.last.store(now.0, Ordering::Relaxed);
        self.looked.send_modify(|times| *times += 1);
    }
}

/// Keeps the keys as they should be, until the configuration goes.
pub(super) async fn run(ring: &KeyRing, place: &Place, schedule: &Schedule, mut stop: Stop) {
    let mut failing = false;
    loop {
        let now = Millis::of(ring.clock.wall());
        let done = look(ring, place, schedule, now).await;
        ring.state.renewal.looked(now);
        match &done {
            Ok(()) => failing = false,
            Err(error) if !failing => {
                failing = true;
                log::error!("the signing keys can't be renewed; those that are there stay: {error}");
            }
            Err(_) => {}
        }
        let pause = pause(ring, place, schedule, now, done.is_err());
        tokio::select! {
            () = stop.stopped() => return,
            () = ring.clock.sleep(pause) => {}
            () = ring.state.renewal.wanted.notified() => {}
        }
    }
}

fn pause(ring: &KeyRing, place: &Place, schedule: &Schedule, now: Millis, failed: bool) -> Duration {
    if failed {
        return RETRY;
    }
    let due = ring.state.current.load().as_ref().map_or(LOOK, |keys| schedule.wait(&keys.set, now));
    let longest = match place {
        Place::Folder(_) => REST,
        Place::Shared(_) => LOOK,
    };
    due.clamp(Duration::from_millis(100), longest)
}

pub(super) async fn look(ring: &KeyRing, place: &Place, schedule: &Schedule, now: Millis) -> Result<(), String> {
    // While a reload takes over there are two tasks: what one has made the other has to see.
    let _turn = ring.state.renewal.turn.lock().await;
    let known = ring.state.current.load_full();
    let newer = match place {
        Place::Shared(shared) => shared.sync(known.as_ref().map(|keys| &keys.set), schedule, now).await?,
        Place::Folder(folder) => {
            let Some(next) = schedule.planned(known.as_ref().map(|keys| &keys.set), now).await? else { return Ok(()) };
            let (folder, written) = (folder.clone(), next.clone());
            let done = tokio::task::spawn_blocking(move || folder.write(&written)).await;
            done.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
            Some(Snapshot::new(&next)?)
        }
    };
    if let Some(newer) = newer {
        log::info!(keys = newer.set.keys.len(); "the signing keys have changed");
        ring.state.current.store(Some(Arc::new(newer)));
    }
    Ok(())
}
