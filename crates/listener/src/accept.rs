//! The accept loop. It never waits for a connection, only for the next one.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use pingora_core::apps::HttpServerApp;
use tokio::net::{TcpListener, UnixListener};

use crate::connection::{self, Accepted};
use crate::events::CloseReason;
use crate::listener::{ListenSocket, Listener, SocketFile};
use crate::listening::Listening;
use crate::pulse::{Phase, Pulse};
use crate::refuse;
use crate::registration::{Accepting, Registration, Slot};
use crate::server::Shared;
use crate::socket::Socket;

/// How long to wait for a file descriptor or memory to come free.
const EXHAUSTED: Duration = Duration::from_millis(100);
/// How many connections that the kernel has taken already are still served when the listener closes.
const LAST_ONES: usize = 4096;

/// Accepts until the server drains. Returning closes the listener.
pub(crate) async fn run<A>(accepting: Accepting, listener: Listener, app: Arc<A>)
where
    A: HttpServerApp + Send + Sync + 'static,
{
    let shared = &accepting.0;
    let Listener { socket, listening, bound } = listener;
    let incoming = match Incoming::new(socket, bound.tcp()) {
        Ok(incoming) => incoming,
        Err(error) => return shared.events.accept_failed(&listening.name, &error),
    };
    let mut draining = shared.shutdown_watch();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = draining.wait_for(|draining| *draining) => break,
            accepted = incoming.accept() => accepted,
        };
        match accepted {
            Ok(client) => open(shared, &listening, client, &app),
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                shared.events.accept_failed(&listening.name, &error);
                // Else this would be a loop at full speed: what can't be accepted stays ready.
                tokio::time::sleep(EXHAUSTED).await;
            }
        }
    }
    // Clients for whom the connection stands already would get a reset.
    for _ in 0..LAST_ONES {
        match incoming.accept().now_or_never() {
            Some(Ok(client)) => open(shared, &listening, client, &app),
            _ => return,
        }
    }
}

/// Whether this is about one connection only: it went away before we took it.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted | Kind::ConnectionReset | Kind::Interrupted | Kind::WouldBlock | Kind::TimedOut
    )
}

struct Client {
    socket: Socket,
    peer: Option<SocketAddr>,
    local: Option<SocketAddr>,
}

enum Incoming {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, #[expect(dead_code, reason = "dropped with the listener")] Option<SocketFile>),
}

impl Incoming {
    fn new(socket: ListenSocket, bound: Option<SocketAddr>) -> io::Result<Self> {
        match (socket, bound) {
            (ListenSocket::Tcp(socket), Some(bound)) => Ok(Self::Tcp(TcpListener::from_std(socket)?, bound)),
            (ListenSocket::Tcp(socket), None) => {
                let bound = socket.local_addr()?;
                Ok(Self::Tcp(TcpListener::from_std(socket)?, bound))
            }
            (ListenSocket::Unix(socket, file), _) => Ok(Self::Unix(UnixListener::from_std(socket)?, file)),
        }
    }

    async fn accept(&self) -> io::Result<Client> {
        match self {
            Self::Tcp(listener, bound) => {
                let (socket, peer) = listener.accept().await?;
                // Only a socket that listens on every address leaves it open which one this is.
                let local = if bound.ip().is_unspecified() { socket.local_addr().ok() } else { Some(*bound) };
                Ok(Client { socket: Socket::Tcp(socket), peer: Some(peer), local })
            }
            Self::Unix(listener, _) => {
                let (socket, _) = listener.accept().await?;
                Ok(Client { socket: Socket::Unix(socket), peer: None, local: None })
            }
        }
    }
}

fn open<A>(shared: &Arc<Shared>, listening: &Arc<Listening>, client: Client, app: &Arc<A>)
where
    A: HttpServerApp + Send + Sync + 'static,
{
    let Client { socket, peer, local } = client;
    let Some(slot) = Slot::take(listening) else {
        shared.events.connection_refused(&listening.name);
        if listening.tls.is_none() {
            refuse::overloaded(&socket);
        }
        return;
    };
    let socket = Arc::new(socket);
    let phase = if listening.tls.is_some() { Phase::Handshake } else { Phase::Fresh };
    let pulse = Arc::new(Pulse::new(listening.times, Arc::downgrade(&socket), phase));
    let registration = Registration::new(shared.clone(), listening.clone(), pulse.clone());
    if shared.aborted() {
        return pulse.ending(CloseReason::Aborted);
    }
    let accepted = Accepted {
        shared: shared.clone(),
        listening: listening.clone(),
        socket,
        pulse,
        peer,
        local,
        slot,
        registration,
    };
    tokio::spawn(connection::serve(accepted, app.clone()));
}
