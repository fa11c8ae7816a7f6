//! Stops asking an upstream that fails, and finds out when it no longer does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tidegate_core::config::Percent;

use super::nanos;
use super::probes::{Probes, Trial};
use super::shown::Shown;
use super::window::{Counted, Window};
use crate::config;
use crate::pick::TryOutcome;

/// In [`Breaker::phase`], where any other number is the time until which the breaker is open.
const CLOSED: u64 = 0;
const HALF_OPEN: u64 = 1;

/// The breaker of one pool. Closed, it counts the tries of the latest while; open, it lets nobody through; half-open,
/// a few, whose tries decide. All times are on the pool's clock. Only a change from one to the other takes a lock.
#[derive(Debug)]
pub(super) struct Breaker {
    upstream: Arc<str>,
    rules: Rules,
    phase: AtomicU64,
    /// When that began. Tries that began earlier say nothing about it: an answer that was asked for before the breaker
    /// opened may fail for as long as the read timeout after it has closed again.
    since: AtomicU64,
    window: Window,
    probes: Probes,
    /// How many answers have begun in this phase.
    begun: AtomicU64,
    turning: Mutex<()>,
    shown: Arc<Shown>,
}

#[derive(Debug)]
struct Rules {
    error_ratio: Percent,
    /// In nanoseconds.
    slow: Option<u64>,
    slow_ratio: Percent,
    min_requests: u32,
    open: u64,
    probes: u32,
}

/// What a breaker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Closed,
    Open { until: u64 },
    HalfOpen,
}

/// A request that finds out whether the upstream has recovered. Dropped, it makes room for another one, unless it has
/// decided something.
#[derive(Debug)]
pub(super) struct Probe {
    breaker: Arc<Breaker>,
    trial: Trial,
}

