//! What the balancer is told, what it answers, and what it hears of it afterwards.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use pingora_core::protocols::Digest;
use pingora_core::protocols::tls::SslDigest;
use pingora_core::upstreams::peer::HttpPeer;

use crate::pool::Pool;
use crate::target::{LiveTarget, Occupied};

/// One address of one target. It stays the same for as long as the target keeps the address, also when other names
/// resolve anew; after that it is not used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetId(pub(crate) u32);

/// What a choice may depend on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pick<'a> {
    /// What requests of one user have in common, for `consistent_hash`; the others don't look at it.
    pub hash: Option<u64>,
    /// The value of the pool's sticky cookie, as the client sent it.
    pub sticky: Option<&'a str>,
    /// Where this request has failed before: chosen again only when nothing else is left.
    pub tried: &'a [TargetId],
}

/// Why no target can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoTarget {
    /// None is listed, or no name was ever resolved.
    #[error("no target of the upstream has an address")]
    NoAddress,
    /// All are unhealthy, ejected, draining or not yet checked.
    #[error("no target of the upstream is usable")]
    Unusable,
    /// All that are usable have as many requests in flight as they may.
    #[error("all targets of the upstream are full")]
    Full,
}

/// What became of one try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryOutcome {
    /// The target answered, whatever with.
    Answered {
        /// The status of the answer.
        status: u16,
        /// The gRPC status, if the answer is one of gRPC and has said.
        grpc: Option<u16>,
    },
    /// It did not, or its answer broke off.
    Failed(Failure),
    /// The client left, or the gateway gave up for reasons of its own: says nothing about the target.
    Abandoned,
}

impl TryOutcome {
    /// Whether the target answered that it can't: a 5xx, or one of gRPC's UNKNOWN, DEADLINE_EXCEEDED, INTERNAL and
    /// UNAVAILABLE, with which gRPC says what 5xx says.
    pub(crate) fn is_server_error(&self) -> bool {
        matches!(self, Self::Answered { status, grpc } if *status >= 500 || matches!(grpc, Some(2 | 4 | 13 | 14)))
    }

    /// Whether the answer speaks against the target. 501 and 505 are about the request, and anybody can send one that
    /// gets them from a target that is well.
    pub(crate) fn is_bad_answer(&self) -> bool {
        self.is_server_error() && !matches!(self, Self::Answered { status: 501 | 505, .. })
    }

    /// Whether it speaks against the target.
    pub(crate) fn is_failure(&self) -> bool {
        matches!(self, Self::Failed(_)) || self.is_bad_answer()
    }
}

/// How a try failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// No connection, or none that can be trusted: nothing was sent.
    Connect,
    /// HTTP/2: the target has not begun with the stream: nothing was done.
    RefusedStream,
    /// The connection broke.
    Reset,
    /// Nothing came in time.
    Timeout,
    /// What came was no HTTP.
    Protocol,
}

/// The target that a request goes to, which has one more request in flight for as long as this lives.
pub struct Picked {
    pool: Arc<Pool>,
    target: Occupied,
    /// On the pool's clock.
    started: u64,
    /// Since when the target has all that it needs to answer; `None` while the client has more to send.
    waiting: Option<u64>,
    first_byte: Option<Duration>,
    finished: bool,
}

impl Picked {
    /// `now` is the pool's time.
    pub(crate) fn new(pool: &Arc<Pool>, target: Occupied, now: u64) -> Self {
        pool.balance.entered();
        pool.metrics.picked(&target);
        Self { pool: pool.clone(), target, started: now, waiting: Some(now), first_byte: None, finished: false }
    }

    /// The target's identity, for [`Pick::tried`].
    pub fn id(&self) -> TargetId {
        self.target.id()
    }

    /// The target as the configuration writes it: a label for logs and metrics, of which there are only as many as
    /// the configuration has targets.
    pub fn target(&self) -> &Arc<str> {
        &self.target.spec.name
    }

    /// The address that is connected to: `10.0.0.1:3000`, or `unix:/run/app.sock`. For logs, never for clients.
    pub fn address(&self) -> &str {
        &self.target.address
    }

    /// What the target is to see in `Host`; `None` leaves the client's.
    pub fn host(&self) -> Option<&HeaderValue> {
        self.target.spec.host.as_ref()
    }

