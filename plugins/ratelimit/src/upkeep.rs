//! Work beside the requests: counting what is held, writing it to a file, telling shared stores.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tidegate_core::prometheus::IntCounter;
use tidegate_core::{BuildCx, Stop};
use tokio::time::{MissedTickBehavior, interval};

use crate::config;
use crate::metrics::LimitMetrics;
use crate::store::memory::{Memory, Size};
use crate::store::redis::RedisStore;
use crate::stores::{Kept, Stores};

/// How often keys are counted: a walk through the whole table.
const COUNTED_EVERY: Duration = Duration::from_secs(10);
/// How often what the background did is passed on to the metrics.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// Starts it for this configuration.
pub(crate) fn spawn(stores: &Stores, metrics: &LimitMetrics, memory: &config::Memory, cx: &mut BuildCx<'_>) {
    let counter = Counter {
        kept: stores.kept(),
        policies: stores.policies(),
        metrics: metrics.clone(),
        file: memory.file.clone(),
        size: stores.size(),
    };
    let every = memory.every.get();
    cx.spawn("memory", move |stop| counter.run(every, stop));
    let (used, metrics) = (stores.used(), metrics.clone());
    cx.spawn("stores", async move |stop| {
        // Routes have been built by now: no store is named any more.
        let all = std::mem::take(&mut *used.lock());
        let mut running = tokio::task::JoinSet::new();
        for (name, store) in all {
            running.spawn(watch(name, store.clone(), metrics.clone(), stop.clone()));
            running.spawn(store.run(stop.clone()));
        }
        while running.join_next().await.is_some() {}
    });
}

struct Counter {
    kept: Arc<Kept>,
    policies: Arc<crate::metrics::Policies>,
    metrics: LimitMetrics,
    file: Option<std::path::PathBuf>,
    size: Size,
}

impl Counter {
    async fn run(self, every: Duration, mut stop: Stop) {
        // This configuration is the current one now.
        let (kept, size) = (self.kept.clone(), self.size);
        if let Err(error) = tokio::task::spawn_blocking(move || kept.resize(size)).await {
            log::error!("the memory of limits keeps its size: {error}");
        }
        let mut count = interval(COUNTED_EVERY);
        let mut write = interval(every);
        count.set_missed_tick_behavior(MissedTickBehavior::Delay);
        write.set_missed_tick_behavior(MissedTickBehavior::Delay);
        write.reset();
        loop {
            tokio::select! {
                _ = count.tick() => self.on_memory(Self::count).await,
                _ = write.tick(), if self.file.is_some() => self.on_memory(Self::write).await,
                () = stop.stopped() => break,
            }
        }
        self.on_memory(Self::write).await;
    }

    /// A walk through memory, or a file: neither belongs on a thread that serves requests.
    async fn on_memory(&self, work: fn(&Memory, &LimitMetrics, &[String], Option<&std::path::Path>)) {
        let Some(memory) = self.kept.get() else { return };
        let (metrics, names, file) = (self.metrics.clone(), self.policies.names(), self.file.clone());
        let done = tokio::task::spawn_blocking(move || work(&memory, &metrics, &names, file.as_deref())).await;
        if let Err(error) = done {
            log::error!("the upkeep of limits ended: {error}");
        }
    }

    fn count(memory: &Memory, metrics: &LimitMetrics, names: &[String], _: Option<&std::path::Path>) {
        let counts = memory.counts(memory.now());
        for (number, name) in names.iter().enumerate() {
            let keys = u16::try_from(number).ok().and_then(|number| counts.keys.get(&number)).copied();
            metrics.keys(name).set(i64::try_from(keys.unwrap_or(0)).unwrap_or(i64::MAX));
        }
        metrics.bytes().set(i64::try_from(counts.bytes).unwrap_or(i64::MAX));
        raise(metrics.evicted(), counts.evicted);
        raise(metrics.untracked(), counts.untracked);
    }

    fn write(memory: &Memory, _: &LimitMetrics, _: &[String], file: Option<&std::path::Path>) {
        let Some(file) = file else { return };
        if let Err(error) = memory.save(file) {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            log::error!("what is counted can't be kept over a restart: {error}{cause}");
        }
    }
}

/// Passes on what the background of a store did.
async fn watch(name: String, store: RedisStore, metrics: LimitMetrics, mut stop: Stop) {
    let mut tick = interval(TOLD_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let gateways = metrics.gateways(&name);
    loop {
        let ended = tokio::select! {
            _ = tick.tick() => false,
            () = stop.stopped() => true,
        };
        gateways.set(i64::from(store.gateways()));
        let tally = store.tally();
        // Taken, not read: the next configuration's watch goes on from here.
        metrics.settlements_dropped().inc_by(tally.dropped.swap(0, Relaxed) + tally.lost.swap(0, Relaxed));
        metrics.bans().inc_by(tally.bans.swap(0, Relaxed));
        if ended {
            return;
        }
    }
}

/// A counter that follows another.
fn raise(counter: &IntCounter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}
