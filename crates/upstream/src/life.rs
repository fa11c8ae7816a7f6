//! How long the work beside the requests of a pool goes on.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use tidegate_core::Clock;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::pool::Pool;

/// A task's hold on its pool. It is a weak one, so that a pool that a reload dropped ends its own tasks.
#[derive(Clone)]
pub(crate) struct Life {
    pool: Weak<Pool>,
    clock: Clock,
    stop: watch::Receiver<bool>,
    gone: watch::Receiver<bool>,
    changed: watch::Receiver<u64>,
}

impl Life {
    pub(crate) fn new(pool: &Arc<Pool>, stop: watch::Receiver<bool>) -> Self {
        Self {
            pool: Arc::downgrade(pool),
            clock: pool.clock.clone(),
            stop,
            gone: pool.gone.subscribe(),
            changed: pool.changed.subscribe(),
        }
    }

    /// The pool, if there is still use for it. Not to be held while waiting.
    pub(crate) fn pool(&self) -> Option<Arc<Pool>> {
        let over = *self.stop.borrow() || self.stop.has_changed().is_err() || *self.gone.borrow();
        self.pool.upgrade().filter(|_| !over)
    }

    /// Ends when the pool's time is over.
    pub(crate) async fn over(&mut self) {
        tokio::select! {
            _ = self.stop.wait_for(|stop| *stop) => {}
            _ = self.gone.wait_for(|gone| *gone) => {}
        }
    }

    /// Waits on the pool's clock. `false` if its time was over first.
    pub(crate) async fn sleep(&mut self, duration: Duration) -> bool {
        let clock = self.clock.clone();
        self.during(clock.sleep(duration)).await.is_some()
    }

    /// Until targets come or go, however long that takes.
    pub(crate) const FOR_EVER: Duration = Duration::MAX;

    /// Waits on the pool's clock, or until targets have come or gone since the last time. `false` if its time was
    /// over first.
    pub(crate) async fn sleep_or_changed(&mut self, duration: Duration) -> bool {
        let clock = self.clock.clone();
        let mut changed = self.changed.clone();
        let wait = async {
            tokio::select! {
                () = clock.sleep(duration), if duration != Self::FOR_EVER => {}
                _ = changed.changed() => {}
            }
        };
        let went_on = self.during(wait).await.is_some();
        self.changed.mark_unchanged();
        went_on
    }

    /// Does `work`, unless the pool's time is over first.
    pub(crate) async fn during<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.over() => None,
            done = work => Some(done),
        }
    }
}

impl Pool {
    /// What is to be known before the first request: where targets are, and how they do.
    pub(crate) async fn prepare(self: Arc<Self>) {
        // A source that doesn't answer doesn't hold up what is known without it.
        let known = async {
            crate::refresh::ask_first(&self).await;
            crate::health::check_first(&self).await;
        };
        tokio::join!(known, crate::discovery::ask_first(&self));
        crate::refresh::ask_first(&self).await;
        crate::health::check_first(&self).await;
    }

    /// The work beside the pool's requests, until `stop` turns true or its sender is gone, or nobody holds the pool
    /// any more. `None` if somebody does it already: a pool that was kept over a reload keeps its tasks.
    pub fn run(self: &Arc<Self>, stop: watch::Receiver<bool>) -> Option<impl Future<Output = ()> + Send + 'static> {
        if self.running.swap(true, Ordering::AcqRel) {
            return None;
        }
        self.start_judging();
        self.take_over();
        self.admission.show(self.metrics.admission(&self.config));
        let life = Life::new(self, stop);
        let sources = self.config.discovery.len();
        Some(async move {
            let mut tasks = JoinSet::new();
            tasks.spawn(unfailing(life.clone(), crate::refresh::keep_fresh));
            tasks.spawn(unfailing(life.clone(), crate::health::keep_checking));
            tasks.spawn(unfailing(life.clone(), crate::outlier::keep_judging));
            for index in 0..sources {
                tasks.spawn(unfailing(life.clone(), move |life| crate::discovery::keep_asking(life, index)));
            }
            drop(life);
            while tasks.join_next().await.is_some() {}
        })
    }
}

/// Does `work`, again and again if it panics: one answer that nobody foresaw must not leave a pool as it is for ever.
async fn unfailing<W: Future<Output = ()>>(mut life: Life, work: impl Fn(Life) -> W) {
    while AssertUnwindSafe(work(life.clone())).catch_unwind().await.is_err() {
        log::error!("work beside an upstream's requests has panicked, and begins again");
        if !life.sleep(AFTER_A_PANIC).await {
            return;
        }
    }
}

const AFTER_A_PANIC: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use std::collections::BTreeMap;
    use std::pin::Pin;
    use std::sync::atomic::AtomicUsize;
    use std::time::{Instant, SystemTime};

    use tidegate_core::{Metrics, TimeSource};

    use super::*;
    use crate::upstreams::Upstreams;

    /// Waits for nothing.
    struct Hurry;

    impl TimeSource for Hurry {
        fn now(&self) -> Instant {
            Instant::now()
        }

        fn wall(&self) -> SystemTime {
            SystemTime::now()
        }

        fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin(std::future::ready(()))
        }
    }

    #[tokio::test]
    async fn work_that_panics_begins_again_and_work_that_ends_does_not() {
        let config: BTreeMap<String, _> =
            serde_json::from_value(serde_json::json!({ "app": { "targets": ["10.0.0.1:1"] } })).unwrap();
        let upstreams = Upstreams::build(&config, None, &Metrics::new(), &Clock::new(Hurry)).unwrap();
        let (_stop, stopped) = watch::channel(false);
        let life = Life::new(upstreams.get("app").unwrap(), stopped);
        let begun = AtomicUsize::new(0);
        unfailing(life, async |_| assert!(begun.fetch_add(1, Ordering::Relaxed) == 2, "not yet")).await;
        assert_eq!(begun.into_inner(), 3);
    }
}
