//! What is to be told, and when: bounded, the oldest go first when there is no room.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use parking_lot::Mutex;
use tidegate_core::Bytes;
use tokio::sync::Notify;

/// One event on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delivery {
    /// `Webhook-Id`: the same each time it is told.
    pub(super) id: String,
    pub(super) body: Bytes,
    /// How often it was told in vain.
    pub(super) tries: u32,
}

/// A delivery that was taken out, with its place among all.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) delivery: Delivery,
    number: u64,
}

/// Outlives a reload: what one configuration didn't get told, the next one tells.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// There is something new to do.
    pub(super) news: Notify,
}

#[derive(Default)]
struct State {
    /// By age.
    waiting: BTreeMap<u64, (Instant, Delivery)>,
    /// The same, by when they are due.
    due: BTreeSet<(Instant, u64)>,
    last: u64,
    owner: u64,
}

impl Queue {
    /// Adds one; how many had to go for it.
    pub(super) fn push(&self, delivery: Delivery, most: usize, now: Instant) -> u64 {
        let mut state = self.state.lock();
        state.last += 1;
        let number = state.last;
        state.add(number, now, delivery);
        let dropped = state.shrink(most);
        drop(state);
        self.news.notify_one();
        dropped
    }

    /// Puts one back, to be told again then; how many had to go for it.
    pub(super) fn put_back(&self, taken: Taken, due: Instant, most: usize) -> u64 {
        let mut state = self.state.lock();
        state.add(taken.number, due, taken.delivery);
        let dropped = state.shrink(most);
        drop(state);
        self.news.notify_one();
        dropped
    }

    /// The next one that is due, for its owner.
    pub(super) fn take(&self, owner: u64, now: Instant) -> Option<Taken> {
        let mut state = self.state.lock();
        if state.owner != owner {
            return None;
        }
        let (due, number) = *state.due.first().filter(|(due, _)| *due <= now)?;
        state.due.remove(&(due, number));
        let (_, delivery) = state.waiting.remove(&number)?;
        Some(Taken { delivery, number })
    }

    /// When the next one is due, for its owner.
    pub(super) fn next(&self, owner: u64) -> Option<Instant> {
        let state = self.state.lock();
        state.due.first().filter(|_| state.owner == owner).map(|(due, _)| *due)
    }

    /// Takes the queue over: whoever had it finishes what it has begun.
    pub(super) fn own(&self) -> u64 {
        let mut state = self.state.lock();
        state.owner += 1;
        state.owner
    }

    /// Whether nobody took it over.
    pub(super) fn is_owned_by(&self, owner: u64) -> bool {
        self.state.lock().owner == owner
    }

    pub(super) fn len(&self) -> usize {
        self.state.lock().waiting.len()
    }
}

impl State {
    fn add(&mut self, number: u64, due: Instant, delivery: Delivery) {
        self.waiting.insert(number, (due, delivery));
        self.due.insert((due, number));
    }

    fn shrink(&mut self, most: usize) -> u64 {
        let mut dropped = 0;
        while self.waiting.len() > most {
            let Some((number, (due, _))) = self.waiting.pop_first() else { break };
            self.due.remove(&(due, number));
            dropped += 1;
        }
        dropped
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn delivery(id: &str) -> Delivery {
        Delivery { id: id.to_owned(), body: Bytes::new(), tries: 0 }
    }

    #[test]
    fn the_oldest_go_when_it_is_full_and_nothing_is_taken_before_its_time() {
        let (queue, now) = (Queue::default(), Instant::now());
        let owner = queue.own();
        for id in ["a", "b"] {
            assert_eq!(queue.push(delivery(id), 2, now), 0);
        }
        let a = queue.take(owner, now).expect("due");
        assert_eq!(queue.put_back(a, now + Duration::from_secs(9), 2), 0);
        assert_eq!(queue.push(delivery("c"), 2, now), 1, "a goes: it is older than b, though due later");
        let taken: Vec<_> = std::iter::from_fn(|| queue.take(owner, now)).map(|taken| taken.delivery.id).collect();
        assert_eq!(taken, ["b", "c"]);
        assert_eq!((queue.len(), queue.next(owner)), (0, None));
    }

    #[test]
    fn whoever_came_before_takes_no_more() {
        let (queue, now) = (Queue::default(), Instant::now());
        let before = queue.own();
        queue.push(delivery("a"), 2, now);
        let after = queue.own();
        assert!(queue.take(before, now).is_none() && !queue.is_owned_by(before));
        assert!(queue.take(after, now).is_some());
    }
}
