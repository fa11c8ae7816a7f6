//! Keeping the names of a pool fresh, beside the requests.

use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::names::NameState;
use crate::pool::Pool;

impl Pool {
    /// Resolves the pool's names again and again, each when its TTL ends. To be spawned once; a second call for the
    /// same pool does nothing, so a pool that was kept over a reload is kept fresh by the task it has.
    ///
    /// Ends when `stop` turns true or its sender is gone, and when nobody holds the pool any more.
    pub fn run(self: &Arc<Self>, stop: watch::Receiver<bool>) -> impl Future<Output = ()> + Send + 'static {
        let first = !self.running.swap(true, Ordering::AcqRel);
        let mut tasks = JoinSet::new();
        let loops: Vec<_> = match first {
            true => self.name_indexes().map(|index| keep_fresh(Refresh::new(self, index, stop.clone()))).collect(),
            false => Vec::new(),
        };
        async move {
            for task in loops {
                tasks.spawn(task);
            }
            while let Some(ended) = tasks.join_next().await {
                if let Err(error) = ended {
                    log::error!(error:% = error; "a name is no longer resolved");
                }
            }
        }
    }

    /// Whether this pool has names to resolve, that nothing resolves yet.
    pub(crate) fn needs_run(&self) -> bool {
        self.name_indexes().next().is_some() && !self.running.load(Ordering::Acquire)
    }

    /// The names that were never asked for.
    pub(crate) fn unasked(&self) -> Vec<usize> {
        let names = self.names.lock();
        let unasked = |state: &NameState| !state.asked();
        (0..names.len()).filter(|index| names.get(*index).and_then(Option::as_ref).is_some_and(unasked)).collect()
    }

    /// Asks for the name at `index` once, and takes the answer.
    pub(crate) async fn refresh(&self, index: usize) {
        let Some(host) = self.host_of(index) else { return };
        let result = self.dns.lookup(host).await;
        self.settle(index, result);
    }

    fn name_indexes(&self) -> impl Iterator<Item = usize> {
        (0..self.targets.len()).filter(|index| self.host_of(*index).is_some())
    }

    fn due_in(&self, index: usize) -> Option<Duration> {
        let names = self.names.lock();
        Some(names.get(index)?.as_ref()?.due_in(self.clock.now()))
    }
}

/// Holds the pool weakly, so that one that a reload dropped ends its own task.
struct Refresh {
    pool: Weak<Pool>,
    index: usize,
    stop: watch::Receiver<bool>,
    gone: watch::Receiver<()>,
}

impl Refresh {
    fn new(pool: &Arc<Pool>, index: usize, stop: watch::Receiver<bool>) -> Self {
        Self { pool: Arc::downgrade(pool), index, stop, gone: pool.gone.subscribe() }
    }
}

async fn keep_fresh(mut name: Refresh) {
    loop {
        let Some(pool) = name.pool.upgrade() else { return };
        let Some(wait) = pool.due_in(name.index) else { return };
        let clock = pool.clock.clone();
        drop(pool);
        tokio::select! {
            _ = name.stop.wait_for(|stop| *stop) => return,
            _ = name.gone.changed() => return,
            () = clock.sleep(wait) => {}
        }
        let Some(pool) = name.pool.upgrade() else { return };
        tokio::select! {
            _ = name.stop.wait_for(|stop| *stop) => return,
            () = pool.refresh(name.index) => {}
        }
    }
}
