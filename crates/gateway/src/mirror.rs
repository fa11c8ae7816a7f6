//! `mirror:` of an upstream: copies of its requests go to another one, whose answers are thrown away.
//!
//! A copy is made when the head has been through the chain, and sent when the whole body has: in a task of its own, so
//! that the request never waits for it. It says what the request says, `Authorization` and cookies included.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use pingora_http::RequestHeader;
use pingora_proxy::Session;
use tidegate_core::Cx;
use tidegate_upstream::{Client, ClientError, Mirrored, Pick, Pool, TryOutcome, Upstreams};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::admit::announced;
use crate::exchange::Exchange;
use crate::forward::hedge::aim;

/// The mirrors of one configuration.
pub(crate) struct Mirrors(Box<[Arc<Mirror>]>);

/// Where copies of one upstream's requests go.
struct Mirror {
    of: Arc<Pool>,
    to: Arc<Pool>,
    /// The share that is copied, from 0 to 1.
    share: f64,
    timeout: Duration,
    client: Client,
    /// For how many copies there is room.
    room: Arc<Semaphore>,
}

/// A copy that waits for the rest of its body.
pub(crate) struct Duplicate {
    mirror: Arc<Mirror>,
    head: Box<RequestHeader>,
    body: BytesMut,
    _room: OwnedSemaphorePermit,
}

impl Mirrors {
    /// Those that the configuration asks for; their names have been checked.
    pub(crate) fn new(upstreams: &Upstreams, client: Option<&Client>) -> Self {
        let mirror = |of| Mirror::new(of, upstreams, client?).map(Arc::new);
        Self(upstreams.iter().filter_map(mirror).collect())
    }

    fn of(&self, pool: &Arc<Pool>) -> Option<&Arc<Mirror>> {
        self.0.iter().find(|mirror| Arc::ptr_eq(&mirror.of, pool))
    }
}

impl Mirror {
    fn new(of: &Arc<Pool>, upstreams: &Upstreams, client: &Client) -> Option<Self> {
        let config = of.config().mirror.as_ref()?;
        Some(Self {
            of: of.clone(),
            to: upstreams.get(&config.upstream)?.clone(),
            share: config.share.as_fraction(),
            timeout: config.timeout.get(),
            client: client.clone(),
            room: Arc::new(Semaphore::new(config.max_in_flight as usize)),
        })
    }
}

/// Begins a copy of a request, if there is to be one. `head` is what the upstream gets.
pub(crate) fn head(session: &mut Session, exchange: &mut Exchange, head: &RequestHeader) {
    let Some(pool) = exchange.tries.pool.as_ref().filter(|pool| pool.config().mirror.is_some()) else { return };
    let Some(mirror) = exchange.generation.mirrors.of(pool) else { return };
    // One copy, however many tries there are.
    if std::mem::replace(&mut exchange.tries.mirrored, true)
        || session.is_upgrade_req()
        || rand::random::<f64>() >= mirror.share
    {
        return;
    }
    let room = mirror.room.clone().try_acquire_owned().ok();
    let Some(room) = room.filter(|_| announced(session) <= LONGEST_BODY as u64) else {
        pool.count_mirror(Mirrored::Dropped);
        return;
    };
    let mut head = Box::new(head.clone());
    keep_secrets(&session.req_header().headers, &mut head);
    let copy = Duplicate { mirror: mirror.clone(), head, body: BytesMut::new(), _room: room };
    match session.as_mut().is_body_empty() {
        true => copy.send(),
        false => exchange.copy = Some(Box::new(copy)),
    }
}

/// What a plugin has added and marked as secret is between the gateway and the upstream: a token of its own is for nobody
/// else. A client may mark what it sends, too (RFC 7541 section 7.1.3): that is copied.
fn keep_secrets(sent: &HeaderMap, head: &mut RequestHeader) {
    let added = |name: &HeaderName, value: &HeaderValue| !sent.get_all(name).iter().any(|own| own == value);
    let secret = head.headers.iter().filter(|(name, value)| value.is_sensitive() && added(name, value));
    let secret = secret.map(|(name, _)| name.clone());
    for name in secret.collect::<Vec<_>>() {
        head.remove_header(&name);
    }
}

/// One piece of the body that the upstream gets, for the first time.
pub(crate) fn body(exchange: &mut Exchange, piece: Option<&Bytes>, end: bool) {
    let Some(copy) = &mut exchange.copy else { return };
    let piece = piece.map_or(&[][..], |piece| piece);
    if copy.body.len() + piece.len() > LONGEST_BODY {
        copy.mirror.of.count_mirror(Mirrored::Dropped);
        exchange.copy = None;
        return;
    }
    copy.body.extend_from_slice(piece);
    if end && let Some(copy) = exchange.copy.take() {
        copy.send();
    }
}

/// The longest body that is copied.
const LONGEST_BODY: usize = Cx::REPLAYABLE_BODY;

/// How much of a mirror's answer is read: its connection is worth that, and no more.
const LONGEST_ANSWER: usize = 1024 * 1024;

impl Duplicate {
    /// Sends it, beside the request.
    fn send(self) {
        tokio::spawn(async move {
            let result = tokio::time::timeout(self.mirror.timeout, self.ask()).await;
            self.mirror.of.count_mirror(result.unwrap_or(Mirrored::Failed));
        });
    }

    async fn ask(&self) -> Mirrored {
        let (to, timeout) = (&self.mirror.to, self.mirror.timeout);
        let Ok(_admitted) = to.admit(Some(timeout)).await else { return Mirrored::Dropped };
        let Ok(mut picked) = to.pick(&Pick::default()) else { return Mirrored::Failed };
        let mut head = self.head.clone();
        if let Some(host) = picked.host() {
            let _ = head.insert_header(header::HOST, host);
        }
        frame(&mut head, &self.body);
        let body = (!self.body.is_empty()).then(|| Bytes::copy_from_slice(&self.body));
        let peer = picked.peer();
        aim(&mut head, &peer);
        let fit = |connected: tidegate_upstream::Connected<'_>| {
            picked.connected(connected.reused);
            picked.check_tls(connected.digest).map_err(ClientError::from)
        };
        match self.mirror.client.send_if(&peer, head, body, timeout, fit).await {
            Ok(answer) => {
                picked.answered();
                let status = answer.head.status.as_u16();
                answer.discard(LONGEST_ANSWER, timeout).await;
                picked.finish(TryOutcome::Answered { status, grpc: None });
                Mirrored::Ok
            }
            Err(error) => {
                log::debug!(mirror = &**to.name(), error:%; "a copy has no answer");
                picked.finish(TryOutcome::Failed(error.failure()));
                Mirrored::Failed
            }
        }
    }
}

/// The body is whole now, and may be sent by another version of HTTP than the request's.
fn frame(head: &mut RequestHeader, body: &[u8]) {
    let framed = head.remove_header(&header::TRANSFER_ENCODING).is_some();
    if framed || !body.is_empty() || head.headers.contains_key(header::CONTENT_LENGTH) {
        let _ = head.insert_header(header::CONTENT_LENGTH, body.len());
    }
}
