//! Asking a source again and again, and taking what it says.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use parking_lot::Mutex;
use tidegate_core::config::ConfigErrors;
use tokio::sync::watch;

use super::{Source, SourceError};
use crate::client::clip;
use crate::config::TargetConfig;
use crate::life::Life;
use crate::listing::Listing;
use crate::pool::Pool;
use crate::registry::List;

/// The sources that were asked before the first request, until their tasks go on with them.
#[derive(Default)]
pub(crate) struct Sources(Mutex<HashMap<usize, Follower>>);

/// A source and what became of the questions.
struct Follower {
    source: Box<dyn Source>,
    name: String,
    /// Its list in the pool.
    list: usize,
    /// Without an answer, or with one that the pool refuses, in a row.
    failures: u32,
    /// Without an answer, in a row.
    silent: u32,
}

/// Asks each source that was never asked, once.
pub(crate) async fn ask_first(pool: &Arc<Pool>) {
    if pool.running.load(Ordering::Acquire) {
        return;
    }
    let heard: Vec<bool> = pool.registry.lock().lists.iter().map(|list| list.heard).collect();
    let followers = pool.config.discovery.iter().enumerate().filter_map(|(index, config)| {
        let list = index + 1;
        (heard.get(list) == Some(&false)).then(|| Follower::new(super::source(config, pool), list))
    });
    let asked = followers.map(|mut follower| async {
        let said = follower.source.next().await;
        follower.take(pool, said);
        pool.sources.0.lock().insert(follower.list, follower);
    });
    join_all(asked).await;
}

/// Asks the source at `index` of `discovery:` again and again.
pub(crate) async fn keep_asking(life: Life, index: usize) {
    let follower = {
        let (Some(pool), list) = (life.pool(), index + 1) else { return };
        let asked = pool.sources.0.lock().remove(&list);
        let Some(config) = pool.config.discovery.get(index) else { return };
        asked.unwrap_or_else(|| Follower::new(super::source(config, &pool), list))
    };
    follower.follow(life).await;
}

impl Pool {
    /// Lists what `source` says beside the targets of the configuration: to be spawned. It goes on until `stop` turns
    /// true or its sender is gone, or nobody holds the pool any more. A reload that changes the upstream makes another
    /// pool, which is to be fed anew.
    pub fn feed(
        self: &Arc<Self>,
        source: Box<dyn Source>,
        stop: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let mut registry = self.registry.lock();
        registry.lists.push(List::new(source.name().into()));
        let list = registry.lists.len() - 1;
        drop(registry);
        Follower::new(source, list).follow(Life::new(self, stop))
    }
}

impl Follower {
    fn new(source: Box<dyn Source>, list: usize) -> Self {
        Self { name: source.name(), source, list, failures: 0, silent: 0 }
    }

    async fn follow(mut self, mut life: Life) {
        loop {
            if self.silent > 0 && !life.sleep(self.source.retry_after(self.silent)).await {
                return;
            }
            let Some(said) = life.during(self.source.next()).await else { return };
            let Some(pool) = life.pool() else { return };
            self.take(&pool, said);
        }
    }

    /// Passes on what the source has said. Says so in the log when that is another list, and when the source begins
    /// to fail or recovers.
    fn take(&mut self, pool: &Pool, said: Result<Vec<TargetConfig>, SourceError>) {
        self.silent = if said.is_err() { self.silent.saturating_add(1) } else { 0 };
        let taken = said.and_then(|targets| self.pass_on(pool, targets));
        pool.metrics.discovered(self.source.kind(), taken.is_ok());
        if let Some(list) = pool.registry.lock().lists.get_mut(self.list) {
            list.failure = taken.as_ref().err().map(ToString::to_string);
        }
        let (upstream, source) = (&*pool.name, &*self.name);
        match taken {
            Ok(()) if self.failures > 0 => {
                self.failures = 0;
                log::info!(upstream, source; "source of targets recovered");
            }
            Ok(()) => {}
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                let kept = pool.registry.lock().lists.get(self.list).map_or(0, |list| list.listed.len());
                let failures = self.failures;
                match failures {
                    1 => log::warn!(upstream, source, error:%, kept; "source of targets fails"),
                    _ => log::debug!(upstream, source, error:%, kept, failures; "source of targets fails"),
                }
            }
        }
    }

    fn pass_on(&self, pool: &Pool, mut targets: Vec<TargetConfig>) -> Result<(), SourceError> {
        let mut seen = HashSet::new();
        targets.retain(|target| seen.insert(target.address.clone()));
        let same = |list: &List| list.heard && are_same(&list.listed, &targets);
        if pool.registry.lock().lists.get(self.list).is_some_and(same) {
            return Ok(());
        }
        let listing = Listing::read(targets, &pool.config).map_err(|errors| refused(&errors))?;
        let targets = listing.specs.len();
        let change = pool.list(self.list, listing);
        let (upstream, source, added, removed) = (&*pool.name, &*self.name, change.added, change.removed);
        match targets {
            0 => log::warn!(upstream, source, removed; "source lists no target"),
            _ => log::info!(upstream, source, targets, added, removed; "targets listed"),
        }
        Ok(())
    }
}

/// Whether they are the same targets. In what order says nothing, and many a registry keeps none. Each address stands
/// in each of the two once.
fn are_same(listed: &[TargetConfig], targets: &[TargetConfig]) -> bool {
    let known: HashMap<&str, &TargetConfig> = listed.iter().map(|target| (&*target.address, target)).collect();
    known.len() == targets.len() && targets.iter().all(|target| known.get(&*target.address) == Some(&target))
}

/// As much of it as fits a line of the log.
fn refused(errors: &ConfigErrors) -> SourceError {
    let mut cause = "the list is refused as a whole".to_owned();
    for (index, error) in errors.iter().take(MOST_NAMED).enumerate() {
        let between = if index == 0 { ": " } else { "; " };
        // Writing to a text can't fail.
        let message = clip(&error.message, LONGEST_MESSAGE);
        let _ = write!(cause, "{between}{}: {message}", error.path);
    }
    let more = errors.len().saturating_sub(MOST_NAMED);
    if more > 0 {
        let _ = write!(cause, "; and {more} more");
    }
    SourceError(cause)
}

const MOST_NAMED: usize = 3;
const LONGEST_MESSAGE: usize = 200;
