//! Passive health: targets that fail the requests they are sent.
//!
//! What a try has come to is counted beside the request that made it. Whoever finds that a target has failed once too
//! often ejects it there and then; a task of the pool restores it when its time is over, and compares targets with one
//! another at each `interval`. The rules are those of Envoy where they are not said to differ.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::config::Outlier;
use crate::life::Life;
use crate::pick::TryOutcome;
use crate::pool::Pool;
use crate::state::Reason;
use crate::target::LiveTarget;

mod compare;
mod record;
mod rules;
mod seen;

pub(crate) use record::Record;

use compare::Sample;
use rules::{Ejected, Standing};
use seen::Seen;

/// Who may judge the targets of a pool, and when.
pub(crate) struct Outliers {
    /// A reload leaves two pools with the same targets for a while. Only the newest that was started judges: the one
    /// whose `generation` this is, so that one never started, because something else was wrong, changes nothing.
    judging: Arc<AtomicU64>,
    generation: u64,
    /// When targets are compared next, on the pool's clock; 0: not settled yet.
    compare_at: AtomicU64,
    /// Somebody was ejected, so that the task has an end to wait for.
    ejected: Arc<Notify>,
}

/// Why a target is left out.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cause {
    /// So many in a row.
    Failures(u32),
    /// So many in a row.
    Unanswered(u32),
    /// Its share of good answers, and the mean of all.
    SuccessRate { rate: f64, mean: f64 },
    /// Its mean time to the first byte, and that of the others.
    Latency { mean: Duration, others: Duration },
}

impl Outliers {
    pub(crate) fn new(previous: Option<&Self>) -> Self {
        Self {
            judging: previous.map_or_else(Arc::default, |previous| previous.judging.clone()),
            generation: previous.map_or(0, |previous| previous.generation + 1),
            compare_at: AtomicU64::new(0),
            ejected: Arc::default(),
        }
    }

    fn is_judging(&self) -> bool {
        self.judging.load(Ordering::Acquire) == self.generation
    }

    fn take_over(&self) {
        self.judging.fetch_max(self.generation, Ordering::AcqRel);
    }

    /// Whether targets are to be compared now.
    fn is_time(&self, now: u64, interval: u64) -> bool {
        let at = self.compare_at.load(Ordering::Relaxed);
        let due = at != 0 && now >= at;
        if due || at == 0 {
            self.compare_at.store(now.saturating_add(interval), Ordering::Relaxed);
        }
        due
    }
}

impl Pool {
    /// A try on `target` is over: it may have been one too many. A few atomics, unless it was.
    pub(crate) fn judge(&self, target: &LiveTarget, outcome: TryOutcome, first_byte: Option<Duration>) {
        if !self.outliers.is_judging()
            && let Some(next) = self.successor()
        {
            return next.judge(target, outcome, first_byte);
        }
        let Some(config) = &self.config.outlier else { return };
        let Some(seen) = Seen::of(outcome, first_byte) else { return };
        let record = &target.state.record;
        if config.success_rate.is_some() || config.latency.is_some() {
            record.count(seen, first_byte);
        }
        if let Some(cause) = record.hear(seen, config) {
            self.eject(target, cause, config);
        }
    }

    /// Leaves `target` out, if the rules allow it.
    fn eject(&self, target: &LiveTarget, cause: Cause, config: &Outlier) -> bool {
        // Held until it is done: of the last two targets, two threads must not eject one each.
        let registry = self.registry.lock();
        let live = registry.members(&self.view());
        let listed = live.iter().any(|one| one.id() == target.id());
        let fit = self.outliers.is_judging() && listed && target.state.is_usable();
        if !fit || !rules::allow(live.iter().map(standing), config.max_ejected) {
            log::debug!(upstream = &*self.name, target = &*target.spec.name, why:% = cause; "target not ejected");
            return false;
        }
        let lasts = target.state.record.eject(self.now(), config);
        self.note(target, Reason::Ejected, true, &format!("{cause}; for {lasts:?}"));
        self.rebuild(&registry);
        drop(registry);
        self.outliers.ejected.notify_one();
        true
    }

