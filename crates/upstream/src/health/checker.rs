//! Who is checked when: each target on a schedule of its own, so that a slow one holds up nobody.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};

use super::probe::probe;
use crate::config::Health;
use crate::life::Life;
use crate::pick::TargetId;
use crate::pool::Pool;
use crate::state::Reason;
use crate::target::LiveTarget;
use crate::view::View;

/// So many checks of a pool go on at a time; the others wait for their turn.
pub(super) const MOST_CHECKS: usize = 64;

type Ended = Result<(Id, Result<(), String>), JoinError>;

/// Checks the targets of one pool.
pub(super) struct Checker {
    health: Arc<Health>,
    /// Of which `targets` and `due` were made.
    view: Option<Arc<View>>,
    targets: HashMap<TargetId, Arc<LiveTarget>>,
    /// The targets that are not being checked, by the time of their next check.
    due: BTreeSet<(u64, TargetId)>,
    checking: HashMap<Id, TargetId>,
    running: JoinSet<Result<(), String>>,
}

impl Checker {
    /// `None` for a pool without checks.
    pub(super) fn new(pool: &Arc<Pool>) -> Option<Self> {
        let health = Arc::new(pool.config.health.clone()?);
        Some(Self {
            health,
            view: None,
            targets: HashMap::new(),
            due: BTreeSet::new(),
            checking: HashMap::new(),
            running: JoinSet::new(),
        })
    }

    /// Begins the checks that are due; says how long until the next one is. `None`: nobody wants to know any more.
    pub(super) fn start_due(&mut self, life: &Life) -> Option<Duration> {
        let pool = life.pool()?;
        self.follow(&pool);
        let now = pool.now();
        while self.running.len() < MOST_CHECKS {
            match self.due.first() {
                Some((at, _)) if *at > now => return Some(Duration::from_nanos(at - now)),
                Some(_) => self.start_first(now),
                None => break,
            }
        }
        // One that ends makes room for the next; without a target there is nothing to do until targets come.
        Some(Life::FOR_EVER)
    }

    /// Takes note of targets that have come or gone.
    fn follow(&mut self, pool: &Pool) {
        let view = pool.view();
        if self.view.as_ref().is_some_and(|known| Arc::ptr_eq(known, &view)) {
            return;
        }
        self.targets = view.targets().iter().map(|target| (target.id(), target.clone())).collect();
        let checking: HashSet<_> = self.checking.values().copied().collect();
        let idle = self.targets.values().filter(|target| !checking.contains(&target.id()));
        self.due = idle.map(|target| (due(target), target.id())).collect();
        self.view = Some(view.clone());
    }

    fn start_first(&mut self, now: u64) {
        let Some((_, id)) = self.due.pop_first() else { return };
        let Some(target) = self.targets.get(&id) else { return };
        target.state.checks.plan_next(now, &self.health);
        let (target, health) = (target.clone(), self.health.clone());
        let task = self.running.spawn(async move { probe(&target, &health).await });
        self.checking.insert(task.id(), id);
    }

    /// Waits for a check to end; `None` if none goes on.
    pub(super) async fn next_ended(&mut self) -> Option<Ended> {
        self.running.join_next_with_id().await
    }

    /// Takes the result of a check, unless the target is gone meanwhile.
    pub(super) fn settle(&mut self, life: &Life, ended: Ended) {
        let Some(pool) = life.pool() else { return };
        // While the target still counts as being checked, and so gets no place among the others.
        self.follow(&pool);
        let task = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some(id) = self.checking.remove(&task) else { return };
        let Some(target) = self.targets.get(&id) else { return };
        self.due.insert((target.state.checks.due(), id));
        match ended {
            Ok((_, result)) => pool.checked(target, result),
            Err(error) => log::error!(upstream = &*pool.name, error:%; "a health check has ended"),
        }
    }
}

/// When a target is next to be checked. The first check is due at once, also if a checker that is gone began one.
fn due(target: &LiveTarget) -> u64 {
    match target.state.has(Reason::Unchecked) {
        true => 0,
        false => target.state.checks.due(),
    }
}
