//! How many requests are in at a time, and the queue of those that wait for a place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tidegate_core::Clock;
use tokio::sync::oneshot;

use super::Overloaded;
use super::shown::Shown;

/// One request that waits, in [`Gate::count`].
const WAITS: u64 = 1 << 32;

/// Lets requests in up to a limit. While nobody waits, coming and going is one atomic operation each.
#[derive(Debug)]
pub(super) struct Gate {
    /// Requests that are in, and in the upper half those that wait: in one word, so that nobody slips past the queue,
    /// and no place comes free unnoticed while somebody joins it.
    count: AtomicU64,
    limit: AtomicU32,
    most_waiting: u32,
    queue: Mutex<Queue>,
    shown: Arc<Shown>,
}

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    /// In the order in which they came.
    waiting: BTreeMap<u64, oneshot::Sender<Place>>,
}

/// A request that is in, for as long as this lives.
#[derive(Debug)]
pub(super) struct Place(Arc<Gate>);

/// A request that waits. It leaves the queue when this is dropped.
struct Waiting {
    gate: Arc<Gate>,
    ticket: u64,
    turn: oneshot::Receiver<Place>,
}

enum Entrance {
    In(Place),
    Waits(Waiting),
    Full,
}

impl Gate {
    /// `limit` is `u32::MAX` if there is none.
    pub(super) fn new(limit: u32, most_waiting: u32, shown: Arc<Shown>) -> Arc<Self> {
        Arc::new(Self {
            count: AtomicU64::new(0),
            limit: AtomicU32::new(limit),
            most_waiting,
            queue: Mutex::default(),
            shown,
        })
    }

    pub(super) fn inside(&self) -> u32 {
        inside(self.count.load(Ordering::Relaxed))
    }

    pub(super) fn waiting(&self) -> u32 {
        waiting(self.count.load(Ordering::Relaxed))
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Lets a request in, at once or when its turn comes, but waits no longer than `within`.
    pub(super) async fn enter(self: &Arc<Self>, clock: &Clock, within: Duration) -> Result<Place, Overloaded> {
        if let Some(place) = self.try_enter() {
            return Ok(place);
        }
        let mut waiting = match self.join() {
            Entrance::In(place) => return Ok(place),
            Entrance::Full => return Err(Overloaded::Full),
            Entrance::Waits(waiting) => waiting,
        };
        tokio::select! {
            biased;
            Ok(place) = &mut waiting.turn => Ok(place),
            () = clock.sleep(within) => waiting.leave().ok_or(Overloaded::QueueTimeout),
        }
    }

    /// Lets a request in if there is room and nobody waits.
    pub(super) fn try_enter(self: &Arc<Self>) -> Option<Place> {
        let limit = self.limit();
        let enter = |count| (waiting(count) == 0 && inside(count) < limit).then(|| count + 1);
        self.count.fetch_update(Ordering::AcqRel, Ordering::Relaxed, enter).ok()?;
        Some(Place(self.clone()))
    }

    /// Changes the limit. Requests that are in stay in, also when there are more of them now than may be.
    pub(super) fn set_limit(self: &Arc<Self>, limit: u32) {
        if self.limit.swap(limit, Ordering::AcqRel) < limit {
            self.let_in(self.queue.lock());
        }
    }

    fn join(self: &Arc<Self>) -> Entrance {
        let mut queue = self.queue.lock();
        // Under the lock: a higher limit is seen here, or whoever set it sees this request in the queue.
        if let Some(place) = self.try_enter() {
            return Entrance::In(place);
        }
        let most = self.most_waiting;
        let joined = self
            .count
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |count| (waiting(count) < most).then(|| count + WAITS));
        if joined.is_err() {
            return Entrance::Full;
        }
        let (sender, turn) = oneshot::channel();
        let ticket = queue.next;
        queue.next += 1;
        queue.waiting.insert(ticket, sender);
        self.shown.queued(self.waiting());
        // A place may have come free between the two steps, by somebody who saw nobody waiting.
        self.let_in(queue);
        Entrance::Waits(Waiting { gate: self.clone(), ticket, turn })
    }

    /// Gives places to those that wait, as far as there is room.
    fn let_in(self: &Arc<Self>, mut queue: MutexGuard<'_, Queue>) {
        while let Some(next) = self.next(&mut queue) {
            if let Err(unwanted) = next.send(Place(self.clone())) {
                // It has just gone. To give the place back takes the queue, and lets in the next one.
                drop(queue);
                drop(unwanted);
                return;
            }
        }
    }

    /// Whose turn it is, counted as in already. While anybody waits, only the holder of the queue lets requests in.
    fn next(&self, queue: &mut Queue) -> Option<oneshot::Sender<Place>> {
        let room = inside(self.count.load(Ordering::Acquire)) < self.limit.load(Ordering::Acquire);
        let (_, next) = room.then(|| queue.waiting.pop_first()).flatten()?;
        self.count.fetch_sub(WAITS - 1, Ordering::AcqRel);
        self.shown.queued(self.waiting());
        Some(next)
    }

    fn give_back(self: &Arc<Self>) {
        let leave = |count| (waiting(count) == 0).then(|| count - 1);
        if self.count.fetch_update(Ordering::AcqRel, Ordering::Relaxed, leave).is_err() {
            let queue = self.queue.lock();
            self.count.fetch_sub(1, Ordering::AcqRel);
            self.let_in(queue);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

impl Waiting {
    /// Stops waiting; a place that was given at this very moment is taken.
    fn leave(mut self) -> Option<Place> {
        self.quit();
        self.turn.try_recv().ok()
    }

    fn quit(&self) {
        let mut queue = self.gate.queue.lock();
        if queue.waiting.remove(&self.ticket).is_some() {
            self.gate.count.fetch_sub(WAITS, Ordering::AcqRel);
            self.gate.shown.queued(self.gate.waiting());
        }
    }
}

impl Drop for Waiting {
    /// After this, a place that was sent already is dropped with the channel, and goes to the next.
    fn drop(&mut self) {
        self.quit();
    }
}

fn inside(count: u64) -> u32 {
    (count % WAITS) as u32
}

fn waiting(count: u64) -> u32 {
    (count / WAITS) as u32
}
