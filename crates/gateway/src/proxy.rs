//! The life of a request: the one implementation of Pingora's `ProxyHttp`, in the order in which it happens.
//!
//! Every surprise of Pingora's is dealt with here and in the files it calls, and nowhere else.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use pingora_cache::key::HashBinary;
use pingora_cache::{CacheKey, CacheMeta, ForcedFreshness, HitHandler, RespCacheable};
use pingora_core::protocols::Digest;
use pingora_core::upstreams::peer::{HttpPeer, Peer};
use pingora_error::{Error, ErrorType};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, RangeType, Session};
use tidegate_core::{AnsweredBy, Reply, StatusCode};

use crate::admit::{admit, begin, renew};
use crate::cache;
use crate::exchange::{Ctx, Exchange};
use crate::finish::finish;
use crate::forward::{self, hedge};
use crate::respond::respond;
use crate::shared::Shared;
use crate::status::{Verdict, cause, verdict};

type Fallible<T> = Result<T, Box<Error>>;

/// The gateway, as Pingora sees it.
pub(crate) struct Proxy(pub(crate) Arc<Shared>);

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = Ctx;

    fn new_ctx(&self) -> Ctx {
        Ctx::default()
    }

    /// No compression module: it would take the first encoding a client names, whatever its weight.
    fn init_downstream_modules(&self, _: &mut pingora_core::modules::http::HttpModules) {}

    /// A snapshot of the configuration, the request's id, the real client.
    async fn early_request_filter(&self, session: &mut Session, ctx: &mut Ctx) -> Fallible<()> {
        ctx.0 = Some(Box::new(match cache::take_refresh(session) {
            None => begin(&self.0, session),
            Some(refresh) => renew(&self.0, session, refresh),
        }));
        Ok(())
    }

    /// So that what is stale can be renewed behind a client's back.
    fn allow_spawning_subrequest(&self, _: &Session, ctx: &Ctx) -> bool {
        ctx.0.as_ref().is_some_and(|exchange| exchange.generation.caches)
    }

    /// Route, chain, endpoint. What isn't answered here goes to an upstream.
    async fn request_filter(&self, session: &mut Session, ctx: &mut Ctx) -> Fallible<bool> {
        let exchange = exchange(ctx)?;
        if exchange.cache.is_own() {
            return Ok(false);
        }
        match admit(session, exchange).await {
            None if exchange.route().chain.cache().is_none() => Ok(false),
            None if Box::pin(cache::at_once(session, exchange)).await? => Ok(true),
            None => cache::serve(session, exchange).await,
            // Boxed: a future that contains this one is copied whole for each request, also for those that go on.
            Some(reply) => Box::pin(respond(session, exchange, reply)).await.map(|()| true),
        }
    }

    fn request_cache_filter(&self, session: &mut Session, ctx: &mut Ctx) -> Fallible<()> {
        cache::enable(session, exchange(ctx)?);
        Ok(())
    }

    fn cache_key_callback(&self, _: &Session, ctx: &mut Ctx) -> Fallible<CacheKey> {
        cache::key(exchange(ctx)?)
    }

    fn cache_vary_filter(&self, stored: &CacheMeta, ctx: &mut Ctx, head: &RequestHeader) -> Option<HashBinary> {
        cache::variance(ctx.0.as_deref_mut()?, stored.headers(), head)
    }

    async fn cache_hit_filter(
        &self,
        session: &mut Session,
        stored: &CacheMeta,
        body: &mut HitHandler,
        _: bool,
        ctx: &mut Ctx,
    ) -> Fallible<Option<ForcedFreshness>> {
        Ok(Some(cache::judge(session, exchange(ctx)?, stored, body)))
    }

    fn response_cache_filter(
        &self,
        session: &Session,
        head: &ResponseHeader,
        ctx: &mut Ctx,
    ) -> Fallible<RespCacheable> {
        Ok(cache::admit(session, exchange(ctx)?, head))
    }

    /// Asked for what is stored, and for what is about to be.
    fn cache_not_modified_filter(&self, session: &Session, head: &ResponseHeader, _: &mut Ctx) -> Fallible<bool> {
        // What isn't stored comes with a body, which Pingora would send after the 304.
        Ok(session.cache.enabled() && cache::not_modified(session.req_header(), head))
    }

    /// The same for parts of it.
    fn range_header_filter(&self, session: &mut Session, head: &mut ResponseHeader, _: &mut Ctx) -> RangeType {
        cache::range(session.req_header(), head)
    }

    fn should_serve_stale(&self, session: &mut Session, ctx: &mut Ctx, error: Option<&Error>) -> bool {
        ctx.0.as_deref_mut().is_some_and(|exchange| cache::may_be_stale(session, exchange, error))
    }

    /// Requests that may be sent twice don't go Pingora's way.
    async fn proxy_upstream_filter(&self, session: &mut Session, ctx: &mut Ctx) -> Fallible<bool> {
        let exchange = exchange(ctx)?;
        if let Some(reply) = cache::only_stored(exchange) {
            if exchange.cache.reports() {
                return Err(refuse(exchange, reply));
            }
            return Box::pin(respond(session, exchange, reply)).await.map(|()| false);
        }
        // What the cache is to keep goes Pingora's way.
        match !exchange.cache.is_on() && hedge::is_wanted(session, exchange) {
            false => Ok(true),
            true => Box::pin(hedge::serve(session, exchange)).await,
        }
    }

    /// Which target; again for each try.
    async fn upstream_peer(&self, session: &mut Session, ctx: &mut Ctx) -> Fallible<Box<HttpPeer>> {
        forward::choose(session, exchange(ctx)?).await
    }

    async fn connected_to_upstream(
        &self,
        _: &mut Session,
        reused: bool,
        _: &HttpPeer,
        #[cfg(unix)] _: std::os::unix::io::RawFd,
        digest: Option<&Digest>,
        ctx: &mut Ctx,
    ) -> Fallible<()> {
        let tries = &mut exchange(ctx)?.tries;
        tries.connected(reused);
        let checked = tries.picked.as_ref().map_or(Ok(()), |picked| picked.check_tls(digest));
        checked.map_err(|error| Error::because(ErrorType::InvalidCert, "upstream TLS", error).into_up())
    }

    /// No connection: whether there is another try.
    fn fail_to_connect(&self, session: &mut Session, _: &HttpPeer, ctx: &mut Ctx, mut error: Box<Error>) -> Box<Error> {
        match ctx.0.as_deref_mut() {
            Some(exchange) => forward::not_connected(session, exchange, error),
            None => {
                error.set_retry(false);
                error
            }
        }
    }

    /// The try has failed once connected: whether there is another.
    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        ctx: &mut Ctx,
        reused: bool,
    ) -> Box<Error> {
        match ctx.0.as_deref_mut() {
            Some(exchange) => forward::broken(session, exchange, error, reused),
            None => {
                error.set_retry(false);
                error
            }
        }
    }

    /// What the upstream is to see; on a fresh copy of the head for each try.
    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        head: &mut RequestHeader,
        ctx: &mut Ctx,
    ) -> Fallible<()> {
        forward::upstream_request(session, exchange(ctx)?, head)
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Ctx,
    ) -> Fallible<()> {
        forward::request_body(session, exchange(ctx)?, body, end).await
    }

    /// Before a cache would store it.
    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        ctx: &mut Ctx,
    ) -> Fallible<()> {
        forward::upstream_response(session, exchange(ctx)?, head)
    }

    /// As `response_body_filter`, before a cache would store it.
    fn upstream_response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Ctx,
    ) -> Fallible<Option<Duration>> {
        forward::upstream_response_body(session, exchange(ctx)?, body, end).map(|()| None)
    }

    /// Where gRPC says how a call ended. HTTP/1.1 has none here.
    fn upstream_response_trailer_filter(
        &self,
        session: &mut Session,
        trailers: &mut HeaderMap,
        ctx: &mut Ctx,
    ) -> Fallible<()> {
        let exchange = exchange(ctx)?;
        exchange.tries.trailers(trailers);
        forward::ended_by_trailers(session, exchange)
    }

    /// Every answer that did not come from `respond`.
    async fn response_filter(&self, session: &mut Session, head: &mut ResponseHeader, ctx: &mut Ctx) -> Fallible<()> {
        forward::response(session, exchange(ctx)?, head).await
    }

    fn response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Ctx,
    ) -> Fallible<Option<Duration>> {
        forward::response_body(session, exchange(ctx)?, body, end).map(|()| None)
    }

    /// The request has failed: say so, if there is still somebody to say it to.
    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, ctx: &mut Ctx) -> FailToProxy {
        let Some(exchange) = ctx.0.as_deref_mut() else {
            return FailToProxy { error_code: 500, can_reuse_downstream: false };
        };
        if exchange.cache.renews {
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        }
        if exchange.cache.reports() {
            return cache::own_failed(exchange, error);
        }
        cache::failed(exchange);
        let reply = match exchange.pending.take() {
            Some(reply) => Verdict::Answer(reply),
            None => {
                exchange.failed(cause(error));
                verdict(error)
            }
        };
        let error_code = match reply {
            Verdict::ClientGone => gone(session, exchange),
            // The head has gone out: all that is left is to cut the connection, which Pingora does.
            Verdict::Answer(_) if is_answered(session) => exchange.status,
            Verdict::Answer(reply) => {
                session.set_keepalive(None);
                match Box::pin(respond(session, exchange, reply)).await {
                    Ok(()) => exchange.status,
                    Err(_) => gone(session, exchange),
                }
            }
        };
        FailToProxy { error_code, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut Ctx) {
        if let Some(exchange) = ctx.0.as_deref_mut() {
            if error.is_none() {
                exchange.tries.complete(&session.req_header().headers);
            }
            if exchange.cache.is_own() {
                match exchange.cache.renews {
                    true => renewed(exchange, error),
                    false => cache::own_ended(exchange, error),
                }
                return;
            }
            finish(&self.0, session, exchange);
        }
    }

    /// As below: `tries` and `retry_reason` say it.
    fn suppress_proxy_warn_log(&self, _: &Session, _: &Ctx, _: &Error, _: ProxyWarnLogContext) -> bool {
        true
    }

    /// The access log has it, with the request's id.
    fn suppress_error_log(&self, _: &Session, _: &Ctx, _: &Error) -> bool {
        true
    }
}

