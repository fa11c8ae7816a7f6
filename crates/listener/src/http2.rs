//! HTTP/2: Pingora's handling of each stream, with our own loop around h2's connection, for exact limits.

use std::sync::Arc;

use bytes::BytesMut;
use pingora_core::apps::HttpServerApp;
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::{self, H2Accept, HttpSession};

use crate::connection::Served;
use crate::events::CloseReason;
use crate::pulse::{Phase, Pulse};
use crate::stream::ClientStream;

/// How many requests that were refused as malformed a connection survives: each costs us work and the client nothing.
const MALFORMED: u32 = 32;

/// How many requests may still arrive after the last one that we announced: as many as can be on their way.
const OVERDUE: u32 = 100;

/// Serves the connection, of which `read` was read already.
pub(crate) async fn serve<A>(served: Served<A>, mut stream: Box<ClientStream>, read: BytesMut)
where
    A: HttpServerApp + Send + Sync + 'static,
{
    let pulse = stream.pulse().clone();
    let digest = Arc::new(stream.digest());
    let shutdown = served.shared.shutdown_watch();
    stream.begin_http2(read);
    pulse.enter(Phase::Preface);
    let stream: Stream = stream;
    let Ok(mut connection) = server::handshake(stream, Some(served.listening.h2_options.clone())).await else {
        return;
    };
    pulse.enter(Phase::Streams);
    let (mut requests, mut malformed, mut leaving) = (0u32, 0, false);
    let last = served.listening.max_requests;
    loop {
        let accepted = tokio::select! {
            biased;
            _ = std::future::poll_fn(|cx| pulse.poll_told(cx)), if !leaving => {
                // Two GOAWAYs (RFC 9113 section 6.8): what is on its way already is still served.
                connection.graceful_shutdown();
                leaving = true;
                continue;
            }
            accepted = HttpSession::from_h2_conn(&mut connection, digest.clone()) => accepted,
        };
        match accepted {
            Ok(Some(H2Accept::Session(session))) => {
                requests = requests.saturating_add(1);
                if requests == last {
                    pulse.tell(CloseReason::Done);
                } else if requests > last.saturating_add(OVERDUE) {
                    return;
                }
                let stream = InFlight::new(pulse.clone());
                let (app, shutdown) = (served.app.clone(), shutdown.clone());
                tokio::spawn(async move {
                    let _stream = stream;
                    app.process_new_http(ServerSession::new_http2(session), &shutdown).await;
                });
            }
            Ok(Some(H2Accept::Rejected)) if malformed < MALFORMED => malformed += 1,
            Ok(Some(H2Accept::Rejected)) => return pulse.ending(CloseReason::Refused),
            Ok(None) | Err(_) => return,
        }
    }
}

/// A stream in flight, counted as long as its task lives, whatever becomes of it.
struct InFlight(Arc<Pulse>);

impl InFlight {
    fn new(pulse: Arc<Pulse>) -> Self {
        pulse.stream_started();
        Self(pulse)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.stream_ended();
    }
}
