//! Metrics of one gateway. Nothing global: two gateways in one process don't meet.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::core::Collector;
use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

/// A metric that can't be made.
#[derive(Debug, thiserror::Error)]
pub enum MetricError {
    /// The name is taken by a metric of another kind.
    #[error("metric {0} is already of another kind or has other labels")]
    Taken(String),
    /// The name, the labels or the buckets are not valid.
    #[error("metric {0} is not valid")]
    Invalid(String, #[source] prometheus::Error),
}

/// Where metrics are made. The same name gives the same metric, so counters go on over a reload.
///
/// Resolve a metric's labels when a handler is built and keep the child: a lookup by label hashes strings, and
/// that does not belong on the request path. Labels come from the configuration, never from a request.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Inner>);

#[derive(Default)]
struct Inner {
    registry: Registry,
    made: Mutex<HashMap<String, Box<dyn Any + Send>>>,
}

impl Metrics {
    /// No metrics yet, in a registry of their own.
    pub fn new() -> Self {
        Self::default()
    }

    /// The registry, to be read by `/metrics`.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// A counter: only ever goes up.
    pub fn counter(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, MetricError> {
        self.make(name, || IntCounterVec::new(Opts::new(name, help), labels))
    }

    /// A gauge of whole numbers.
    pub fn gauge(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, MetricError> {
        self.make(name, || IntGaugeVec::new(Opts::new(name, help), labels))
    }

    /// A gauge of fractions.
    pub fn float_gauge(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, MetricError> {
        self.make(name, || GaugeVec::new(Opts::new(name, help), labels))
    }

    /// A histogram with these upper bounds, in the unit of its name.
    pub fn histogram(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramVec, MetricError> {
        self.make(name, || HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels))
    }

    fn make<M: Collector + Clone + Send + 'static>(
        &self,
        name: &str,
        new: impl FnOnce() -> prometheus::Result<M>,
    ) -> Result<M, MetricError> {
        let invalid = |error| MetricError::Invalid(name.to_owned(), error);
        let fresh = new().map_err(invalid)?;
        let mut made = self.0.made.lock();
        if let Some(old) = made.get(name) {
            let old = old.downcast_ref::<M>().filter(|old| same_shape(*old, &fresh));
            return old.cloned().ok_or_else(|| MetricError::Taken(name.to_owned()));
        }
        self.0.registry.register(Box::new(fresh.clone())).map_err(invalid)?;
        made.insert(name.to_owned(), Box::new(fresh.clone()));
        Ok(fresh)
    }
}

fn same_shape(a: &dyn Collector, b: &dyn Collector) -> bool {
    let labels = |c: &dyn Collector| c.desc().into_iter().map(|desc| desc.variable_labels.clone()).collect::<Vec<_>>();
    labels(a) == labels(b)
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Metrics({} metrics)", self.0.made.lock().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_goes_on_counting_and_another_kind_is_refused() {
        let metrics = Metrics::new();
        metrics.counter("c_total", "help", &["a"]).expect("made").with_label_values(&["x"]).inc();
        let again = metrics.counter("c_total", "help", &["a"]).expect("the same");
        assert_eq!(again.with_label_values(&["x"]).get(), 1);
        assert!(metrics.gauge("c_total", "help", &["a"]).is_err());
        assert!(metrics.counter("c_total", "help", &["b"]).is_err());
    }
}
