//! One request while it is being served: Pingora's context.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pingora_proxy::Session;
use tidegate_core::prometheus::IntGauge;
use tidegate_core::{AnsweredBy, Connection, Cx, Reply, Request, RouteId};
use tidegate_listener::{BodyExpected, Conn};

use crate::cache::Trip;
use crate::forward::{BodySoFar, Tries};
use crate::generation::{BuiltRoute, Generation};
use crate::mirror::Duplicate;

/// Pingora makes this before it has a request; `early_request_filter` fills it.
#[derive(Default)]
pub(crate) struct Ctx(pub(crate) Option<Box<Exchange>>);

/// One request and the configuration it began with.
pub(crate) struct Exchange {
    pub generation: Arc<Generation>,
    /// `None` while there is no route, and for requests that have none.
    pub route: Option<RouteId>,
    pub request: Request,
    /// `None` where the connection isn't one of our listener's.
    pub conn: Option<Arc<Conn>>,
    /// Whether the connection's other end is a trusted proxy.
    pub trusted: bool,
    pub draining: Arc<AtomicBool>,
    /// Its way to an upstream.
    pub tries: Tries,
    /// Its way through the cache.
    pub cache: Trip,
    /// What has come of its body, and what was made of it.
    pub body: BodySoFar,
    /// Its copy for the pool's mirror, until that is sent.
    pub copy: Option<Box<Duplicate>>,
    /// The answer to give when Pingora next asks what to do about an error.
    pub pending: Option<Reply>,
    pub answered_by: AnsweredBy,
    /// Whether the chain has seen the answer's head: it sees one answer once.
    pub response_seen: bool,
    /// Held while the client is to send more of an HTTP/2 body: silence then is a stalled client.
    pub body_expected: Option<BodyExpected>,
    /// What went wrong, for the log: never for the client.
    pub cause: Option<Cow<'static, str>>,
    /// The stable name of the error answered, for the log.
    pub code: Option<&'static str>,
    /// The status that was sent.
    pub status: u16,
    pub deadline: Option<Instant>,
    /// Counts it; `None` for what belongs to another request.
    pub in_flight: Option<InFlight>,
}

/// Counts a request as long as it lives: also one whose task was dropped half-way.
pub(crate) enum InFlight {
    Alone(Counted),
    /// With those of the gateway's own on its behalf.
    Together(Arc<Counted>),
}

/// One in the gauge.
pub(crate) struct Counted(IntGauge);

impl InFlight {
    pub(crate) fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self::Alone(Counted(gauge.clone()))
    }

    /// The two count as one, until both are over.
    pub(crate) fn share(self) -> (Self, Self) {
        let counted = match self {
            Self::Alone(counted) => Arc::new(counted),
            Self::Together(counted) => counted,
        };
        (Self::Together(counted.clone()), Self::Together(counted))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Exchange {
    pub(crate) fn route(&self) -> &BuiltRoute {
        route_of(&self.generation, self.route)
    }

    /// The route, and what its hooks see. One call, because they borrow from different fields.
    pub(crate) fn hooks<'s>(&'s mut self, session: &'s mut Session) -> (&'s BuiltRoute, Cx<'s>) {
        let route = route_of(&self.generation, self.route);
        (route, Cx::new(session, &mut self.request, &route.route))
    }

    /// Notes what went wrong; the first cause is the one that counts.
    pub(crate) fn failed(&mut self, cause: impl Into<Cow<'static, str>>) {
        if self.cause.is_none() {
            self.cause = Some(cause.into());
        }
    }

    /// How long the request may still take; `None` without a limit.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Whether the gateway is on its way out: no connection is kept then.
    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.request.connection
    }
}

pub(crate) fn route_of(generation: &Generation, route: Option<RouteId>) -> &BuiltRoute {
    route.and_then(|id| generation.routes.get(id.index())).unwrap_or(&generation.unrouted)
}