/// A stored answer has been renewed, or not: no client knows of it.
fn renewed(exchange: &Exchange, error: Option<&Error>) {
    let failed = error.map(|error| Cow::Owned(cause(error)));
    if let Some(cause) = failed.or_else(|| exchange.cause.clone()) {
        let id = exchange.request.facts.request_id.as_str();
        log::warn!(request_id = id, route:% = exchange.route().route.name(), cause:%; "a stored answer was not renewed");
    }
}

/// The client left. A status that it has seen stands; the log's cause says how it ended.
fn gone(session: &Session, exchange: &mut Exchange) -> u16 {
    if !is_answered(session) {
        exchange.answered_by = AnsweredBy::Nobody;
        exchange.status = 499;
    }
    // Pingora knows 0 as: nobody was told.
    0
}

/// Whether the client has the head of its answer. Pingora notes a 1xx in the same place.
fn is_answered(session: &Session) -> bool {
    let switched = StatusCode::SWITCHING_PROTOCOLS;
    session.response_written().is_some_and(|head| !head.status.is_informational() || head.status == switched)
}

/// Set by `early_request_filter`, which Pingora always runs first.
fn exchange(ctx: &mut Ctx) -> Fallible<&mut Exchange> {
    ctx.0.as_deref_mut().ok_or_else(|| Error::explain(ErrorType::InternalError, "no exchange"))
}

