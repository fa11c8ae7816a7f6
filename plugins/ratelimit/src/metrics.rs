//! What operators see in numbers: by route and limit, never by key.

use std::collections::HashMap;

use parking_lot::Mutex;
use tidegate_core::prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use tidegate_core::{ConfigError, MetricError, Metrics};

/// The plugin's metrics, of which routes take theirs when they are built.
#[derive(Debug, Clone)]
pub(crate) struct LimitMetrics {
    requests: IntCounterVec,
    store_lost: IntCounterVec,
    keys: IntGaugeVec,
    gateways: IntGaugeVec,
    bytes: IntGauge,
    evicted: IntCounter,
    untracked: IntCounter,
    settlements_dropped: IntCounter,
    bans: IntCounter,
}

/// What one limit of one route said.
#[derive(Debug, Clone)]
pub(crate) struct Counts {
    pub allowed: IntCounter,
    pub refused: IntCounter,
    /// A limit in `mode: shadow` would have refused.
    pub shadowed: IntCounter,
    /// Allowed, after it was held back.
    pub delayed: IntCounter,
}

/// What one store's loss did to requests.
#[derive(Debug, Clone)]
pub(crate) struct StoreLost {
    pub allowed: IntCounter,
    pub denied: IntCounter,
    /// Counted by this gateway alone.
    pub local: IntCounter,
}

impl LimitMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Result<Self, ConfigError> {
        Self::made(metrics).map_err(|error| ConfigError::at("", error.to_string()))
    }

    fn made(metrics: &Metrics) -> Result<Self, MetricError> {
        let help = "Requests by what each limit of their route said: allowed, refused, shadowed, delayed";
        let requests = metrics.counter("tidegate_ratelimit_requests_total", help, &["route", "limit", "result"])?;
        let help = "Requests decided without their store, by what was done with them: allow, deny, local";
        let store_lost = metrics.counter("tidegate_ratelimit_store_lost_total", help, &["store", "answer"])?;
        let keys = metrics.gauge("tidegate_ratelimit_keys", "Keys held in memory", &["limit"])?;
        let help = "Gateways that were heard of lately in a shared store, this one among them";
        let gateways = metrics.gauge("tidegate_ratelimit_gateways", help, &["store"])?;
        let gauge = |name, help| metrics.gauge(name, help, &[]).map(|gauge| gauge.with_label_values(&[] as &[&str]));
        let counter = |name, help| metrics.counter(name, help, &[]).map(|of| of.with_label_values(&[] as &[&str]));
        Ok(Self {
            requests,
            store_lost,
            keys,
            gateways,
            bytes: gauge("tidegate_ratelimit_bytes", "Memory used for keys held in memory")?,
            evicted: counter("tidegate_ratelimit_evicted_total", "Keys that gave way to others when memory was full")?,
            untracked: counter(
                "tidegate_ratelimit_untracked_total",
                "Requests not counted because memory was full of keys nearer to their limit",
            )?,
            settlements_dropped: counter(
                "tidegate_ratelimit_settlements_dropped_total",
                "Charges after the answer that were lost on their way to the store",
            )?,
            bans: counter("tidegate_ratelimit_bans_total", "Clients shut out for a time")?,
        })
    }

    /// Of one limit on one route.
    pub(crate) fn counts(&self, route: &str, limit: &str) -> Counts {
        let of = |result| self.requests.with_label_values(&[route, limit, result]);
        Counts { allowed: of("allowed"), refused: of("refused"), shadowed: of("shadowed"), delayed: of("delayed") }
    }

    /// Of one store.
    pub(crate) fn store_lost(&self, store: &str) -> StoreLost {
        let of = |answer| self.store_lost.with_label_values(&[store, answer]);
        StoreLost { allowed: of("allow"), denied: of("deny"), local: of("local") }
    }

    /// Keys that one limit holds in memory.
    pub(crate) fn keys(&self, limit: &str) -> IntGauge {
        self.keys.with_label_values(&[limit])
    }

    /// Gateways that count in one store.
    pub(crate) fn gateways(&self, store: &str) -> IntGauge {
        self.gateways.with_label_values(&[store])
    }

    /// Memory used for keys.
    pub(crate) fn bytes(&self) -> &IntGauge {
        &self.bytes
    }

    /// Keys that gave way.
    pub(crate) fn evicted(&self) -> &IntCounter {
        &self.evicted
    }

    /// Requests not counted.
    pub(crate) fn untracked(&self) -> &IntCounter {
        &self.untracked
    }

    /// Charges that were lost.
    pub(crate) fn settlements_dropped(&self) -> &IntCounter {
        &self.settlements_dropped
    }

    /// Clients shut out.
    pub(crate) fn bans(&self) -> &IntCounter {
        &self.bans
    }
}

/// The small numbers by which the memory store knows which limit a key is of. Kept over a reload, as its keys are.
#[derive(Debug, Default)]
pub(crate) struct Policies(Mutex<Numbers>);

#[derive(Debug, Default)]
struct Numbers {
    by_name: HashMap<String, u16>,
    names: Vec<String>,
}

impl Policies {
    /// Where all are counted together for which there is no number left.
    pub(crate) const OTHERS: u16 = u16::MAX;

    /// The number of a limit: `general`, or `<route>/<limit>` for one that a route has for itself.
    pub(crate) fn number(&self, name: &str) -> u16 {
        let mut numbers = self.0.lock();
        if let Some(number) = numbers.by_name.get(name) {
            return *number;
        }
        let Some(number) = u16::try_from(numbers.names.len()).ok().filter(|number| *number < Self::OTHERS) else {
            return Self::OTHERS;
        };
        numbers.by_name.insert(name.to_owned(), number);
        numbers.names.push(name.to_owned());
        number
    }

    /// All names, each at the place of its number.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.lock().names.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_go_on_over_a_reload_and_are_known_by_their_labels() {
        let metrics = Metrics::new();
        LimitMetrics::new(&metrics).expect("made").counts("users", "burst").refused.inc();
        let again = LimitMetrics::new(&metrics).expect("the same");
        assert_eq!(again.counts("users", "burst").refused.get(), 1);
        assert_eq!(again.counts("users", "burst").allowed.get(), 0);
        again.store_lost("shared").local.inc();
        again.keys("users/burst").set(5);
        again.untracked().inc();
        let names: Vec<_> = metrics.registry().gather().iter().map(|family| family.name().to_owned()).collect();
        for name in
            ["requests_total", "store_lost_total", "keys", "bytes", "evicted_total", "untracked_total", "bans_total"]
        {
            let name = format!("tidegate_ratelimit_{name}");
            assert!(names.contains(&name), "{name} of {names:?}");
        }
    }

    #[test]
    fn a_limit_keeps_its_number_and_none_is_given_twice() {
        let policies = Policies::default();
        let (a, b) = (policies.number("users/burst"), policies.number("general"));
        assert_ne!(a, b);
        assert_eq!(policies.number("users/burst"), a);
        assert_eq!(policies.names()[usize::from(b)], "general");
    }

    #[test]
    fn more_limits_than_numbers_are_counted_together() {
        let policies = Policies::default();
        let last = (0..=70_000).map(|nth| policies.number(&nth.to_string())).last();
        assert_eq!(last, Some(Policies::OTHERS));
        assert_eq!(policies.names().len(), usize::from(Policies::OTHERS));
    }
}
