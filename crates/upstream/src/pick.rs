//! What the balancer is told, and what it answers.

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;
use pingora_core::protocols::Digest;
use pingora_core::upstreams::peer::HttpPeer;

use crate::live::LiveTarget;

/// One address of one target. It stays the same for as long as the target keeps the address, also when other names
/// resolve anew; after that it is not used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetId(pub(crate) u32);

/// What a choice may depend on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pick<'a> {
    /// What keeps a client on one target, for algorithms that hash. Round robin and random don't look at it.
    pub hash: Option<u64>,
    /// Where this request has failed before: chosen again only when nothing else is left.
    pub tried: &'a [TargetId],
}

/// The target that a request goes to.
#[derive(Clone)]
pub struct Picked(pub(crate) Arc<LiveTarget>);

impl Picked {
    /// The target's identity, for [`Pick::tried`].
    pub fn id(&self) -> TargetId {
        self.0.id()
    }

    /// The target as the configuration writes it: a label for logs and metrics, of which there are only as many as
    /// the configuration has targets.
    pub fn target(&self) -> &Arc<str> {
        &self.0.name
    }

    /// The address that is connected to: `10.0.0.1:3000`, or `unix:/run/app.sock`. For logs, never for clients.
    pub fn address(&self) -> &str {
        &self.0.address
    }

    /// What the target is to see in `Host`; `None` leaves the client's.
    pub fn host(&self) -> Option<&HeaderValue> {
        self.0.host.as_ref()
    }

    /// Where and how to connect, with every option set.
    pub fn peer(&self) -> Box<HttpPeer> {
        Box::new(self.0.peer.clone())
    }

    /// The same for a request that asks for an HTTP/1.1 upgrade (WebSocket), which HTTP/2 does not carry: a pool that
    /// negotiates the version (`protocol: auto`) offers HTTP/1.1 only.
    pub fn peer_for_upgrade(&self) -> Box<HttpPeer> {
        Box::new(self.0.upgrade_peer.as_ref().unwrap_or(&self.0.peer).clone())
    }

    /// Whether the connection is what the pool's `tls.min_version` asks for. Pingora offers TLS 1.2 and 1.3 to every
    /// upstream, so this is to be asked once connected, before the request is sent.
    ///
    /// # Errors
    /// The version that was agreed on, if it is too old or unknown.
    pub fn check_tls(&self, digest: Option<&Digest>) -> Result<(), TlsTooOld> {
        let Some(wanted) = self.0.min_tls else { return Ok(()) };
        let tls = digest.and_then(|digest| digest.ssl_digest.as_ref());
        let version = tls.map_or("", |tls| tls.version.as_ref());
        match wanted.allows(version) {
            true => Ok(()),
            false => Err(TlsTooOld { version: version.to_owned() }),
        }
    }
}

impl fmt::Debug for Picked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Picked").field("target", &self.target()).field("address", &self.address()).finish()
    }
}

/// An upstream agreed on a TLS version below the pool's `tls.min_version`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("upstream speaks {version}, below tls.min_version")]
pub struct TlsTooOld {
    version: String,
}
