//! What is counted of a pool as a whole.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;
use tidegate_core::prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::families::{Families, Shared, UpstreamMetrics};
use super::target_series::TargetSeries;

/// Why a request is tried again; `Why` without what only one of them has.
pub(super) const RETRIES: [&str; 7] = ["connect", "refused_stream", "reset", "timeout", "protocol", "status", "grpc"];
pub(super) const NO_RETRIES: [&str; 5] = ["not_asked", "exhausted", "not_idempotent", "body_gone", "over_budget"];
pub(super) const WINNERS: [&str; 2] = ["first", "second"];
pub(super) const MIRRORED: [&str; 3] = ["ok", "failed", "dropped"];
pub(crate) const REFUSED: [&str; 3] = ["full", "queue_timeout", "breaker_open"];
pub(super) const CONNECTIONS: [&str; 2] = ["new", "reused"];

/// The series of one upstream. They are removed with the last pool, and the last request, of its name.
pub(crate) struct PoolSeries {
    shared: Arc<Shared>,
    pub(super) upstream: Arc<str>,
    pub(super) retries: [IntCounter; 7],
    pub(super) retries_refused: [IntCounter; 5],
    pub(super) refused: [IntCounter; 3],
    pub(super) connections: [IntCounter; 2],
    /// Few pools have these.
    hedges: OnceLock<[IntCounter; 2]>,
    mirrored: OnceLock<[IntCounter; 3]>,
    /// The sources of targets that were counted. There are as many as the configuration and the embedder have.
    sources: Mutex<BTreeSet<String>>,
    /// By the target's name. Those that are in use.
    pub(super) targets: Mutex<HashMap<Arc<str>, Weak<TargetSeries>>>,
}

impl UpstreamMetrics {
    /// The series of the upstream of this name.
    pub(super) fn series(&self, upstream: &str) -> Arc<PoolSeries> {
        let mut pools = self.0.pools.lock();
        if let Some(series) = pools.get(upstream).and_then(Weak::upgrade) {
            return series;
        }
        let series = Arc::new(PoolSeries::new(self.0.clone(), upstream.into()));
        pools.insert(series.upstream.clone(), Arc::downgrade(&series));
        series
    }
}

impl PoolSeries {
    fn new(shared: Arc<Shared>, upstream: Arc<str>) -> Self {
        let of = &shared.families;
        Self {
            retries: each(&of.retries, &upstream, RETRIES),
            retries_refused: each(&of.retries_refused, &upstream, NO_RETRIES),
            refused: each(&of.refused, &upstream, REFUSED),
            connections: each(&of.connections, &upstream, CONNECTIONS),
            hedges: OnceLock::new(),
            mirrored: OnceLock::new(),
            sources: Mutex::default(),
            targets: Mutex::default(),
            upstream,
            shared,
        }
    }

    pub(super) fn families(&self) -> &Families {
        &self.shared.families
    }

    pub(super) fn hedges(&self) -> &[IntCounter; 2] {
        self.hedges.get_or_init(|| each(&self.families().hedges, &self.upstream, WINNERS))
    }

    pub(super) fn mirrored(&self) -> &[IntCounter; 3] {
        self.mirrored.get_or_init(|| each(&self.families().mirrored, &self.upstream, MIRRORED))
    }

    /// The upstream's own gauge if it is `wanted`; otherwise an earlier configuration's is removed.
    pub(super) fn gauge(&self, family: &IntGaugeVec, wanted: bool) -> Option<IntGauge> {
        let labels = [&*self.upstream];
        if wanted {
            return Some(family.with_label_values(&labels));
        }
        // An error says that there was none.
        let _ = family.remove_label_values(&labels);
        None
    }

    pub(super) fn discovery(&self, source: &str, ok: bool) -> IntCounter {
        let of = self.families();
        self.sources.lock().insert(source.to_owned());
        let family = if ok { &of.discovery_updates } else { &of.discovery_failures };
        family.with_label_values(&[&*self.upstream, source])
    }

    fn remove(&self) {
        let of = self.families();
        let upstream = &*self.upstream;
        let labelled: [(&IntCounterVec, &[&str]); 6] = [
            (&of.retries, &RETRIES),
            (&of.retries_refused, &NO_RETRIES),
            (&of.refused, &REFUSED),
            (&of.connections, &CONNECTIONS),
            (&of.hedges, &WINNERS),
            (&of.mirrored, &MIRRORED),
        ];
        // Errors say that there was none.
        for (family, labels) in labelled {
            labels.iter().for_each(|label| drop(family.remove_label_values(&[upstream, label])));
        }
        for family in [&of.queued, &of.limit, &of.breaker] {
            let _ = family.remove_label_values(&[upstream]);
        }
        for family in [&of.discovery_updates, &of.discovery_failures] {
            self.sources.lock().iter().for_each(|source| drop(family.remove_label_values(&[upstream, source])));
        }
    }
}

impl Drop for PoolSeries {
    fn drop(&mut self) {
        let shared = self.shared.clone();
        let mut pools = shared.pools.lock();
        // Meanwhile a pool of this name may have come, which has them now.
        if pools.get(&self.upstream).is_some_and(|series| series.strong_count() == 0) {
            pools.remove(&self.upstream);
            self.remove();
        }
    }
}

fn each<const N: usize>(family: &IntCounterVec, upstream: &str, labels: [&str; N]) -> [IntCounter; N] {
    labels.map(|label| family.with_label_values(&[upstream, label]))
}
