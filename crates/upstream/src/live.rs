//! The targets that a pool can send requests to at this moment.

use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderValue;
use pingora_core::upstreams::peer::HttpPeer;

use crate::config::TlsVersion;
use crate::pick::TargetId;
use crate::turns::rotation;

/// One address of one target, with all that a request needs of it made beforehand.
pub(crate) struct LiveTarget {
    pub(crate) id: TargetId,
    /// The target as configured.
    pub(crate) name: Arc<str>,
    /// Its place in the configuration.
    pub(crate) index: usize,
    pub(crate) weight: u32,
    pub(crate) socket: Option<SocketAddr>,
    pub(crate) address: Box<str>,
    pub(crate) host: Option<HeaderValue>,
    pub(crate) peer: HttpPeer,
    /// Set where `peer` may agree on HTTP/2, which carries no upgrade.
    pub(crate) upgrade_peer: Option<HttpPeer>,
    /// Set where it is more than what every TLS connection has.
    pub(crate) min_tls: Option<TlsVersion>,
}

impl LiveTarget {
    pub(crate) fn id(&self) -> TargetId {
        self.id
    }
}

/// A fixed set of targets; a new one takes its place when a name resolves to something else.
pub(crate) struct Live {
    targets: Box<[Arc<LiveTarget>]>,
    turns: Box<[u32]>,
}

impl Live {
    pub(crate) fn new(targets: Vec<Arc<LiveTarget>>) -> Self {
        let weights: Vec<u32> = targets.iter().map(|target| target.weight).collect();
        Self { targets: targets.into(), turns: rotation(&weights) }
    }

    pub(crate) fn targets(&self) -> &[Arc<LiveTarget>] {
        &self.targets
    }

    /// Whose turn the `n`-th is, by weight.
    pub(crate) fn turn(&self, n: u64) -> Option<usize> {
        let place = n.checked_rem(self.turns.len() as u64)?;
        self.turns.get(place as usize).map(|index| *index as usize)
    }

    /// The targets at one place of the configuration: the addresses of one name.
    pub(crate) fn of(&self, index: usize) -> impl Iterator<Item = &Arc<LiveTarget>> {
        self.targets.iter().filter(move |target| target.index == index)
    }

    /// The same set with `others` at `index`, in the order of the configuration.
    pub(crate) fn replace(&self, index: usize, others: Vec<Arc<LiveTarget>>) -> Self {
        let (before, after): (Vec<_>, Vec<_>) = self
            .targets
            .iter()
            .filter(|target| target.index != index)
            .cloned()
            .partition(|target| target.index < index);
        Self::new(before.into_iter().chain(others).chain(after).collect())
    }
}
