//! What is counted.

use tidegate_core::prometheus::{IntCounter, IntCounterVec};
use tidegate_core::{ConfigError, Metrics};

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Whole,
    Partial,
    NotModified,
    Fallback,
    Listing,
    Redirected,
    NotFound,
    Denied,
    Refused,
    PreconditionFailed,
    Unsatisfiable,
    Options,
    Failed,
}

/// In the order of [`Outcome`].
const OUTCOMES: [&str; 13] = [
    "whole",
    "partial",
    "not_modified",
    "fallback",
    "listing",
    "redirected",
    "not_found",
    "denied",
    "refused",
    "precondition_failed",
    "unsatisfiable",
    "options",
    "failed",
];

/// Counters by route.
#[derive(Debug, Clone)]
pub(crate) struct FilesMetrics {
    requests: IntCounterVec,
    bytes: IntCounterVec,
    cut: IntCounterVec,
}

/// Those of one route.
#[derive(Debug)]
pub(crate) struct RouteMetrics {
    requests: [IntCounter; OUTCOMES.len()],
    pub(crate) bytes: IntCounter,
    pub(crate) cut: IntCounter,
}

impl FilesMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Result<Self, ConfigError> {
        let made = |name, help, labels: &[&str]| {
            metrics.counter(name, help, labels).map_err(|error| ConfigError::at("", error.to_string()))
        };
        let help = "Requests for files, by what became of them";
        Ok(Self {
            requests: made("tidegate_files_requests_total", help, &["route", "outcome"])?,
            bytes: made("tidegate_files_bytes_total", "Bytes of files that were read for clients", &["route"])?,
            cut: made("tidegate_files_cut_total", "Answers cut because the file could not be read on", &["route"])?,
        })
    }

    pub(crate) fn of(&self, route: &str) -> RouteMetrics {
        RouteMetrics {
            requests: OUTCOMES.map(|outcome| self.requests.with_label_values(&[route, outcome])),
            bytes: self.bytes.with_label_values(&[route]),
            cut: self.cut.with_label_values(&[route]),
        }
    }
}

impl RouteMetrics {
    pub(crate) fn count(&self, outcome: Outcome) {
        self.requests[outcome as usize].inc();
    }
}