impl Breaker {
    pub(super) fn new(upstream: Arc<str>, config: &config::Breaker, shown: Arc<Shown>) -> Arc<Self> {
        Arc::new(Self {
            upstream,
            rules: Rules {
                error_ratio: config.error_ratio,
                slow: config.slow.map(|slow| nanos(slow.into())),
                slow_ratio: config.slow_ratio,
                min_requests: config.min_requests,
                open: nanos(config.open.into()).max(1),
                probes: config.probes.clamp(1, Probes::MOST),
            },
            phase: AtomicU64::new(CLOSED),
            since: AtomicU64::new(0),
            window: Window::new(nanos(config.window.into())),
            probes: Probes::default(),
            begun: AtomicU64::new(0),
            turning: Mutex::new(()),
            shown,
        })
    }

    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            CLOSED => Phase::Closed,
            HALF_OPEN => Phase::HalfOpen,
            until => Phase::Open { until },
        }
    }

    /// How long the breaker will stay open, if it is.
    pub(super) fn open_for(&self, now: u64) -> Option<Duration> {
        match self.phase() {
            Phase::Open { until } if now < until => Some(Duration::from_nanos(until - now)),
            _ => None,
        }
    }

    /// Lets a request through, maybe as a probe.
    ///
    /// # Errors
    /// How long until it is worth asking again.
    pub(super) fn enter(self: &Arc<Self>, now: u64) -> Result<Option<Probe>, Duration> {
        if let Some(wait) = self.open_for(now) {
            return Err(wait);
        }
        if let Phase::Open { until } = self.phase() {
            self.half_open(until, now);
        }
        match self.phase() {
            Phase::Closed => Ok(None),
            Phase::HalfOpen => self.probe(now),
            // Another probe was let through and has failed, all since we looked.
            Phase::Open { until } => Err(Duration::from_nanos(until.saturating_sub(now))),
        }
    }

    fn probe(self: &Arc<Self>, now: u64) -> Result<Option<Probe>, Duration> {
        let passed = now.saturating_sub(self.since.load(Ordering::Relaxed));
        // Probes may take for ever: streams, or an upstream that hangs. Answers that go on have begun well; and with
        // each further pause a few more are let through, so that no probe keeps the breaker from closing.
        let rounds = passed / self.rules.open;
        if rounds > 0 && self.begun.load(Ordering::Relaxed) >= u64::from(self.rules.probes) {
            self.close(now);
            return Ok(None);
        }
        let allowed = u64::from(self.rules.probes).saturating_mul(rounds.saturating_add(1));
        let allowed = u32::try_from(allowed).unwrap_or(u32::MAX).min(Probes::MOST);
        match self.probes.enter(allowed) {
            Some(trial) => Ok(Some(Probe { breaker: self.clone(), trial })),
            None => Err(Duration::from_nanos(self.rules.open - passed % self.rules.open)),
        }
    }

    /// An answer has begun, to a try that began at `started`.
    pub(super) fn heard(&self, started: u64) {
        if self.phase() == Phase::HalfOpen && self.is_of_this_phase(started) {
            self.begun.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A try that began at `started` is over. `silent` is how long it took to begin answering, or to end without.
    pub(super) fn ended(&self, outcome: TryOutcome, silent: Duration, started: u64, now: u64) {
        let phase = self.phase();
        if outcome == TryOutcome::Abandoned || !self.is_of_this_phase(started) {
            return;
        }
        let failed = outcome.is_failure();
        let slow = self.rules.slow.is_some_and(|slow| nanos(silent) > slow);
        match phase {
            Phase::Open { .. } => {}
            Phase::Closed => {
                self.window.add(failed, slow, now);
                self.judge(now);
            }
            Phase::HalfOpen if failed || slow => self.open_again(if failed { "failed" } else { "slow" }, now),
            Phase::HalfOpen => {
                if self.probes.succeed() >= self.rules.probes {
                    self.close(now);
                }
            }
        }
    }

    fn is_of_this_phase(&self, started: u64) -> bool {
        started >= self.since.load(Ordering::Relaxed)
    }

    fn judge(&self, now: u64) {
        let counted = self.window.counted(now);
        if let Some(why) = self.rules.broken_by(counted) {
            self.open(counted, why, now);
        }
    }

    /// Takes the lock if the phase is still `from`.
    fn turning(&self, from: u64) -> Option<MutexGuard<'_, ()>> {
        let turning = self.turning.lock();
        (self.phase.load(Ordering::Acquire) == from).then_some(turning)
    }

    fn turn(&self, to: u64, now: u64) {
        self.since.store(now, Ordering::Relaxed);
        self.begun.store(0, Ordering::Relaxed);
        self.phase.store(to, Ordering::Release);
        self.shown.breaker(self.phase());
    }

    fn open(&self, counted: Counted, why: &str, now: u64) {
        let Some(_turning) = self.turning(CLOSED) else { return };
        self.turn(now.saturating_add(self.rules.open), now);
        let Counted { total, failed, slow } = counted;
        let (upstream, open_for) = (&*self.upstream, Duration::from_nanos(self.rules.open));
        log::warn!(upstream, why, requests = total, failed, slow, open_for:?; "breaker opened");
    }

    fn open_again(&self, why: &str, now: u64) {
        let Some(_turning) = self.turning(HALF_OPEN) else { return };
        self.turn(now.saturating_add(self.rules.open), now);
        let (upstream, open_for) = (&*self.upstream, Duration::from_nanos(self.rules.open));
        log::warn!(upstream, probe = why, open_for:?; "breaker opened again");
    }

    fn half_open(&self, until: u64, now: u64) {
        let Some(_turning) = self.turning(until) else { return };
        self.probes.begin();
        self.turn(HALF_OPEN, now);
        log::info!(upstream = &*self.upstream, probes = self.rules.probes; "breaker half-open");
    }

    fn close(&self, now: u64) {
        let Some(_turning) = self.turning(HALF_OPEN) else { return };
        self.window.clear();
        self.turn(CLOSED, now);
        log::info!(upstream = &*self.upstream, probes = self.rules.probes; "breaker closed");
    }
}

impl Rules {
    fn broken_by(&self, counted: Counted) -> Option<&'static str> {
        let Counted { total, failed, slow } = counted;
        let share = |part: u32, ratio: Percent| {
            part > 0 && u64::from(part) * 10_000 >= u64::from(total) * u64::from(ratio.basis_points())
        };
        match total >= self.min_requests {
            false => None,
            true if share(failed, self.error_ratio) => Some("error_ratio"),
            true if share(slow, self.slow_ratio) => Some("slow_ratio"),
            true => None,
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.breaker.probes.leave(self.trial);
    }
}
