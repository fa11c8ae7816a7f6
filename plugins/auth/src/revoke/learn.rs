//! Reading what was revoked elsewhere.

use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tidegate_core::prometheus::{IntCounter, IntGauge};
use tidegate_core::{Clock, ConfigError, MetricError, Metrics, Stop};

use crate::id::Millis;
use crate::store::{Cursor, Revocation, Store, StoreError};

use super::known::Known;

/// Without an answer for so many times `learn`, the store counts as lost.
const PATIENCE: u32 = 3;
/// All is read again at most this often.
const AGAIN: Duration = Duration::from_secs(60);

/// Reads the store's revocations into what is known here: all at first, then what is new, twice in the time that it may
/// take to learn of one.
pub(super) struct Learner {
    known: Arc<Known>,
    store: Arc<dyn Store>,
    clock: Clock,
    learn: Duration,
    metrics: LearnMetrics,
}

/// What operators see of it.
#[derive(Debug, Clone)]
pub(super) struct LearnMetrics {
    known: IntGauge,
    bytes: IntGauge,
    lost: IntGauge,
    failures: IntCounter,
}

impl LearnMetrics {
    pub(super) fn new(metrics: &Metrics) -> Result<Self, ConfigError> {
        Self::made(metrics).map_err(|error| ConfigError::at("", error.to_string()))
    }

    fn made(metrics: &Metrics) -> Result<Self, MetricError> {
        let gauge = |name, help| metrics.gauge(name, help, &[]).map(|gauge| gauge.with_label_values(&[] as &[&str]));
        let failures = "tidegate_auth_revocations_read_failures_total";
        let failures = metrics.counter(failures, "Reads of what was revoked that the store did not answer", &[])?;
        Ok(Self {
            known: gauge("tidegate_auth_revocations", "Revocations that are known here")?,
            bytes: gauge("tidegate_auth_revocations_bytes", "Memory that revocations take, in bytes")?,
            lost: gauge("tidegate_auth_revocations_store_lost", "1 while the store of revocations is lost")?,
            failures: failures.with_label_values(&[] as &[&str]),
        })
    }
}

impl Learner {
    pub(super) fn new(
        known: Arc<Known>,
        store: Arc<dyn Store>,
        clock: Clock,
        learn: Duration,
        metrics: LearnMetrics,
    ) -> Self {
        Self { known, store, clock, learn, metrics }
    }

    /// Until it is told to stop.
    pub(super) async fn run(self, mut stop: Stop) {
        let mut answered = self.clock.now();
        self.known.progress.resume(answered, self.learn * PATIENCE);
        let mut whole = self.clock.now();
        while self.read(&mut answered, &mut stop).await.is_continue() {
            self.known.forget(self.steady());
            self.begin_again(&mut whole);
            self.publish();
            tokio::select! {
                () = self.clock.sleep(self.learn / 2) => {}
                () = stop.stopped() => return,
            }
        }
    }

    /// Reads all that is new. `answered`: when the store last gave an answer.
    async fn read(&self, answered: &mut Instant, stop: &mut Stop) -> ControlFlow<()> {
        loop {
            let since = *self.known.progress.cursor.lock();
            match self.page(since, *answered, stop).await? {
                Ok((revoked, cursor)) => {
                    *answered = self.clock.now();
                    if self.take(since, &revoked, cursor) {
                        return ControlFlow::Continue(());
                    }
                }
                Err(error) => {
                    self.metrics.failures.inc();
                    self.missed(*answered, &error.to_string());
                    return ControlFlow::Continue(());
                }
            }
        }
    }

    /// Adds what came; whether that was all.
    fn take(&self, since: Cursor, revoked: &[Revocation], cursor: Cursor) -> bool {
        self.known.add(revoked);
        // A store that counts from the beginning again has lost what it had.
        let again = cursor < since;
        *self.known.progress.cursor.lock() = if again { Cursor::default() } else { cursor };
        let all = revoked.is_empty() && !again;
        if all {
            self.known.progress.caught_up(self.clock.now());
            self.found();
        }
        all
    }

    /// Asks for the next revocations. The store counts as lost from the moment that it has been silent for too long,
    /// not only when it is given up.
    async fn page(
        &self,
        since: Cursor,
        answered: Instant,
        stop: &mut Stop,
    ) -> ControlFlow<(), Result<(Vec<Revocation>, Cursor), StoreError>> {
        let mut asked = pin!(self.store.revoked(since, self.steady()));
        // However long nobody asked, the store gets a moment to answer.
        let mut patience = pin!(self.clock.sleep(self.patience(answered).max(self.learn / 2)));
        let mut waits = !self.known.progress.lost.load(Relaxed);
        loop {
            tokio::select! {
                biased;
                answer = &mut asked => return ControlFlow::Continue(answer),
                () = stop.stopped() => return ControlFlow::Break(()),
                () = &mut patience, if waits => {
                    waits = false;
                    self.lose("no answer yet");
                }
            }
        }
    }

    /// A clock that is ahead for a while must not pass over what counts when it is right again: it is read only once.
    fn steady(&self) -> Millis {
        self.known.progress.steady.now(&self.clock)
    }

    /// What is left of the time that the store may be silent.
    fn patience(&self, answered: Instant) -> Duration {
        (self.learn * PATIENCE).saturating_sub(self.clock.now().saturating_duration_since(answered))
    }

    fn missed(&self, answered: Instant, why: &str) {
        if self.patience(answered).is_zero() {
            self.lose(why);
        }
    }

    fn lose(&self, why: &str) {
        if !self.known.progress.lost.swap(true, Relaxed) {
            self.metrics.lost.set(1);
            log::warn!(error:% = why; "revocations can't be read: their store is lost");
        }
    }

    fn found(&self) {
        if self.known.progress.lost.swap(false, Relaxed) {
            log::info!("revocations are read again");
        }
        self.metrics.lost.set(0);
    }

    /// When there is room again for what did not fit, all is read once more: it is not known what is missing.
    fn begin_again(&self, whole: &mut Instant) {
        let progress = &self.known.progress;
        let due = self.clock.now().saturating_duration_since(*whole) >= AGAIN;
        if due && self.known.has_room() && progress.overflowed.load(Relaxed) {
            *whole = self.clock.now();
            progress.begin_again();
        }
    }

    fn publish(&self) {
        self.metrics.known.set(i64::try_from(self.known.len()).unwrap_or(i64::MAX));
        self.metrics.bytes.set(i64::try_from(self.known.bytes()).unwrap_or(i64::MAX));
    }
}
