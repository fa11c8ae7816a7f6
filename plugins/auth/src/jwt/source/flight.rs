//! What a reload keeps of keys that are fetched, and whose turn it is to fetch them: one at a time, and for unknown ids
//! only so often.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwapOption, Guard};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::sync::{Notify, watch};

use crate::jwt::keys::Keys;

/// Keys as they were fetched.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) keys: Arc<Keys>,
    pub(super) fetched: Instant,
    /// How long the answer said that it is good.
    pub(super) max_age: Option<Duration>,
    /// What their issuer says of itself.
    pub(super) metadata: Option<Arc<Map<String, Value>>>,
}

/// Keys that are fetched from one place, however many providers use them.
#[derive(Debug)]
pub(super) struct Flight {
    known: ArcSwapOption<Known>,
    state: Mutex<State>,
    /// Somebody wants newer ones.
    wanted: Notify,
    /// How many fetches have ended.
    ended: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    flying: bool,
    wanted: bool,
    /// When an unknown id caused a fetch.
    asked: Option<Instant>,
    /// When the last fetch ended.
    tried: Option<Instant>,
    /// How many have failed since the last that didn't.
    failures: u32,
    error: Option<Arc<str>>,
}

/// What became of somebody's wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// A fetch is on its way, or about to be.
    Coming,
    /// Not now: there was one just before.
    NotNow,
}

/// How it stands with the last fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// It worked, as the one before.
    StillGood,
    /// It worked again, after so many failures.
    Recovered(u32),
    /// The first failure.
    Failed,
    StillFailing,
}

impl Default for Flight {
    fn default() -> Self {
        let (ended, _) = watch::channel(0);
        Self { known: ArcSwapOption::empty(), state: Mutex::default(), wanted: Notify::new(), ended }
    }
}

impl Flight {
    pub(super) fn known(&self) -> Guard<Option<Arc<Known>>> {
        self.known.load()
    }

    /// Whether there would be a fetch if somebody wished for one.
    pub(super) fn is_open(&self, now: Instant, cooldown: Duration) -> bool {
        self.state.lock().is_open(now, cooldown)
    }

    /// Somebody has a token with an unknown id, or there are no keys at all.
    pub(super) fn wish(&self, now: Instant, cooldown: Duration) -> Wish {
        let mut state = self.state.lock();
        if !state.is_open(now, cooldown) {
            return Wish::NotNow;
        }
        if !state.flying && !state.wanted {
            state.wanted = true;
            state.asked = Some(now);
            drop(state);
            self.wanted.notify_one();
        }
        Wish::Coming
    }

    /// Whether nobody has had a reason to fetch anything yet.
    pub(super) fn is_unused(&self) -> bool {
        let state = self.state.lock();
        !state.flying && !state.wanted && state.tried.is_none()
    }

    /// Ends when somebody wishes; it may end without.
    pub(super) async fn wished(&self) {
        self.wanted.notified().await;
    }

    pub(super) fn ended(&self) -> watch::Receiver<u64> {
        self.ended.subscribe()
    }

    /// Whether it is time: somebody wishes, or `due` says so of the last good fetch, or of the last try and the
    /// failures since. Otherwise how long to wait.
    pub(super) fn wait(&self, now: Instant, due: impl Fn(Due) -> Duration) -> Duration {
        let state = self.state.lock();
        let since = |time: Option<Instant>, wait: Duration| match time {
            Some(time) => wait.saturating_sub(now.saturating_duration_since(time)),
            None => Duration::ZERO,
        };
        match (state.wanted, state.failures) {
            (true, _) => Duration::ZERO,
            (false, 0) => {
                let known = self.known.load();
                let max_age = known.as_ref().and_then(|known| known.max_age);
                since(known.as_ref().map(|known| known.fetched), due(Due::Again(max_age)))
            }
            (false, failures) => since(state.tried, due(Due::AfterFailures(failures))),
        }
    }

