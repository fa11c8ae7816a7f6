//! What a reload keeps of a token, and whose turn it is to fetch the next: one fetch at a time, pauses between failures,
//! and after an upstream's 401 only so often.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwapOption, Guard};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::token::Token;

/// One client's token.
#[derive(Debug)]
pub(crate) struct Slot {
    token: ArcSwapOption<Token>,
    /// An upstream didn't take the token, and another is on its way.
    doubted: AtomicBool,
    state: Mutex<State>,
    /// Somebody wants a token.
    wanted: Notify,
    /// How many fetches have ended.
    ended: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    flying: bool,
    wanted: bool,
    /// Fetches that have failed since the last that didn't.
    failures: u32,
    /// No sooner than this after a failure.
    retry: Option<Instant>,
    /// When a 401 last had a token fetched.
    asked: Option<Instant>,
    error: Option<Arc<str>>,
    /// Whether it was said that requests are refused.
    told: bool,
}

/// What became of somebody's wish for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// A fetch is on its way, or about to be.
    Coming,
    /// The last one failed; the next is so far away.
    Later(Duration),
}

/// When the next fetch is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Now,
    In(Duration),
    /// When somebody wants it.
    Wished,
}

/// How it stands with the last fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    StillGood,
    /// It worked again, after so many failures.
    Recovered(u32),
    /// The first failure.
    Failed,
    StillFailing,
}

/// How a client stands, for operators.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) failures: u32,
    pub(crate) error: Option<Arc<str>>,
    pub(crate) retry: Option<Instant>,
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            token: ArcSwapOption::empty(),
            doubted: AtomicBool::new(false),
            state: Mutex::default(),
            wanted: Notify::new(),
            ended: watch::Sender::new(0),
        }
    }
}

impl Slot {
    /// A token to be sent without waiting for a better one.
    pub(crate) fn fresh(&self, now: Instant) -> Option<Arc<Token>> {
        self.valid(now).filter(|_| !self.doubted.load(Relaxed))
    }

    /// A token that is good by its time.
    pub(crate) fn valid(&self, now: Instant) -> Option<Arc<Token>> {
        let token = self.token();
        token.as_ref().filter(|token| token.is_valid(now)).cloned()
    }

    pub(crate) fn token(&self) -> Guard<Option<Arc<Token>>> {
        self.token.load()
    }

    /// A request needs a token.
    pub(crate) fn wish(&self, now: Instant) -> Wish {
        let mut state = self.state.lock();
        match state.pause(now) {
            _ if state.flying || state.wanted => Wish::Coming,
            Some(pause) => Wish::Later(pause),
            None => {
                self.want(&mut state);
                Wish::Coming
            }
        }
    }

    /// An upstream didn't take this token: another is fetched, once in `every` at most. True if it is.
    pub(crate) fn doubt(&self, token: &Arc<Token>, now: Instant, every: Duration) -> bool {
        let is_current = self.token().as_ref().is_some_and(|current| Arc::ptr_eq(current, token));
        let mut state = self.state.lock();
        let rested = state.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= every);
        if !is_current || !rested || state.flying || state.wanted || state.pause(now).is_some() {
            return false;
        }
        state.asked = Some(now);
        self.doubted.store(true, Relaxed);
        self.want(&mut state);
        true
    }

    /// An operator wants another token, whenever the last one came.
    pub(crate) fn renew(&self) {
        let mut state = self.state.lock();
        state.retry = None;
        self.want(&mut state);
    }

    fn want(&self, state: &mut State) {
        state.wanted = true;
        self.wanted.notify_one();
    }

    /// Ends when somebody wants a token; it may end without.
    pub(crate) async fn wished(&self) {
        self.wanted.notified().await;
    }

    pub(crate) fn ended(&self) -> watch::Receiver<u64> {
        self.ended.subscribe()
    }

    /// Another configuration begins: what failed with the one before may work with this.
    pub(crate) fn begin(&self) {
        self.state.lock().retry = None;
    }

    /// When the next fetch is due. `refresh` says when a token is to be replaced, `at_start` whether the first one is
    /// fetched before anybody asks.
    pub(crate) fn next(&self, now: Instant, at_start: bool, refresh: impl Fn(&Token) -> Instant) -> Next {
        let state = self.state.lock();
        let until = |at: Instant| match at.saturating_duration_since(now) {
            Duration::ZERO => Next::Now,
            wait => Next::In(wait),
        };
        let token = self.token();
        match (state.wanted, state.retry, &*token) {
            (true, ..) => Next::Now,
            (false, Some(retry), _) => until(retry),
            (false, None, Some(token)) => until(refresh(token)),
            (false, None, None) if at_start || state.failures > 0 => Next::Now,
            (false, None, None) => Next::Wished,
        }
    }

    /// Takes off, unless somebody else has.
    pub(crate) fn start(&self) -> Option<Flying<'_>> {
        let mut state = self.state.lock();
        if state.flying {
            return None;
        }
        state.flying = true;
        state.wanted = false;
        Some(Flying(self))
    }

    /// True for the first request that is refused since there was a token.
    pub(crate) fn tells(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().told, true)
    }

    pub(crate) fn standing(&self) -> Standing {
        let state = self.state.lock();
        Standing { failures: state.failures, error: state.error.clone(), retry: state.retry }
    }
}

