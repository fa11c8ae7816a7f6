//! What is known here, what is asked, and what happens while nobody answers.

use std::time::{Duration, Instant};

use tidegate_core::{Metrics, Stop, TimeSource as _};
use tidegate_testkit::{ManualClock, manual_clock, wait_until};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::*;
use crate::id::Id;
use crate::store::fake::FakeStore;
use crate::verdict::Name;

const LEARN: Duration = Duration::from_secs(1);

/// A gateway's share of revocations, and the task that reads the store.
struct Gateway {
    revocations: Arc<Revocations>,
    clock: ManualClock,
    stop: watch::Sender<bool>,
    _task: Option<JoinHandle<()>>,
}

impl Gateway {
    fn new(store: &Arc<FakeStore>, mode: RevocationMode, on_store_error: OnStoreError, entries: usize) -> Self {
        Self::knowing(Arc::new(Known::new(entries)), store, mode, on_store_error)
    }

    fn knowing(known: Arc<Known>, store: &Arc<FakeStore>, mode: RevocationMode, on_store_error: OnStoreError) -> Self {
        let manual = manual_clock();
        let (store, clock) = (Some(store.clone() as Arc<dyn Store>), Clock::new(manual.clone()));
        let revocations = Arc::new(Revocations { mode, on_store_error, known, store, clock });
        Self { revocations, clock: manual, stop: watch::Sender::new(false), _task: None }
    }

    /// Begins to read, and waits until that has been tried once.
    async fn reads(mut self) -> Self {
        let config = RevocationConfig::default();
        let store = self.revocations.store.clone().expect("a store");
        let metrics = learn::LearnMetrics::new(&Metrics::new()).expect("metrics");
        let (known, clock) = (self.revocations.known.clone(), self.revocations.clock.clone());
        let learner = Learner::new(known, store, clock, config.learn.get(), metrics);
        self._task = Some(tokio::spawn(learner.run(Stop::new(self.stop.subscribe()))));
        self.asleep().await;
        self
    }

    /// Waits until the task has nothing to do.
    async fn asleep(&self) {
        wait_until("the reader sleeps", || self.clock.sleepers() == 1).await;
    }

    /// Lets time pass in which the store is read once.
    async fn tick(&self) {
        self.asleep().await;
        self.clock.advance(LEARN / 2);
        // The sleeper is gone at once, and comes back when the store was read.
        self.asleep().await;
    }

