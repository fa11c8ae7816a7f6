//! One connection, from the handshake to the protocol that it speaks.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use pingora_core::apps::HttpServerApp;
use tidegate_core::Connection;

use crate::conn::Conn;
use crate::events::CloseReason;
use crate::io::SocketIo;
use crate::listening::Listening;
use crate::pulse::{Phase, Pulse};
use crate::registration::{Registration, Slot};
use crate::server::Shared;
use crate::socket::Socket;
use crate::stream::{ClientStream, Transport};
use crate::{http1, http2, tls};

/// A connection that was just accepted.
pub(crate) struct Accepted {
    pub(crate) shared: Arc<Shared>,
    pub(crate) listening: Arc<Listening>,
    pub(crate) socket: Arc<Socket>,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) slot: Slot,
    pub(crate) registration: Registration,
}

/// What the protocols need to know about their listener and server.
pub(crate) struct Served<A> {
    pub(crate) app: Arc<A>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) listening: Arc<Listening>,
}

pub(crate) async fn serve<A>(accepted: Accepted, app: Arc<A>)
where
    A: HttpServerApp + Send + Sync + 'static,
{
    let (shared, listening) = (accepted.shared.clone(), accepted.listening.clone());
    let Some(stream) = establish(accepted).await else { return };
    let stream = Box::new(stream);
    let http1 = listening.http1;
    // Without TLS there is no other way to learn that it isn't HTTP/2 than to believe that it is.
    let http2 = stream.is_http2() || listening.tls.is_none() && !http1;
    let served = Served { app, shared, listening };
    match (http2, http1) {
        (true, _) => http2::serve(served, stream, BytesMut::new()).await,
        (false, true) => http1::serve(served, stream).await,
        // A TLS client that did not take our only offer.
        (false, false) => {}
    }
}

/// Shakes hands, if this is a TLS listener. `None`: that failed, and was reported.
async fn establish(accepted: Accepted) -> Option<ClientStream> {
    let Accepted { shared, listening, socket, pulse, peer, local, slot, registration } = accepted;
    let io = SocketIo::new(socket, pulse.clone());
    let (transport, tls) = match &listening.tls {
        None => (Transport::Plain(io), None),
        Some(tls) => match tls.accept(io).await {
            Ok(stream) => {
                pulse.enter(Phase::Fresh);
                let info = tls::info(stream.get_ref().1);
                (Transport::Tls(Box::new(stream)), Some(info))
            }
            Err(error) => {
                // A handshake that was cut for being slow fails, too; that is told as what it is.
                if pulse.told().is_none() {
                    pulse.ending(CloseReason::HandshakeFailed);
                    shared.events.handshake_failed(&listening.name, &error);
                }
                return None;
            }
        },
    };
    let connection = Connection { listener: listening.name.clone(), peer, local, tls };
    let conn = Arc::new(Conn::new(Arc::new(connection), pulse));
    Some(ClientStream::new(transport, conn, slot, registration))
}
