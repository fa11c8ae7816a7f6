//! What listeners report, counted.

use std::io;
use std::sync::Arc;

use tidegate_core::prometheus::{IntCounterVec, IntGaugeVec};
use tidegate_core::{Connection, MetricError, Metrics};
use tidegate_listener::{CloseReason, Events, Refusal};

use crate::shared::Shared;

/// Connections, counted by listener. Labels are names of the configuration and of this program only.
pub(crate) struct ListenerEvents {
    open: IntGaugeVec,
    closed: IntCounterVec,
    full: IntCounterVec,
    handshakes: IntCounterVec,
    refused: IntCounterVec,
    accept: IntCounterVec,
    shared: Arc<Shared>,
}

impl ListenerEvents {
    pub(crate) fn new(shared: Arc<Shared>, metrics: &Metrics) -> Result<Self, MetricError> {
        let counter = |name: &str, help: &str, labels: &[&str]| metrics.counter(name, help, labels);
        Ok(Self {
            open: metrics.gauge("tidegate_connections", "Open client connections", &["listener"])?,
            closed: counter(
                "tidegate_connections_closed_total",
                "Client connections that ended, by reason",
                &["listener", "reason"],
            )?,
            full: counter(
                "tidegate_connections_refused_total",
                "Client connections turned away because max_connections were open",
                &["listener"],
            )?,
            handshakes: counter(
                "tidegate_tls_handshake_failures_total",
                "TLS handshakes of clients that failed",
                &["listener"],
            )?,
            refused: counter(
                "tidegate_requests_refused_total",
                "Requests refused by the listener, by status",
                &["listener", "status_code"],
            )?,
            accept: counter("tidegate_accept_failures_total", "Times a listener could not accept", &["listener"])?,
            shared,
        })
    }
}

impl Events for ListenerEvents {
    fn connection_opened(&self, listener: &str) {
        self.open.with_label_values(&[listener]).inc();
    }

    fn connection_closed(&self, listener: &str, reason: CloseReason) {
        self.open.with_label_values(&[listener]).dec();
        self.closed.with_label_values(&[listener, reason.label()]).inc();
    }

    fn connection_refused(&self, listener: &str) {
        self.full.with_label_values(&[listener]).inc();
    }

    fn handshake_failed(&self, listener: &str, error: &io::Error) {
        log::debug!(listener; "TLS handshake failed: {error}");
        self.handshakes.with_label_values(&[listener]).inc();
    }

    fn request_refused(&self, connection: &Connection, refusal: Refusal, request_id: &str) {
        let status = refusal.status.to_string();
        self.refused.with_label_values(&[&*connection.listener, status.as_str()]).inc();
        self.shared.log_refusal(connection, refusal, request_id);
    }

    fn accept_failed(&self, listener: &str, error: &io::Error) {
        log::warn!(listener; "can't accept connections for now: {error}");
        self.accept.with_label_values(&[listener]).inc();
    }
}
