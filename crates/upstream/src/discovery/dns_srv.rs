//! SRV records, RFC 2782.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tidegate_core::Clock;

use super::{Source, SourceError};
use crate::config::{Discovery, TargetConfig};
use crate::dns::{Dns, SrvRecord};
use crate::pool::Pool;
use crate::ttl::Schedule;

const LARGEST_WEIGHT: u32 = 256;
const LAST_TIER: u32 = 15;

/// The SRV records of a name, asked for again when their TTL ends.
pub(super) struct DnsSrv {
    name: String,
    label: String,
    dns: Arc<Dns>,
    schedule: Schedule,
    clock: Clock,
    /// How long the last answer is good for.
    wait: Option<Duration>,
}

impl DnsSrv {
    pub(super) fn new(config: &Discovery, pool: &Pool) -> Self {
        Self {
            name: config.name.clone().unwrap_or_default(),
            label: super::name(config),
            dns: pool.dns.clone(),
            schedule: pool.schedule,
            clock: pool.clock.clone(),
            wait: None,
        }
    }
}

#[async_trait]
impl Source for DnsSrv {
    fn kind(&self) -> &'static str {
        "dns_srv"
    }

    fn name(&self) -> String {
        self.label.clone()
    }

    async fn next(&mut self) -> Result<Vec<TargetConfig>, SourceError> {
        if let Some(wait) = self.wait {
            self.clock.sleep(wait).await;
            self.wait = None;
        }
        let answer = self.dns.lookup_srv(&self.name).await.map_err(|error| SourceError::new(error.to_string()))?;
        let targets = targets(&answer.records);
        if targets.is_empty() {
            // A single record with the target `.`: rather a mistake than an order to fail every request.
            return Err(SourceError::new("the name says that the service is not offered"));
        }
        self.wait = Some(self.schedule.after_answer(answer.ttl));
        Ok(targets)
    }

    fn retry_after(&self, failures: u32) -> Duration {
        self.schedule.after_failure(failures)
    }
}

/// The priorities become tiers in their order; the weights of a tier keep their proportions.
fn targets(records: &[SrvRecord]) -> Vec<TargetConfig> {
    let offered = || records.iter().filter(|record| record.target != ".");
    let tiers: BTreeSet<u16> = offered().map(|record| record.priority).collect();
    let tiers: BTreeMap<u16, u32> = tiers.into_iter().zip(0..).collect();
    let largest = |priority| offered().filter(|r| r.priority == priority).map(|r| r.weight).max().unwrap_or(1);
    let largest: BTreeMap<u16, u16> = tiers.keys().map(|priority| (*priority, largest(*priority))).collect();
    let mut targets: Vec<_> = offered()
        .map(|record| TargetConfig {
            address: format!("{}:{}", record.target, record.port),
            weight: weight(record.weight, largest.get(&record.priority).copied().unwrap_or(1)),
            priority: tiers.get(&record.priority).copied().unwrap_or(LAST_TIER).min(LAST_TIER),
            ..TargetConfig::default()
        })
        .collect();
    // A name server that turns its answers round each time has said nothing new.
    targets.sort_by(|a, b| (a.priority, &a.address, a.weight).cmp(&(b.priority, &b.address, b.weight)));
    targets
}

/// A target of weight 0 is to be chosen rarely, not never.
fn weight(weight: u16, largest: u16) -> u32 {
    let (weight, largest) = (u32::from(weight), u32::from(largest));
    match largest > LARGEST_WEIGHT {
        true => (weight * LARGEST_WEIGHT).div_ceil(largest).max(1),
        false => weight.max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(priority: u16, weight: u16, target: &str) -> SrvRecord {
        SrvRecord { priority, weight, port: 80, target: target.to_owned() }
    }

    fn seen(records: &[SrvRecord]) -> Vec<(String, u32, u32)> {
        targets(records).into_iter().map(|t| (t.address, t.priority, t.weight)).collect()
    }

    #[test]
    fn priorities_become_tiers_in_their_order() {
        let seen = seen(&[record(50, 1, "c."), record(10, 0, "b."), record(10, 5, "a.")]);
        let expected = [("a.:80", 0, 5), ("b.:80", 0, 1), ("c.:80", 1, 1)];
        assert_eq!(seen, expected.map(|(address, tier, weight)| (address.to_owned(), tier, weight)));
        let many: Vec<_> = (0..40).map(|n| record(n * 100, 1, &format!("t{n}."))).collect();
        assert_eq!(targets(&many).iter().map(|target| target.priority).max(), Some(15));
    }

    #[test]
    fn large_weights_keep_their_proportions_within_a_tier() {
        let weights = |records: &[SrvRecord]| targets(records).into_iter().map(|t| t.weight).collect::<Vec<_>>();
        assert_eq!(weights(&[record(1, 60_000, "a."), record(1, 30_000, "b."), record(1, 0, "c.")]), [256, 128, 1]);
        assert_eq!(weights(&[record(1, 2, "a."), record(2, 65_535, "b.")]), [2, 256]);
        assert_eq!(weights(&[record(1, 256, "a."), record(1, 255, "b.")]), [256, 255]);
    }

    #[test]
    fn a_service_that_is_not_offered_has_no_targets() {
        assert!(targets(&[record(0, 0, ".")]).is_empty());
    }
}