    /// Takes off, unless somebody else has.
    pub(super) fn start(&self) -> Option<Flying<'_>> {
        let mut state = self.state.lock();
        if state.flying {
            return None;
        }
        state.flying = true;
        state.wanted = false;
        Some(Flying(self))
    }

    /// Why the last fetch failed.
    pub(super) fn error(&self) -> Option<Arc<str>> {
        self.state.lock().error.clone()
    }
}

/// When a fetch is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// After a good one, whose answer is good for so long.
    Again(Option<Duration>),
    /// After so many failures.
    AfterFailures(u32),
}

impl State {
    fn is_open(&self, now: Instant, cooldown: Duration) -> bool {
        let cooled = self.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= cooldown);
        self.flying || self.wanted || cooled || self.tried.is_none()
    }
}

/// A fetch on its way; it has ended when this is dropped.
pub(super) struct Flying<'a>(&'a Flight);

impl Flying<'_> {
    pub(super) fn arrived(self, known: Known) -> Change {
        let tried = known.fetched;
        self.0.known.store(Some(Arc::new(known)));
        let mut state = self.0.state.lock();
        let failures = std::mem::take(&mut state.failures);
        (state.tried, state.error) = (Some(tried), None);
        if failures == 0 { Change::StillGood } else { Change::Recovered(failures) }
    }

    pub(super) fn failed(self, error: &str, now: Instant) -> Change {
        let mut state = self.0.state.lock();
        state.failures = state.failures.saturating_add(1);
        (state.tried, state.error) = (Some(now), Some(error.into()));
        if state.failures == 1 { Change::Failed } else { Change::StillFailing }
    }
}

impl Drop for Flying<'_> {
    fn drop(&mut self) {
        self.0.state.lock().flying = false;
        self.0.ended.send_modify(|ended| *ended = ended.wrapping_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOLDOWN: Duration = Duration::from_secs(30);

    fn known(now: Instant) -> Known {
        Known { keys: Arc::default(), fetched: now, max_age: None, metadata: None }
    }

    #[test]
    fn wishes_cause_one_fetch_and_the_next_only_after_a_while() {
        let (flight, start) = (Flight::default(), Instant::now());
        assert_eq!(flight.wish(start, COOLDOWN), Wish::Coming);
        assert_eq!(flight.wish(start, COOLDOWN), Wish::Coming);
        let flying = flight.start().expect("nobody else");
        assert!(flight.start().is_none());
        assert_eq!(flight.wish(start, COOLDOWN), Wish::Coming);
        assert_eq!(flying.arrived(known(start)), Change::StillGood);
        assert_eq!(flight.wish(start, COOLDOWN), Wish::NotNow);
        assert_eq!(flight.wish(start + COOLDOWN - Duration::from_millis(1), COOLDOWN), Wish::NotNow);
        assert_eq!(flight.wish(start + COOLDOWN, COOLDOWN), Wish::Coming);
        assert_eq!(flight.wait(start, |_| COOLDOWN), Duration::ZERO);
        drop(flight.start());
        assert_eq!(flight.wait(start, |_| COOLDOWN), COOLDOWN);
    }

    #[test]
    fn a_fetch_that_is_dropped_has_ended() {
        let flight = Flight::default();
        let ended = flight.ended();
        drop(flight.start());
        assert!(ended.has_changed().is_ok_and(|changed| changed));
        assert!(flight.start().is_some());
    }

    #[test]
    fn failures_are_counted_and_said_once() {
        let (flight, start) = (Flight::default(), Instant::now());
        assert_eq!(flight.start().map(|flying| flying.failed("down", start)), Some(Change::Failed));
        assert_eq!(flight.start().map(|flying| flying.failed("down", start)), Some(Change::StillFailing));
        assert_eq!(flight.error().as_deref(), Some("down"));
        let due = |due| if due == Due::AfterFailures(2) { COOLDOWN } else { Duration::ZERO };
        assert_eq!(flight.wait(start + COOLDOWN / 2, due), COOLDOWN / 2);
        assert_eq!(flight.start().map(|flying| flying.arrived(known(start))), Some(Change::Recovered(2)));
        assert_eq!(flight.error(), None);
    }
}
