//! One check of one target.

use std::sync::LazyLock;

use pingora_core::protocols::ALPN;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_http::RequestHeader;

use super::{grpc, http, tcp};
use crate::client::Client;
use crate::config::{Health, HealthKind};
use crate::target::LiveTarget;

/// Asks a target how it is; the error is the reason why that is not well. Each kind keeps to the timeout by itself:
/// it knows best what it was that took so long.
pub(super) async fn probe(target: &LiveTarget, health: &Health) -> Result<(), String> {
    match health.kind {
        HealthKind::Http => http::probe(target, health).await,
        HealthKind::Tcp => tcp::probe(target, health).await,
        HealthKind::Grpc => grpc::probe(target, health).await,
    }
}

/// Makes a connection for each check: the check is to find out whether one can be made. One for all pools, as it
/// reads the system's CA certificates.
static CLIENT: LazyLock<Client> = LazyLock::new(Client::without_reuse);

/// To be had before the time of a check begins: the first one waits for it to be made.
pub(super) fn client() -> &'static Client {
    &CLIENT
}

/// As much of an answer as may wait unread in HTTP/2. The default of 8 MiB is for downloads.
const WINDOW: u32 = 128 * 1024;

/// The peer that requests go to, at the port of the checks and without what only concerns requests.
pub(super) fn peer(target: &LiveTarget, health: &Health) -> HttpPeer {
    let mut peer = target.peer.clone();
    if let (Some(port), SocketAddr::Inet(address)) = (health.port, &mut peer._address) {
        address.set_port(port);
    }
    let options = &mut peer.options;
    // The check's own timeout is over all of it.
    options.connection_timeout = None;
    options.total_connection_timeout = None;
    options.h2_ping_interval = None;
    options.h2_stream_window_size = Some(WINDOW);
    options.h2_connection_window_size = Some(WINDOW);
    options.tracer = None;
    if health.kind == HealthKind::Grpc {
        options.alpn = ALPN::H2;
    }
    peer
}

/// A head with what all checks have in common.
pub(super) fn head(
    target: &LiveTarget,
    health: &Health,
    method: &str,
    path: &str,
) -> pingora_core::Result<Box<RequestHeader>> {
    let mut head = RequestHeader::build(method, path.as_bytes(), Some(8))?;
    match (&health.host, &target.spec.host) {
        (Some(host), _) => head.insert_header("host", host)?,
        (None, Some(host)) => head.insert_header("host", host)?,
        (None, None) => head.insert_header("host", own_name(target, health))?,
    }
    head.insert_header("user-agent", "tidegate-health")?;
    Ok(Box::new(head))
}

/// What a client of the target itself would send in `Host`.
fn own_name(target: &LiveTarget, health: &Health) -> String {
    let address = &target.spec.address;
    let usual = if target.peer.is_tls() { 443 } else { 80 };
    match address.port().map(|port| health.port.unwrap_or(port)) {
        Some(port) if port != usual => format!("{}:{port}", address.host()),
        _ => address.host(),
    }
}
