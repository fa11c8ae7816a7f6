//! When each key was used last.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tidegate_core::prometheus::{IntGauge, IntGaugeVec};
use tidegate_core::{BuildCx, MetricError, Metrics};

/// The most keys that have a metric of their own. Of the others operators see on the admin listener when they were
/// used.
const MOST_SHOWN: usize = 1000;

/// The gauges in which uses are kept: they outlive lists of keys and configurations.
pub(super) struct Uses {
    provider: Box<str>,
    all: IntGaugeVec,
    gauges: Arc<Mutex<Gauges>>,
}

#[derive(Default)]
struct Gauges {
    shown: HashMap<Box<str>, IntGauge>,
    others: HashMap<Box<str>, IntGauge>,
}

impl Uses {
    /// Of a provider, and of the one of this name before it.
    pub(super) fn kept(provider: &str, cx: &mut BuildCx<'_>) -> Result<Self, MetricError> {
        let gauges = cx.retain(&["api_key uses ", provider].concat(), Mutex::default);
        Ok(Self { gauges, ..Self::new(cx.metrics(), provider)? })
    }

    pub(super) fn new(metrics: &Metrics, provider: &str) -> Result<Self, MetricError> {
        let help = "When an API key was used last, in seconds since 1970; 0 for never";
        let all = metrics.gauge("tidegate_auth_api_key_last_used_seconds", help, &["provider", "key"])?;
        Ok(Self { provider: provider.into(), all, gauges: Arc::default() })
    }

    /// The gauge of a key.
    pub(super) fn of(&self, prefix: &str) -> IntGauge {
        let mut gauges = self.gauges.lock();
        if let Some(gauge) = gauges.shown.get(prefix).or_else(|| gauges.others.get(prefix)) {
            return gauge.clone();
        }
        let shown = gauges.shown.len() < MOST_SHOWN;
        let gauge = match shown {
            true => self.all.with_label_values(&[&self.provider, prefix]),
            false => IntGauge::new("not_shown", "not shown").expect("a good name"),
        };
        let list = if shown { &mut gauges.shown } else { &mut gauges.others };
        list.insert(prefix.into(), gauge.clone());
        gauge
    }

    /// Forgets the keys that there are no more.
    pub(super) fn keep_only(&self, is_there: impl Fn(&str) -> bool) {
        let mut gauges = self.gauges.lock();
        gauges.others.retain(|prefix, _| is_there(prefix));
        gauges.shown.retain(|prefix, _| {
            let stays = is_there(prefix);
            if !stays {
                // It may be gone already: that is what is wanted.
                let _ = self.all.remove_label_values(&[&self.provider, prefix]);
            }
            stays
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_its_gauge_until_it_is_gone() {
        let metrics = Metrics::new();
        let uses = Uses::new(&metrics, "keys").expect("metrics");
        uses.of("a").set(5);
        uses.of("b").set(6);
        uses.keep_only(|prefix| prefix == "a");
        assert_eq!((uses.of("a").get(), uses.of("b").get()), (5, 0));
    }

    #[test]
    fn only_so_many_keys_have_a_metric() {
        let metrics = Metrics::new();
        let uses = Uses::new(&metrics, "keys").expect("metrics");
        for nth in 0..MOST_SHOWN + 10 {
            uses.of(&nth.to_string()).set(1);
        }
        let series: usize = metrics.registry().gather().iter().map(|family| family.get_metric().len()).sum();
        assert_eq!(series, MOST_SHOWN);
        assert_eq!(uses.of(&(MOST_SHOWN + 5).to_string()).get(), 1);
    }
}
