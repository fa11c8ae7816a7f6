//! Which limits there are, for operators.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::banned::Banned;
use crate::config::limits::{Limit, Limits};
use crate::store::Store;
use crate::top::Top;

/// Every limit of every route, and what operators ask of them.
pub(crate) struct Registry {
    pub(crate) top: Arc<Top>,
    pub(crate) banned: Option<Arc<Banned>>,
    limits: Mutex<Vec<Listed>>,
}

/// A limit of a route.
#[derive(Clone)]
pub(crate) struct Listed {
    pub route: Arc<str>,
    pub limit: Arc<Limit>,
    pub store: Store,
}

impl Registry {
    pub(crate) fn new(top: Arc<Top>, banned: Option<Arc<Banned>>) -> Self {
        Self { top, banned, limits: Mutex::default() }
    }

    /// One more route.
    pub(crate) fn add(&self, route: &Arc<str>, limits: &Limits, store: &Store) {
        let listed = limits.all().iter().map(|limit| Listed {
            route: route.clone(),
            limit: limit.clone(),
            store: store.clone(),
        });
        self.limits.lock().extend(listed);
    }

    /// The limit that `route` calls so.
    pub(crate) fn find(&self, route: &str, limit: &str) -> Option<Listed> {
        self.limits.lock().iter().find(|listed| *listed.route == *route && *listed.limit.name == *limit).cloned()
    }

    /// Where a limit is: its route, or none where several routes share it; and its name.
    pub(crate) fn names(&self, id: u64) -> Option<(Option<Arc<str>>, Arc<str>)> {
        let limits = self.limits.lock();
        let mut found = limits.iter().filter(|listed| listed.limit.id == id);
        let first = found.next()?;
        let route = found.next().is_none().then(|| first.route.clone());
        Some((route, first.limit.name.clone()))
    }
}
