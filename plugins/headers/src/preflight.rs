//! Preflights, answered and counted.

use tidegate_core::prometheus::{IntCounter, IntCounterVec};
use tidegate_core::{ConfigError, Flow, Metrics, Reply, RequestHead, Route, StatusCode};

use crate::cors::{Cors, Preflight};

/// Counts the preflights of all routes.
#[derive(Debug)]
pub(crate) struct Preflights(IntCounterVec);

impl Preflights {
    pub(crate) fn new(metrics: &Metrics) -> Result<Self, ConfigError> {
        let help = "CORS preflights answered, by route and outcome (allowed, refused)";
        let counters = metrics.counter("tidegate_headers_preflights_total", help, &["route", "outcome"]);
        counters.map(Self).map_err(|error| ConfigError::at("", error.to_string()))
    }

    /// The rules of one route, with its own counters.
    pub(crate) fn counted(&self, rules: Cors, route: &Route) -> RouteCors {
        let of = |outcome| self.0.with_label_values(&[&**route.name(), outcome]);
        RouteCors { rules, allowed: of("allowed"), refused: of("refused") }
    }
}

/// What pages of other origins may do on one route, and how often they asked.
#[derive(Debug)]
pub(crate) struct RouteCors {
    rules: Cors,
    allowed: IntCounter,
    refused: IntCounter,
}

impl RouteCors {
    pub(crate) fn rules(&self) -> &Cors {
        &self.rules
    }

    /// The fields of the answer are made on its way out, like those of every other one.
    pub(crate) fn answer(&self, head: &RequestHead<'_>) -> Flow {
        match self.rules.preflight(head.method, head.headers) {
            Preflight::No => Flow::Continue,
            Preflight::Allowed => {
                self.allowed.inc();
                Flow::Respond(Reply::new(StatusCode::NO_CONTENT))
            }
            Preflight::Refused => {
                self.refused.inc();
                Flow::Respond(Reply::forbidden("origin_refused", "pages of this origin may not ask this"))
            }
        }
    }
}