    /// Restores those that the rules no longer allow to be left out: others have gone or fallen ill meanwhile, or the
    /// configuration has no `outlier` any more. Called with the registry held, before the view is made of `live`.
    pub(crate) fn relent(&self, live: &[Arc<LiveTarget>]) {
        if !self.outliers.is_judging() {
            return;
        }
        let Some(config) = &self.config.outlier else {
            return live.iter().for_each(|target| self.restore(target, "no longer judged"));
        };
        let all = live.iter().enumerate();
        let ejected = all.filter(|(_, target)| target.state.has(Reason::Ejected)).map(|(at, target)| Ejected {
            at,
            until: target.state.record.until(),
            alone: target.state.reasons().count() == 1,
        });
        for at in rules::too_many(ejected.collect(), live.iter().map(standing), config.max_ejected) {
            if let Some(target) = live.get(at) {
                self.restore(target, "too few others are left");
            }
        }
    }

    fn restore(&self, target: &LiveTarget, why: &str) {
        if target.state.has(Reason::Ejected) {
            target.state.record.restore(self.now());
            self.note(target, Reason::Ejected, false, why);
        }
    }

    /// Does what is due now: restores targets whose time is over, and compares targets with one another. Returns how
    /// long it is until something may be due again, or `None` if this pool has nobody to judge.
    pub(crate) fn sweep_outliers(&self) -> Option<Duration> {
        let config = self.config.outlier.as_ref().filter(|_| self.outliers.is_judging())?;
        let now = self.now();
        self.restore_due(now);
        let interval = nanos(config.interval.into()).max(SHORTEST_INTERVAL);
        if self.outliers.is_time(now, interval) {
            self.compare(config);
        }
        let view = self.view();
        let ejected = view.targets().iter().filter(|target| target.state.has(Reason::Ejected));
        let ends = ejected.map(|target| target.state.record.until());
        let next = ends.chain([self.outliers.compare_at.load(Ordering::Relaxed)]).min()?;
        Some(Duration::from_nanos(next.saturating_sub(now)))
    }

    fn restore_due(&self, now: u64) {
        let registry = self.registry.lock();
        let live = registry.members(&self.view());
        let is_due =
            |target: &&Arc<LiveTarget>| target.state.has(Reason::Ejected) && target.state.record.until() <= now;
        let due: Vec<_> = live.iter().filter(is_due).collect();
        if !due.is_empty() {
            due.iter().for_each(|target| self.restore(target, "its time is over"));
            self.rebuild(&registry);
        }
    }

    /// Looks at what came in since the last time, and starts anew.
    fn compare(&self, config: &Outlier) {
        let view = self.view();
        // Those that are left out start anew as well.
        let all: Vec<(&Arc<LiveTarget>, Sample)> =
            view.targets().iter().map(|target| (target, target.state.record.take())).collect();
        let (targets, samples): (Vec<_>, Vec<_>) =
            all.into_iter().filter(|(target, _)| target.state.is_usable()).unzip();
        let rates = config.success_rate.as_ref().map(|config| compare::success_rates(&samples, config));
        let latencies = config.latency.as_ref().map(|config| compare::latencies(&samples, config));
        for (at, cause) in rates.into_iter().chain(latencies).flatten() {
            if let Some(target) = targets.get(at) {
                self.eject(target, cause, config);
            }
        }
    }

    /// From now on it is this pool that judges its targets, and no longer the one that a reload has replaced, which
    /// may have ejected some after this one's view was made.
    pub(crate) fn start_judging(&self) {
        let registry = self.registry.lock();
        self.outliers.take_over();
        if self.outliers.generation > 0 {
            self.rebuild(&registry);
        }
    }
}

fn standing(target: &Arc<LiveTarget>) -> Standing {
    Standing { usable: target.state.is_usable(), ejected: target.state.has(Reason::Ejected) }
}

/// Restores targets whose time is over, and compares targets with one another.
pub(crate) async fn keep_judging(mut life: Life) {
    let Some((clock, ejected)) = life.pool().map(|pool| (pool.clock.clone(), pool.outliers.ejected.clone())) else {
        return;
    };
    loop {
        let Some(wait) = life.pool().and_then(|pool| pool.sweep_outliers()) else { return };
        let next = async {
            tokio::select! {
                () = clock.sleep(wait) => {}
                () = ejected.notified() => {}
            }
        };
        if life.during(next).await.is_none() {
            return;
        }
    }
}

/// So that no configuration keeps the task from sleeping.
const SHORTEST_INTERVAL: u64 = 1_000_000;

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failures(count) => write!(f, "{count} failures or answers of 5xx in a row"),
            Self::Unanswered(count) => write!(f, "{count} failures in a row to get any answer"),
            Self::SuccessRate { rate, mean } => {
                write!(f, "{:.1}% good answers where the mean is {:.1}%", rate * 100.0, mean * 100.0)
            }
            Self::Latency { mean, others } => write!(f, "answers after {mean:.0?} where others take {others:.0?}"),
        }
    }
}
