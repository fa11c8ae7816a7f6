//! What all requests of one gateway share.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{HeaderMap, Version};
use pingora_proxy::Session;
use tidegate_core::erased::head_of;
use tidegate_core::prometheus::{IntCounterVec, IntGauge};
use tidegate_core::{AnsweredBy, Connection, MetricError, Metrics, Outcome};
use tidegate_listener::Refusal;

use crate::access_log::Entry;
use crate::build::UNROUTED;
use crate::exchange::Exchange;
use crate::generation::Generation;

/// What all requests of one gateway share.
pub(crate) struct Shared {
    /// The current configuration. A request takes it once and keeps it.
    pub current: ArcSwap<Generation>,
    pub draining: Arc<AtomicBool>,
    pub in_flight: IntGauge,
    pub reloads: Reloads,
}

impl Shared {
    pub(crate) fn new(generation: Arc<Generation>, metrics: &Metrics) -> Result<Self, MetricError> {
        let in_flight = metrics.gauge("tidegate_requests_in_flight", "Requests being served", &[])?;
        let reloads = Reloads::new(metrics)?;
        reloads.done(&generation);
        Ok(Self {
            current: ArcSwap::new(generation),
            draining: Arc::new(AtomicBool::new(false)),
            in_flight: in_flight.with_label_values::<&str>(&[]),
            reloads,
        })
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// The access log's line.
    pub(crate) fn log(&self, session: &Session, exchange: &Exchange, outcome: &Outcome) {
        let Some(log) = &exchange.generation.access_log else { return };
        let head = head_of(session, &exchange.request);
        let sent = session.req_header();
        let connection = exchange.connection();
        log.write(&Entry {
            request_id: exchange.request.facts.request_id.as_str(),
            method: head.method.as_str(),
            // As the client sent it: what a normalised path hides is what an auditor looks for.
            path: sent.uri.path(),
            query: head.query,
            host: head.authority,
            scheme: head.scheme.as_str(),
            protocol: protocol(sent.version),
            client: head.client,
            peer: connection.peer,
            listener: &connection.listener,
            tls: connection.tls.as_ref().map(|tls| tls.version),
            route: exchange.route().route.name(),
            status: outcome.status,
            duration: outcome.duration,
            bytes_in: outcome.bytes_received,
            bytes_out: outcome.bytes_sent,
            answered_by: outcome.answered_by,
            upstream: exchange.tries.pool.as_ref().map(|pool| &**pool.name()),
            target: exchange.tries.target(),
            tries: u32::try_from(exchange.tries.tried.len()).unwrap_or(u32::MAX),
            retry_reason: exchange.tries.why_again(),
            retry_refused: exchange.tries.why_not_again(),
            code: exchange.code,
            error: exchange.cause.as_deref(),
            subject: exchange.request.facts.identity.as_ref().map(|identity| identity.subject()),
            headers: head.headers,
        });
    }
}

impl Shared {
    /// The access log's line for a request that the listener refused before anybody had read it: what it asked for
    /// is not known.
    pub(crate) fn log_refusal(&self, connection: &Connection, refusal: Refusal, request_id: &str) {
        let generation = self.current.load();
        let Some(log) = &generation.access_log else { return };
        let nobody = IpAddr::from([0, 0, 0, 0]);
        log.write(&Entry {
            request_id,
            method: "-",
            path: "-",
            query: None,
            host: "",
            scheme: if connection.tls.is_some() { "https" } else { "http" },
            protocol: "HTTP/1",
            client: connection.peer.map_or(nobody, |peer| peer.ip().to_canonical()),
            peer: connection.peer,
            listener: &connection.listener,
            tls: connection.tls.as_ref().map(|tls| tls.version),
            route: UNROUTED,
            status: refusal.status,
            duration: Duration::ZERO,
            bytes_in: 0,
            bytes_out: 0,
            answered_by: AnsweredBy::Gateway,
            upstream: None,
            target: None,
            tries: 0,
            retry_reason: None,
            retry_refused: None,
            code: Some(refusal.code()),
            error: Some(refusal.reason),
            subject: None,
            headers: &HeaderMap::new(),
        });
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP",
    }
}

/// What became of configurations.
pub(crate) struct Reloads {
    results: IntCounterVec,
    last_failed: IntGauge,
    number: IntGauge,
}

impl Reloads {
    fn new(metrics: &Metrics) -> Result<Self, MetricError> {
        let one = |name, help| metrics.gauge(name, help, &[]).map(|gauge| gauge.with_label_values::<&str>(&[]));
        Ok(Self {
            results: metrics.counter("tidegate_config_reloads_total", "Reloads, by result", &["result"])?,
            last_failed: one("tidegate_config_last_reload_failed", "1 when the last reload changed nothing")?,
            number: one("tidegate_config_generation", "Counts up with each configuration")?,
        })
    }

    pub(crate) fn done(&self, generation: &Generation) {
        if generation.number > 1 {
            self.results.with_label_values(&["success"]).inc();
        }
        self.last_failed.set(0);
        self.number.set(i64::try_from(generation.number).unwrap_or(i64::MAX));
    }

    pub(crate) fn failed(&self) {
        self.results.with_label_values(&["failure"]).inc();
        self.last_failed.set(1);
    }
}

/// How long names of upstreams may take to be resolved before the first request is let in.
pub(crate) const FIRST_RESOLUTION: Duration = Duration::from_secs(2);
