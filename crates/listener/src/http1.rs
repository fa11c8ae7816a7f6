//! HTTP/1: our own loop around Pingora's handling of one request.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use pingora_core::apps::{HttpPersistentSettings, HttpServerApp};
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::ServerSession;

use crate::connection::Served;
use crate::head::{self, Next};
use crate::http2;
use crate::pulse::Phase;
use crate::refuse;
use crate::stream::ClientStream;
use crate::strict::Head;

/// How long the rest of a request body is waited for that nobody wants, so that the connection can be used again.
const DRAIN_BODY: Duration = Duration::from_secs(5);

pub(crate) async fn serve<A>(served: Served<A>, mut stream: Box<ClientStream>)
where
    A: HttpServerApp + Send + Sync + 'static,
{
    let shutdown = served.shared.shutdown_watch();
    let pulse = stream.pulse().clone();
    let mut kept = None;
    // Of an HTTP/1 connection's requests only the first can be the HTTP/2 preface.
    let mut or_http2 = served.listening.http2 && served.listening.tls.is_none();
    for left in (0..served.listening.max_requests).rev() {
        let mut bytes = BytesMut::new();
        let head = match head::next(&mut stream, &mut bytes, &served.listening, or_http2).await {
            Ok(Next::Request(head)) => head,
            Ok(Next::Http2) => return http2::serve(served, stream, bytes).await,
            Ok(Next::End) => return close(stream).await,
            Err(refusal) => return refuse::request(&served.shared, stream, refusal).await,
        };
        or_http2 = false;
        // What a client sends without waiting for the answer isn't served: say so in the answer.
        let left = if !head.body && bytes.len() > head.end { 0 } else { left };
        pulse.enter(Phase::Active);
        stream.set_lingers(head.body);
        let session = session(stream, bytes, head, left, kept.take(), served.listening.body_timeout);
        let Some(reused) = served.app.process_new_http(session, &shutdown).await else { return };
        let (io, settings) = reused.consume();
        // Always ours: it is the one we gave.
        let Ok(same) = io.into_any().downcast::<ClientStream>() else { return };
        (stream, kept) = (same, settings);
        pulse.enter(Phase::Idle);
        if served.shared.drain_is_over() {
            return close(stream).await;
        }
    }
    close(stream).await;
}

/// What Pingora makes of a request: it parses the head that we read, and reads the body from the stream.
fn session(
    stream: Box<ClientStream>,
    mut bytes: BytesMut,
    head: Head,
    left: u32,
    kept: Option<HttpPersistentSettings>,
    body_timeout: Duration,
) -> ServerSession {
    let stream: Stream = stream;
    let mut session = ServerSession::new_http1(stream);
    if let Some(kept) = kept {
        kept.apply_to_session(&mut session);
    }
    bytes.advance(head.start);
    session.set_pipelined_prefix(bytes);
    session.set_keepalive_reuses_remaining(Some(left));
    // Pingora would apply it to a WebSocket, too, which may be silent for as long as it likes.
    let may_be_silent = head.upgrade && !head.body;
    session.set_read_timeout((!may_be_silent).then_some(body_timeout));
    session.set_total_drain_timeout(Some(DRAIN_BODY));
    session
}

async fn close(mut stream: Box<ClientStream>) {
    stream.pulse().enter(Phase::Closing);
    // The client may be gone, which is as well.
    _ = stream.finish().await;
}
