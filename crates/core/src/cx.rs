//! What a hook can see and do.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::Extensions;
use pingora_proxy::Session;

use crate::facts::{Facts, Identity, RequestId};
use crate::{Asked, Connection, Error, Request, RequestHead, Result, Route, Scheme};

/// The longest a plugin may wait for a body that it wants whole.
const BODY_DEADLINE: Duration = Duration::from_secs(60);

/// One request, as a hook sees it.
pub struct Cx<'a> {
    session: &'a mut Session,
    request: &'a mut Request,
    route: &'a Route,
}

impl<'a> Cx<'a> {
    /// Bodies up to this many bytes can be read by a plugin and still go on to the upstream: Pingora replays
    /// no more than this.
    pub const REPLAYABLE_BODY: usize = 64 * 1024;

    #[doc(hidden)]
    pub fn new(session: &'a mut Session, request: &'a mut Request, route: &'a Route) -> Self {
        Self { session, request, route }
    }

    /// The request's head, its path normalised.
    pub fn head(&self) -> RequestHead<'_> {
        head_of(self.session, self.request)
    }

    /// The route that serves it.
    pub fn route(&self) -> &'a Route {
        self.route
    }

    /// A path parameter of the route (`{user}`), still percent-encoded.
    pub fn param(&self, name: &str) -> Option<&str> {
        let index = self.route.params().iter().position(|param| &**param == name)?;
        self.request.params.slice(index, self.head().path)
    }

    /// The request as something to be decided about; `at` is the time of day.
    pub fn asked(&self, at: SystemTime) -> Asked<'_> {
        Asked { head: self.head(), route: self.route, params: &self.request.params, identity: self.identity(), at }
    }

    /// Everything known of the request.
    pub fn facts(&self) -> &Facts {
        &self.request.facts
    }

    /// Everything known of the request, to add to it.
    pub fn facts_mut(&mut self) -> &mut Facts {
        &mut self.request.facts
    }

    /// The request's id.
    pub fn request_id(&self) -> &RequestId {
        &self.request.facts.request_id
    }

    /// The real client, seen through trusted proxies only.
    pub fn client(&self) -> IpAddr {
        self.request.facts.client.ip
    }

    /// Who is asking; `None` before authentication, and for an anonymous client.
    pub fn identity(&self) -> Option<&Identity> {
        self.request.facts.identity.as_ref()
    }

    /// Says who is asking. Only a plugin that has proved it calls this.
    pub fn set_identity(&mut self, identity: Identity) {
        self.request.facts.identity = Some(identity);
    }

    /// A plugin's own notes on this request, by type; gone with the request.
    pub fn extensions(&self) -> &Extensions {
        &self.request.facts.extensions
    }

    /// A plugin's own notes on this request, to write.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.request.facts.extensions
    }

    /// The client's connection.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.request.connection
    }

    /// The whole body, or `None` when it is longer than `limit` bytes (answer 413 then).
    ///
    /// A request that goes on to an upstream must not have more than [`Cx::REPLAYABLE_BODY`] read of it, so
    /// `limit` is cut to that; endpoints use [`Cx::take_body`]. Fails when the client stops sending.
    pub async fn body(&mut self, limit: usize) -> Result<Option<Bytes>> {
        self.session.as_downstream_mut().enable_retry_buffering();
        self.take_body(limit.min(Self::REPLAYABLE_BODY)).await
    }

    /// The whole body for an endpoint, which answers by itself: any `limit`, nothing is left for an upstream.
    pub async fn take_body(&mut self, limit: usize) -> Result<Option<Bytes>> {
        if let Some(body) = &self.request.body {
            return Ok((body.len() <= limit).then(|| body.clone()));
        }
        let read = read_body(self.session, limit);
        let body = tokio::time::timeout(BODY_DEADLINE, read)
            .await
            .map_err(|_| Error::downstream("the client took too long to send its body"))??;
        self.request.body.clone_from(&body);
        Ok(body)
    }

    /// Pingora's session: the escape hatch. What is done here may break with the next Pingora, and may
    /// surprise other plugins; whoever answers the client by it must not also return a reply.
    pub fn session(&mut self) -> &mut Session {
        self.session
    }
}

impl std::fmt::Debug for Cx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cx").field("request_id", self.request_id()).field("route", self.route.name()).finish()
    }
}

/// The head of the session's request.
#[doc(hidden)]
pub fn head_of<'s>(session: &'s Session, request: &'s Request) -> RequestHead<'s> {
    let Request { facts, path, scheme, connection, .. } = request;
    head_with(session, facts.client.ip, path.as_deref(), *scheme, connection)
}

/// The same beside what is known of the request, to add to it.
#[doc(hidden)]
pub fn head_and_facts<'s>(session: &'s Session, request: &'s mut Request) -> (RequestHead<'s>, &'s mut Facts) {
    let Request { facts, path, scheme, connection, .. } = request;
    (head_with(session, facts.client.ip, path.as_deref(), *scheme, connection), facts)
}

fn head_with<'s>(
    session: &'s Session,
    client: IpAddr,
    path: Option<&'s str>,
    scheme: Scheme,
    connection: &'s Connection,
) -> RequestHead<'s> {
    let head = session.req_header();
    RequestHead {
        method: &head.method,
        authority: authority(head),
        path: path.unwrap_or_else(|| head.uri.path()),
        query: head.uri.query(),
        headers: &head.headers,
        client,
        scheme,
        listener: &connection.listener,
    }
}

/// HTTP/2 has the authority in the URI, HTTP/1 in `Host`; an absolute-form target wins over `Host` (RFC 9112 section 3.2.2).
fn authority(head: &pingora_http::RequestHeader) -> &str {
    match head.uri.authority() {
        Some(authority) => authority.as_str(),
        None => head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or(""),
    }
}

async fn read_body(session: &mut Session, limit: usize) -> Result<Option<Bytes>> {
    // A client that waits to be told to go on would wait for its own timeout (RFC 9110 section 10.1.1).
    let expects = session.req_header().headers.get(http::header::EXPECT);
    if expects.is_some_and(|expects| expects.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        session.as_downstream_mut().write_continue_response().await?;
    }
    let mut whole = BytesMut::new();
    while let Some(chunk) = session.as_downstream_mut().read_request_body().await? {
        if whole.len() + chunk.len() > limit {
            return Ok(None);
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(Some(whole.freeze()))
}
