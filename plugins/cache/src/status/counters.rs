//! What operators see of the cache's work in numbers.

use tidegate_core::facts::{CacheStatus, Cached};
use tidegate_core::prometheus::{IntCounter, IntCounterVec};
use tidegate_core::{ConfigError, MetricError, Metrics};

use crate::admit::Refused;

/// Of all zones.
#[derive(Debug, Clone)]
pub(crate) struct Counters {
    requests: IntCounterVec,
    bypassed: IntCounterVec,
    stored: IntCounterVec,
    refused: IntCounterVec,
    collapsed: IntCounterVec,
    invalidated: IntCounterVec,
}

/// Of one zone.
#[derive(Debug, Clone)]
pub(crate) struct ZoneCounters {
    hit: IntCounter,
    stale: IntCounter,
    revalidated: IntCounter,
    miss: IntCounter,
    bypass: IntCounter,
    bypassed: Box<[(&'static str, IntCounter)]>,
    pub(crate) stored: IntCounter,
    refused: Box<[(Refused, IntCounter)]>,
    collapsed: IntCounter,
    pub(crate) invalidated: IntCounter,
}

/// Why a request has nothing to do with the cache.
pub(crate) const BYPASSES: [&str; 7] =
    ["method", "body", "precondition", "rule", "anonymous", "unknown_identity", "only_if_cached"];

impl Counters {
    pub(crate) fn new(metrics: &Metrics) -> Result<Self, ConfigError> {
        Self::made(metrics).map_err(|error| ConfigError::at("", error.to_string()))
    }

    fn made(metrics: &Metrics) -> Result<Self, MetricError> {
        let why = &["zone", "why"];
        let zone = &["zone"];
        Ok(Self {
            requests: metrics.counter(
                "tidegate_cache_requests_total",
                "Requests, by what the cache did: hit, stale, revalidated, miss, bypass",
                &["zone", "result"],
            )?,
            bypassed: metrics.counter(
                "tidegate_cache_bypassed_total",
                "Requests that had nothing to do with the cache, by why",
                why,
            )?,
            stored: metrics.counter("tidegate_cache_stored_total", "Answers stored, or confirmed", zone)?,
            refused: metrics.counter("tidegate_cache_refused_total", "Answers not stored, by why", why)?,
            collapsed: metrics.counter(
                "tidegate_cache_collapsed_total",
                "Requests that were answered by what another one asked for",
                zone,
            )?,
            invalidated: metrics.counter(
                "tidegate_cache_invalidated_total",
                "URLs made invalid by unsafe methods",
                zone,
            )?,
        })
    }

    pub(crate) fn zone(&self, zone: &str) -> ZoneCounters {
        let result = |result| self.requests.with_label_values(&[zone, result]);
        ZoneCounters {
            hit: result("hit"),
            stale: result("stale"),
            revalidated: result("revalidated"),
            miss: result("miss"),
            bypass: result("bypass"),
            bypassed: BYPASSES.map(|why| (why, self.bypassed.with_label_values(&[zone, why]))).into(),
            stored: self.stored.with_label_values(&[zone]),
            refused: Refused::ALL.map(|why| (why, self.refused.with_label_values(&[zone, why.word()]))).into(),
            collapsed: self.collapsed.with_label_values(&[zone]),
            invalidated: self.invalidated.with_label_values(&[zone]),
        }
    }
}

impl ZoneCounters {
    /// Counts a request that is over.
    pub(crate) fn count(&self, did: CacheStatus, more: &Cached) {
        match did {
            CacheStatus::Off => return,
            CacheStatus::Hit => self.hit.inc(),
            CacheStatus::Stale => self.stale.inc(),
            CacheStatus::Revalidated => self.revalidated.inc(),
            CacheStatus::Miss => self.miss.inc(),
            CacheStatus::Bypass => {
                self.bypass.inc();
                let why = self.bypassed.iter().find(|(why, _)| more.why == Some(why));
                why.into_iter().for_each(|(_, counter)| counter.inc());
            }
        }
        if more.collapsed {
            self.collapsed.inc();
        }
    }

    pub(crate) fn refuse(&self, why: Refused) {
        let counter = self.refused.iter().find(|(known, _)| *known == why);
        counter.into_iter().for_each(|(_, counter)| counter.inc());
    }
}