    fn check(&self, jti: &str) -> Standing {
        self.revocations.check(&mark(jti))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

fn mark(jti: &str) -> Mark {
    let (token, subject) = (Name::of_jti(None, jti), Name::of_subject(None, "u1"));
    Mark { token, subject, session: Some(Id::hash(&[b"s1"])), issued: 100, expires: 4_000_000_000 }
}

fn of_token(jti: &str) -> Revocation {
    Revocation { what: Revoked::Token(Name::of_jti(None, jti).own), before: u64::MAX, until: Millis(u64::MAX / 2) }
}

#[tokio::test]
async fn a_good_token_asks_nobody() {
    let store = FakeStore::new();
    let gateway = Gateway::new(&store, RevocationMode::Local, OnStoreError::Allow, 1000).reads().await;
    let before = store.calls();
    for _ in 0..10_000 {
        assert_eq!(gateway.check("a"), Standing::Good);
    }
    assert_eq!(store.calls(), before);
}

#[tokio::test]
async fn until_everything_is_known_the_store_is_asked() {
    let store = FakeStore::new();
    store.revoke(&[of_token("old")], Millis(0)).await.expect("revoked");
    let gateway = Gateway::new(&store, RevocationMode::Local, OnStoreError::Deny, 1000);
    assert_eq!(gateway.check("old"), Standing::Ask);
    assert!(gateway.revocations.ask(&mark("old")).await.expect("an answer"));
    assert!(!gateway.revocations.ask(&mark("new")).await.expect("an answer"));
    let gateway = gateway.reads().await;
    assert_eq!((gateway.check("old"), gateway.check("new")), (Standing::Revoked, Standing::Good));
}

#[tokio::test]
async fn what_is_revoked_elsewhere_is_known_within_the_time_to_learn() {
    let store = FakeStore::new();
    let gateway = Gateway::new(&store, RevocationMode::Local, OnStoreError::Allow, 1000).reads().await;
    store.revoke(&[of_token("a")], Millis(0)).await.expect("revoked");
    assert_eq!(gateway.check("a"), Standing::Good);
    gateway.tick().await;
    assert_eq!(gateway.check("a"), Standing::Revoked);
    assert_eq!(gateway.check("b"), Standing::Good);
}

#[tokio::test]
async fn what_was_revoked_while_nobody_read_is_asked_about() {
    let store = FakeStore::new();
    let gateway = Gateway::new(&store, RevocationMode::Local, OnStoreError::Allow, 1000).reads().await;
    gateway.stop.send_replace(true);
    wait_until("the reader is gone", || gateway._task.as_ref().is_some_and(JoinHandle::is_finished)).await;
    // A configuration with `strict` or `off` was the current one meanwhile.
    gateway.clock.advance(Duration::from_secs(3600));
    store.revoke(&[of_token("a")], Millis(0)).await.expect("revoked");
    let progress = &gateway.revocations.known.progress;
    progress.resume(gateway.revocations.clock.now(), LEARN * 3);
    assert_eq!(gateway.check("a"), Standing::Ask);
    progress.caught_up(gateway.revocations.clock.now());
    progress.resume(gateway.revocations.clock.now(), LEARN * 3);
    assert!(progress.is_whole(), "a reload is no pause");
}

#[tokio::test]
async fn what_is_revoked_here_holds_at_once() {
    let store = FakeStore::new();
    for mode in [RevocationMode::Local, RevocationMode::Strict] {
        let gateway = Gateway::new(&store, mode, OnStoreError::Allow, 1000);
        gateway.revocations.heard(&[of_token("a")]);
        assert_eq!(gateway.check("a"), Standing::Revoked);
    }
}

#[tokio::test]
async fn strict_asks_about_every_token() {
    let store = FakeStore::new();
    let gateway = Gateway::new(&store, RevocationMode::Strict, OnStoreError::Deny, 1000);
    assert_eq!(gateway.check("a"), Standing::Ask);
    assert!(!gateway.revocations.ask(&mark("a")).await.expect("an answer"));
    store.revoke(&[of_token("a")], Millis(0)).await.expect("revoked");
    assert!(gateway.revocations.ask(&mark("a")).await.expect("an answer"), "nothing of it is remembered");
}

#[tokio::test]
async fn off_refuses_nothing() {
    let gateway = Gateway::new(&FakeStore::new(), RevocationMode::Off, OnStoreError::Allow, 1000);
    gateway.revocations.heard(&[of_token("a")]);
    assert_eq!(gateway.check("a"), Standing::Good);
    assert_eq!(gateway.revocations.state(), None);
}

#[tokio::test]
async fn a_store_that_does_not_answer_follows_on_store_error() {
    let store = FakeStore::new();
    store.set_down(true);
    let denies = Gateway::new(&store, RevocationMode::Strict, OnStoreError::Deny, 1000);
    assert_eq!(denies.revocations.ask(&mark("a")).await.expect_err("no answer").code, "store_unavailable");
    let allows = Gateway::new(&store, RevocationMode::Strict, OnStoreError::Allow, 1000);
    assert!(!allows.revocations.ask(&mark("a")).await.expect("what is known here"));
    allows.revocations.heard(&[of_token("a")]);
    assert_eq!(allows.check("a"), Standing::Revoked);
}

#[tokio::test]
async fn a_store_is_lost_after_three_times_learn_and_found_when_it_answers() {
    for (on_store_error, standing) in [(OnStoreError::Deny, Standing::Lost), (OnStoreError::Allow, Standing::Good)] {
        let store = FakeStore::new();
        let gateway = Gateway::new(&store, RevocationMode::Local, on_store_error, 1000).reads().await;
        gateway.revocations.heard(&[of_token("known")]);
        store.set_down(true);
        for tick in 1..=5 {
            gateway.tick().await;
            assert_eq!(gateway.check("a"), Standing::Good, "after {tick} ticks");
        }
        gateway.tick().await;
        assert_eq!((gateway.check("a"), gateway.check("known")), (standing, Standing::Revoked));
        assert_eq!(gateway.revocations.state().map(|state| state.lost), Some(true));
        store.set_down(false);
        gateway.tick().await;
        assert_eq!(gateway.check("a"), Standing::Good);
    }
}

#[tokio::test]
async fn a_store_that_was_never_there_is_asked_until_it_counts_as_lost() {
    let store = FakeStore::new();
    store.set_down(true);
    let gateway = Gateway::new(&store, RevocationMode::Local, OnStoreError::Allow, 1000).reads().await;
    assert_eq!(gateway.check("a"), Standing::Ask);
    for _ in 0..6 {
        gateway.tick().await;
    }
    assert_eq!(gateway.check("a"), Standing::Good, "what is known here counts");
}

#[tokio::test]
async fn beyond_its_entries_the_store_is_asked_and_when_there_is_room_no_longer() {
    let store = FakeStore::new();
    let gone = Millis::of(gateway_time()).plus(Duration::from_secs(10));
    let many: Vec<_> = (0..20).map(|n| Revocation { until: gone, ..of_token(&n.to_string()) }).collect();
    store.revoke(&many, Millis(0)).await.expect("revoked");
    let gateway = Gateway::new(&store, RevocationMode::Local, OnStoreError::Deny, 10).reads().await;
    assert_eq!(gateway.check("good"), Standing::Ask);
    assert!(gateway.revocations.ask(&mark("19")).await.expect("an answer"));
    // Long after all has expired, it is forgotten bit by bit; then all is read anew.
    gateway.clock.advance(Duration::from_secs(600));
    for _ in 0..80 {
        gateway.tick().await;
    }
    assert_eq!(gateway.check("good"), Standing::Good);
}

#[tokio::test]
async fn a_store_that_counts_from_the_beginning_again_is_read_from_there() {
    let store = FakeStore::new();
    store.revoke(&[of_token("a"), of_token("b")], Millis(0)).await.expect("revoked");
    let gateway = Gateway::new(&store, RevocationMode::Local, OnStoreError::Allow, 1000).reads().await;
    let known = gateway.revocations.known.clone();
    drop(gateway);
    let emptied = FakeStore::new();
    emptied.revoke(&[of_token("c")], Millis(0)).await.expect("revoked");
    let gateway = Gateway::knowing(known, &emptied, RevocationMode::Local, OnStoreError::Allow).reads().await;
    assert_eq!(gateway.check("c"), Standing::Revoked);
}

#[tokio::test]
async fn a_clock_that_jumps_far_ahead_and_back_drops_nothing_that_is_live() {
    const DAYS: Duration = Duration::from_secs(30 * 86_400);
    let store = FakeStore::new();
    let until = Millis::of(gateway_time()).plus(Duration::from_secs(900));
    store.revoke(&[Revocation { until, ..of_token("before") }], Millis(0)).await.expect("revoked");
    let gateway = Gateway::new(&store, RevocationMode::Local, OnStoreError::Allow, 1000).reads().await;
    gateway.clock.set_wall(gateway.clock.wall() + DAYS);
    // Somewhere else, where the clock is right, one more is revoked; here it is read, and all shards are swept.
    store.revoke(&[Revocation { until, ..of_token("meanwhile") }], Millis(0)).await.expect("revoked");
    for _ in 0..64 {
        gateway.tick().await;
    }
    gateway.clock.set_wall(gateway.clock.wall() - DAYS);
    gateway.tick().await;
    assert_eq!((gateway.check("before"), gateway.check("meanwhile")), (Standing::Revoked, Standing::Revoked));
}

fn gateway_time() -> std::time::SystemTime {
    Clock::new(manual_clock()).wall()
}

/// The best of many rounds: what the code costs, on however busy a machine. The benchmark has the figure, and a debug
/// build takes longer; what this would notice is a lock that is waited for, a search, or anything that asks somebody.
#[test]
fn a_check_with_nothing_revoked_waits_for_nothing() {
    const CHECKS: u32 = 1000;
    let gateway = Gateway::new(&FakeStore::new(), RevocationMode::Local, OnStoreError::Allow, 1000);
    gateway.revocations.known.progress.caught_up.store(true, Relaxed);
    let mark = mark("a");
    let round = || {
        let started = Instant::now();
        for _ in 0..CHECKS {
            assert_eq!(std::hint::black_box(&gateway.revocations).check(std::hint::black_box(&mark)), Standing::Good);
        }
        started.elapsed() / CHECKS
    };
    let best = (0..100).map(|_| round()).min().unwrap_or_default();
    assert!(best < Duration::from_micros(20), "{best:?}");
}