    /// The `Set-Cookie` that keeps the client on this target, unless it has `sent` just that one already.
    pub fn set_cookie(&self, sent: Option<&str>) -> Option<&HeaderValue> {
        let cookie = self.target.sticky.as_ref()?;
        (sent != Some(&*cookie.value)).then_some(&cookie.header)
    }

    /// Where and how to connect, with every option set.
    pub fn peer(&self) -> Box<HttpPeer> {
        Box::new(self.target.peer.clone())
    }

    /// The same for a request that asks for an HTTP/1.1 upgrade (WebSocket), which HTTP/2 does not carry: a pool that
    /// negotiates the version (`protocol: auto`) offers HTTP/1.1 only.
    pub fn peer_for_upgrade(&self) -> Box<HttpPeer> {
        Box::new(self.target.upgrade_peer.as_ref().unwrap_or(&self.target.peer).clone())
    }

    /// Whether the connection is what the pool's `tls.min_version` asks for. Pingora offers TLS 1.2 and 1.3 to every
    /// upstream, so this is to be asked once connected, before the request is sent.
    ///
    /// # Errors
    /// The version that was agreed on, if it is too old or unknown.
    pub fn check_tls(&self, digest: Option<&Digest>) -> Result<(), TlsTooOld> {
        self.target.check_tls(digest.and_then(|digest| digest.ssl_digest.as_deref()))
    }

    /// The connection stands: a new one, or one that was kept.
    pub fn connected(&mut self, reused: bool) {
        self.pool.metrics.connected(&self.target, (!reused).then(|| self.elapsed()));
    }

    /// The client has not sent all of its body yet: until it has, time says nothing about the target.
    pub fn sending(&mut self) {
        self.waiting = None;
    }

    /// The end of the body is there.
    pub fn sent(&mut self) {
        if self.waiting.is_none() {
            self.waiting = Some(self.pool.now());
        }
    }

    /// The head of the answer is there: the time until now is the target's round trip, counted from the end of the
    /// request. Later calls do nothing.
    pub fn answered(&mut self) {
        if self.first_byte.is_some() {
            return;
        }
        let took = self.waiting.map(|since| self.since(since));
        self.first_byte = Some(took.unwrap_or_default());
        if let Some(took) = took {
            self.pool.heard(&self.target, took);
        }
    }

    /// The try is over. Called once; a pick that is dropped without counts as abandoned.
    pub fn finish(&mut self, outcome: TryOutcome) {
        if !std::mem::replace(&mut self.finished, true) {
            let took = match outcome {
                TryOutcome::Abandoned => self.waiting.map(|since| self.since(since)).unwrap_or_default(),
                _ => self.elapsed(),
            };
            self.pool.ended(&self.target, outcome, self.first_byte, took);
        }
    }

    fn elapsed(&self) -> Duration {
        self.since(self.started)
    }

    fn since(&self, then: u64) -> Duration {
        Duration::from_nanos(self.pool.now().saturating_sub(then))
    }
}

impl Drop for Picked {
    fn drop(&mut self) {
        self.finish(TryOutcome::Abandoned);
        self.pool.balance.left();
    }
}

impl fmt::Debug for Picked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Picked").field("target", &self.target()).field("address", &self.address()).finish()
    }
}

impl LiveTarget {
    /// Whether a connection is as new as `tls.min_version` asks for.
    pub(crate) fn check_tls(&self, tls: Option<&SslDigest>) -> Result<(), TlsTooOld> {
        let Some(wanted) = self.min_tls else { return Ok(()) };
        let version = tls.map_or("", |tls| tls.version.as_ref());
        match wanted.allows(version) {
            true => Ok(()),
            false => Err(TlsTooOld { version: version.to_owned() }),
        }
    }
}

impl Pool {
    /// A target's answer has begun.
    fn heard(&self, target: &LiveTarget, took: Duration) {
        self.metrics.answered(target, took);
        self.retries.heard(took);
        self.admission.heard(took);
        crate::balance::heard(self, target, took);
    }

    /// A try is over.
    fn ended(&self, target: &LiveTarget, outcome: TryOutcome, first_byte: Option<Duration>, took: Duration) {
        self.metrics.ended(target, outcome);
        self.admission.ended(outcome, first_byte, took);
        if first_byte.is_none() {
            crate::balance::failed(self, target, outcome, took);
        }
        self.judge(target, outcome, first_byte);
    }
}

/// An upstream agreed on a TLS version below the pool's `tls.min_version`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("upstream speaks {version}, below tls.min_version")]
pub struct TlsTooOld {
    version: String,
}
