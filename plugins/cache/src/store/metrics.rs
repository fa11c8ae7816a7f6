//! What operators see of a zone in numbers.

use tidegate_core::prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use tidegate_core::{ConfigError, MetricError, Metrics};

/// The metrics of all zones.
#[derive(Debug, Clone)]
pub(crate) struct StoreMetrics {
    objects: IntGaugeVec,
    bytes: IntGaugeVec,
    evictions: IntCounterVec,
    not_admitted: IntCounterVec,
    abandoned: IntCounterVec,
}

/// Those of one zone.
#[derive(Debug, Clone)]
pub(crate) struct ZoneMetrics {
    /// Whole answers in memory.
    pub(crate) objects: IntGauge,
    /// Bytes of memory.
    pub(crate) bytes: IntGauge,
    /// Gave way to others.
    pub(crate) evicted: IntCounter,
    /// Replaced by a newer answer.
    pub(crate) replaced: IntCounter,
    /// Removed by name.
    pub(crate) removed: IntCounter,
    /// Forgotten with all others.
    pub(crate) cleared: IntCounter,
    /// Not kept, because what is stored is asked for more often.
    pub(crate) not_admitted: IntCounter,
    /// Never finished.
    pub(crate) broken: IntCounter,
    /// Longer than the zone's longest.
    pub(crate) too_long: IntCounter,
    /// Other than its head says.
    pub(crate) wrong_length: IntCounter,
    /// A reader too slow for a body that isn't kept.
    pub(crate) slow_reader: IntCounter,
}

impl StoreMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Result<Self, ConfigError> {
        Self::made(metrics).map_err(|error| ConfigError::at("", error.to_string()))
    }

    fn made(metrics: &Metrics) -> Result<Self, MetricError> {
        let zone = &["zone"];
        let why = &["zone", "why"];
        Ok(Self {
            objects: metrics.gauge("tidegate_cache_memory_objects", "Whole answers in memory", zone)?,
            bytes: metrics.gauge(
                "tidegate_cache_memory_bytes",
                "Memory that answers take, with all about them",
                zone,
            )?,
            evictions: metrics.counter(
                "tidegate_cache_memory_evictions_total",
                "Answers that left memory, by why: space, replaced, removed, cleared",
                why,
            )?,
            not_admitted: metrics.counter(
                "tidegate_cache_memory_not_admitted_total",
                "Answers not kept in memory, because what would have to go for them is asked for more often",
                zone,
            )?,
            abandoned: metrics.counter(
                "tidegate_cache_writes_abandoned_total",
                "Answers not stored in the end, by why: broken, too_long, wrong_length, slow_reader",
                why,
            )?,
        })
    }

    /// Of one zone.
    pub(crate) fn zone(&self, zone: &str) -> ZoneMetrics {
        let evicted = |why| self.evictions.with_label_values(&[zone, why]);
        let abandoned = |why| self.abandoned.with_label_values(&[zone, why]);
        ZoneMetrics {
            objects: self.objects.with_label_values(&[zone]),
            bytes: self.bytes.with_label_values(&[zone]),
            evicted: evicted("space"),
            replaced: evicted("replaced"),
            removed: evicted("removed"),
            cleared: evicted("cleared"),
            not_admitted: self.not_admitted.with_label_values(&[zone]),
            broken: abandoned("broken"),
            too_long: abandoned("too_long"),
            wrong_length: abandoned("wrong_length"),
            slow_reader: abandoned("slow_reader"),
        }
    }
}