impl State {
    /// What is left of the pause after a failure.
    fn pause(&self, now: Instant) -> Option<Duration> {
        let left = self.retry?.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }
}

/// A fetch on its way; it has ended when this is dropped.
pub(crate) struct Flying<'a>(&'a Slot);

impl Flying<'_> {
    pub(crate) fn arrived(self, token: Token) -> Change {
        let mut state = self.0.state.lock();
        self.0.token.store(Some(Arc::new(token)));
        self.0.doubted.store(false, Relaxed);
        let failures = std::mem::take(&mut state.failures);
        (state.retry, state.error, state.told) = (None, None, false);
        if failures == 0 { Change::StillGood } else { Change::Recovered(failures) }
    }

    /// `pause` says how long to wait after so many failures.
    pub(crate) fn failed(self, error: &str, now: Instant, pause: impl Fn(u32) -> Duration) -> Change {
        let mut state = self.0.state.lock();
        // What is there is better than nothing.
        self.0.doubted.store(false, Relaxed);
        state.failures = state.failures.saturating_add(1);
        state.retry = now.checked_add(pause(state.failures));
        state.error = Some(error.into());
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

    const SECOND: Duration = Duration::from_secs(1);
    const EVERY: Duration = Duration::from_secs(30);

    fn token(now: Instant) -> Token {
        Token::new("a", now, 60 * SECOND).expect("a token")
    }

    fn refresh(token: &Token) -> Instant {
        token.expires - 10 * SECOND
    }

    #[test]
    fn wishes_cause_one_fetch() {
        let (slot, now) = (Slot::default(), Instant::now());
        assert_eq!(slot.next(now, false, refresh), Next::Wished);
        assert_eq!((slot.wish(now), slot.wish(now)), (Wish::Coming, Wish::Coming));
        assert_eq!(slot.next(now, false, refresh), Next::Now);
        let flying = slot.start().expect("nobody else");
        assert!(slot.start().is_none());
        assert_eq!(slot.wish(now), Wish::Coming);
        assert_eq!(flying.arrived(token(now)), Change::StillGood);
        assert_eq!(slot.next(now, false, refresh), Next::In(50 * SECOND));
        assert_eq!(slot.next(now + 50 * SECOND, false, refresh), Next::Now);
        assert!(slot.fresh(now + 59 * SECOND).is_some());
        assert!(slot.valid(now + 60 * SECOND).is_none());
    }

    #[test]
    fn failures_are_followed_by_pauses_and_a_token_is_used_while_it_is_good() {
        let (slot, now) = (Slot::default(), Instant::now());
        assert_eq!(slot.next(now, true, refresh), Next::Now);
        let fail = |now| slot.start().map(|flying| flying.failed("down", now, |failures| failures * SECOND));
        assert_eq!(fail(now), Some(Change::Failed));
        assert_eq!(slot.wish(now), Wish::Later(SECOND));
        assert_eq!(slot.next(now, true, refresh), Next::In(SECOND));
        assert_eq!(slot.next(now + SECOND, false, refresh), Next::Now);
        assert_eq!(fail(now + SECOND), Some(Change::StillFailing));
        assert_eq!(slot.wish(now + SECOND), Wish::Later(2 * SECOND));
        slot.begin();
        assert_eq!(slot.next(now, false, refresh), Next::Now, "another configuration tries at once");
        assert!(slot.tells() && !slot.tells());
        assert_eq!(slot.start().map(|flying| flying.arrived(token(now))), Some(Change::Recovered(2)));
        assert!(slot.tells());
        assert_eq!(fail(now), Some(Change::Failed));
        assert!(slot.fresh(now).is_some());
    }

    #[test]
    fn a_401_causes_one_fetch_in_a_while_and_only_for_the_token_that_is_in_use() {
        let (slot, now) = (Slot::default(), Instant::now());
        let land = || slot.start().map(|flying| flying.arrived(token(now)));
        assert!(land().is_some());
        let first = slot.valid(now).expect("a token");
        assert!(slot.doubt(&first, now, EVERY));
        assert!(!slot.doubt(&first, now, EVERY), "on its way");
        assert!(slot.fresh(now).is_none() && slot.valid(now).is_some());
        assert_eq!(slot.wish(now), Wish::Coming);
        assert!(land().is_some());
        let second = slot.fresh(now).expect("a token");
        assert!(!slot.doubt(&first, now + EVERY, EVERY), "no longer in use");
        assert!(!slot.doubt(&second, now + EVERY - SECOND, EVERY), "too soon");
        assert!(slot.doubt(&second, now + EVERY, EVERY));
        let failed = slot.start().map(|flying| flying.failed("down", now + EVERY, |_| SECOND));
        assert_eq!(failed, Some(Change::Failed));
        assert!(slot.fresh(now).is_some(), "better than nothing");
    }

    #[test]
    fn a_fetch_that_is_dropped_has_ended() {
        let slot = Slot::default();
        let ended = slot.ended();
        drop(slot.start());
        assert!(ended.has_changed().is_ok_and(|changed| changed));
        assert!(slot.start().is_some());
    }
}
