//! One address of one target, with all that a request needs of it made beforehand.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use http::HeaderValue;
use pingora_core::upstreams::peer::HttpPeer;

use crate::address::Address;
use crate::config::{HostHeader, TargetConfig, TlsVersion, UpstreamConfig};
use crate::metrics::TargetSeries;
use crate::pick::TargetId;
use crate::state::State;
use crate::sticky::StickyCookie;

/// A target as somebody listed it: the configuration, or a source of targets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Spec {
    /// As written.
    pub(crate) name: Arc<str>,
    pub(crate) address: Address,
    pub(crate) weight: u32,
    pub(crate) zone: Option<Arc<str>>,
    pub(crate) priority: u32,
    /// `u32::MAX` without a limit.
    pub(crate) max_in_flight: u32,
    /// What it sees in `Host`, unless that is the client's.
    pub(crate) host: Option<HeaderValue>,
}

/// One address of one target.
pub(crate) struct LiveTarget {
    pub(crate) id: TargetId,
    pub(crate) spec: Arc<Spec>,
    pub(crate) socket: Option<SocketAddr>,
    /// `10.0.0.1:3000`, or `unix:/run/app.sock`.
    pub(crate) address: Box<str>,
    pub(crate) peer: HttpPeer,
    /// Set where `peer` may agree on HTTP/2, which carries no upgrade.
    pub(crate) upgrade_peer: Option<HttpPeer>,
    /// Set where it is more than what every TLS connection has.
    pub(crate) min_tls: Option<TlsVersion>,
    /// What keeps a browser on it, where the pool has `sticky`.
    pub(crate) sticky: Option<StickyCookie>,
    pub(crate) state: Arc<State>,
    /// What is counted of it; addresses of one name share it.
    pub(crate) series: Arc<TargetSeries>,
}

impl Spec {
    pub(crate) fn new(address: Address, target: &TargetConfig, config: &UpstreamConfig) -> Self {
        let host = match &config.host_header {
            HostHeader::Preserve => None,
            HostHeader::Upstream => HeaderValue::try_from(authority(&address, config.tls.is_some())).ok(),
            HostHeader::Literal(name) => HeaderValue::try_from(name).ok(),
        };
        Self {
            name: target.address.as_str().into(),
            address,
            weight: target.weight,
            zone: target.zone.as_deref().map(Into::into),
            priority: target.priority,
            max_in_flight: target.max_in_flight.or(config.limits.per_target).unwrap_or(u32::MAX),
            host,
        }
    }
}

/// What a client of the target itself would send in `Host`: the port only where it isn't the scheme's own.
fn authority(address: &Address, tls: bool) -> String {
    let usual = if tls { 443 } else { 80 };
    match address.port() {
        Some(port) if port != usual => format!("{}:{port}", address.host()),
        _ => address.host(),
    }
}

impl LiveTarget {
    pub(crate) fn id(&self) -> TargetId {
        self.id
    }

    /// Whether one more request may go to it now.
    pub(crate) fn has_room(&self) -> bool {
        self.state.in_flight() < self.spec.max_in_flight
    }
}

/// A target with one request more on it, for as long as this lives.
pub(crate) struct Occupied(Arc<LiveTarget>);

impl Occupied {
    /// `None` if it is full.
    pub(crate) fn new(target: &Arc<LiveTarget>) -> Option<Self> {
        target.state.enter(target.spec.max_in_flight).then(|| Self(target.clone()))
    }
}

impl Deref for Occupied {
    type Target = LiveTarget;

    fn deref(&self) -> &LiveTarget {
        &self.0
    }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        self.0.state.leave();
    }
}