/// An error that makes Pingora ask `fail_to_proxy`, which then gives this answer.
pub(crate) fn refuse(exchange: &mut Exchange, reply: Reply) -> Box<Error> {
    let code = reply.status().as_u16();
    exchange.pending = Some(reply);
    Error::new(ErrorType::HTTPStatus(code))
}

/// The answer when a plugin failed before the request was let through, or on its way out.
pub(crate) fn hook_failed(exchange: &mut Exchange, failed: &crate::chain::HookFailed) -> Reply {
    let cause = failed.to_string();
    log::error!(request_id:% = exchange.request.facts.request_id, route:% = exchange.route().route.name(); "{cause}");
    exchange.failed(cause);
    match &failed.how {
        // Not let through, and perhaps only for now: a store may be back in a moment.
        crate::chain::How::Error(_) => Reply::unavailable("plugin_failed", "the request can't be checked now"),
        crate::chain::How::Panic(_) => {
            Reply::problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the gateway failed")
        }
    }
}

/// The reading of the clock that deadlines are made of.
pub(crate) fn deadline(limit: Option<Duration>) -> Option<Instant> {
    limit.and_then(|limit| Instant::now().checked_add(limit))
}

/// A peer whose timeouts are no longer than these.
pub(crate) fn shorten(peer: &mut HttpPeer, connect: Option<Duration>, read: Option<Duration>, write: Option<Duration>) {
    let Some(options) = peer.get_mut_peer_options() else { return };
    if connect.is_some() {
        options.connection_timeout = connect;
        options.total_connection_timeout = connect;
    }
    options.read_timeout = read.or(options.read_timeout);
    options.write_timeout = write.or(options.write_timeout);
}
