//! `type: tcp`: it accepts a connection, and shakes hands where TLS is spoken.

use std::sync::LazyLock;

use pingora_core::connectors::TransportConnector;

use super::probe::peer;
use crate::client::{Deadline, connecting};
use crate::config::Health;
use crate::target::LiveTarget;

/// Only makes connections: none is ever given back to it.
static CONNECTOR: LazyLock<TransportConnector> = LazyLock::new(|| TransportConnector::new(None));

pub(super) async fn probe(target: &LiveTarget, health: &Health) -> Result<(), String> {
    let peer = peer(target, health);
    // Before the time of the check begins.
    let connector = &*CONNECTOR;
    let deadline = Deadline::after(health.timeout.into());
    let stream = deadline.bound(connector.new_stream(&peer)).await;
    let stream = stream.ok_or_else(|| deadline.unconnected().to_string())?;
    let mut stream = stream.map_err(|error| connecting(&error).to_string())?;
    let tls = stream.get_ssl_digest();
    let fit = target.check_tls(tls.as_deref()).map_err(|error| error.to_string());
    // So that a TLS server sees a proper end, and not a failure.
    deadline.bound(stream.shutdown()).await;
    fit
}
