//! Requests of the gateway's own on behalf of a client's, with all that the client's had been given by then: one that
//! renews a stored answer behind the client's back, with nobody who waits for it (RFC 5861 section 3), and those with
//! somebody who does.

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderValue, Method, Version, header};
use pingora_core::protocols::http::subrequest::server::SubrequestHandle;
use pingora_proxy::subrequest::{BodyMode, Ctx};
use pingora_proxy::{PreparedSubrequest, Session};
use tidegate_core::erased::head_of;
use tidegate_core::facts::{CacheStatus, Facts};
use tidegate_core::{Params, RouteId, Scheme};

use super::Trip;
use crate::exchange::{Exchange, InFlight};
use crate::generation::Generation;

/// What such a request takes over from the one on whose behalf it goes. The chain has let that one through: it is not
/// asked again, and no limit counts twice.
pub(crate) struct Refresh {
    pub(crate) generation: Arc<Generation>,
    pub(crate) route: Option<RouteId>,
    pub(crate) facts: Facts,
    pub(crate) params: Params,
    pub(crate) path: Option<Box<str>>,
    pub(crate) scheme: Scheme,
    pub(crate) trusted: bool,
    pub(crate) trip: Trip,
    /// Until when there must be an answer; `None`: as long as any request of the route may take.
    pub(crate) deadline: Option<Instant>,
    /// The client's, if it waits.
    pub(crate) in_flight: Option<InFlight>,
}

impl Refresh {
    pub(super) fn new(exchange: &Exchange, trip: Trip) -> Self {
        let request = &exchange.request;
        let mut facts = Facts::new(request.facts.request_id.clone(), request.facts.client);
        facts.identity.clone_from(&request.facts.identity);
        facts.country = request.facts.country;
        facts.extensions = request.facts.extensions.clone();
        facts.cache = CacheStatus::Miss;
        facts.cached.forwarded = Some("uri-miss");
        Self {
            generation: exchange.generation.clone(),
            route: exchange.route,
            facts,
            params: request.params.clone(),
            path: request.path.clone(),
            scheme: request.scheme,
            trusted: exchange.trusted,
            trip,
            deadline: None,
            in_flight: None,
        }
    }

    /// One that a client waits for: it ends when that one's time is up, and is a part of it for whoever counts.
    pub(super) fn awaited(exchange: &mut Exchange, trip: Trip) -> Self {
        let (kept, lent) = exchange.in_flight.take().map(InFlight::share).unzip();
        exchange.in_flight = kept;
        let mut refresh = Self::new(exchange, trip);
        refresh.facts.of_client = exchange.request.facts.of_client.clone();
        Self { deadline: exchange.deadline, in_flight: lent, ..refresh }
    }
}

/// Sends off one that renews.
pub(super) fn spawn(session: &mut Session, exchange: &Exchange) {
    let Some(trip) = exchange.cache.renewal() else { return };
    if let Some((request, answer)) = prepare(session, exchange, Refresh::new(exchange, trip)) {
        drop(answer.drain_tasks());
        tokio::spawn(request.run());
    }
}

/// Makes such a request, and the other end of it.
pub(super) fn prepare(
    session: &mut Session,
    exchange: &Exchange,
    refresh: Refresh,
) -> Option<(PreparedSubrequest, SubrequestHandle)> {
    let authority = HeaderValue::from_str(head_of(session, &exchange.request).authority).ok()?;
    let version = session.req_header().version;
    let named = session.req_header().headers.contains_key(header::HOST);
    // Pingora writes the client's head down and has it read as one of HTTP/1, also where it came by HTTP/2.
    if version > Version::HTTP_11 {
        session.req_header_mut().set_version(Version::HTTP_11);
        if !named {
            session.req_header_mut().insert_header(header::HOST, authority).ok()?;
        }
    }
    // It has no body, and nor had the client's. Of one that is said to have none Pingora takes `Content-Type` away, too.
    let cx = Ctx::builder().user_ctx(Box::new(Some(refresh))).body_mode(BodyMode::ExpectBody).build();
    let spawner = session.subrequest_spawner.as_ref();
    let made = spawner.map(|spawner| spawner.create_subrequest(session.as_ref(), cx));
    if version > Version::HTTP_11 {
        session.req_header_mut().set_version(version);
        if !named {
            session.req_header_mut().remove_header(&header::HOST);
        }
    }
    made
}

/// What was sent with this request, if it is such a one. Its head is the client's, as it came.
pub(crate) fn take(session: &mut Session) -> Option<Refresh> {
    let user = session.subrequest_ctx.as_mut()?.user_ctx_mut()?;
    let refresh = user.downcast_mut::<Option<Refresh>>()?.take()?;
    if refresh.trip.slice.is_some() {
        let head = session.req_header_mut();
        head.set_method(Method::GET);
        // What these are about is the whole object, and they are for whoever puts it together.
        for name in [header::RANGE, header::IF_RANGE, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE] {
            head.remove_header(&name);
        }
    }
    Some(refresh)
}
