//! The accept loop. It never waits for a connection, only for the next one.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora_core::apps::HttpServerApp;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

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
    let Listener { socket, listening, .. } = listener;
    let incoming = match Incoming::new(socket) {
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
    let Ok(waiting) = incoming.into_waiting() else { return };
    for client in std::iter::from_fn(|| waiting.accept().ok()).take(LAST_ONES) {
        open(shared, &listening, client, &app);
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

impl Client {
    fn tcp(socket: TcpStream, peer: SocketAddr, bound: SocketAddr) -> Self {
        // Only a socket that listens on every address leaves it open which one this is.
        let local = if bound.ip().is_unspecified() { socket.local_addr().ok() } else { Some(bound) };
        Self { socket: Socket::Tcp(socket), peer: Some(peer), local }
    }

    fn unix(socket: UnixStream) -> Self {
        Self { socket: Socket::Unix(socket), peer: None, local: None }
    }
}

enum Incoming {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, Option<SocketFile>),
}

impl Incoming {
    fn new(socket: ListenSocket) -> io::Result<Self> {
        match socket {
            ListenSocket::Tcp(socket) => {
                let bound = socket.local_addr()?;
                Ok(Self::Tcp(TcpListener::from_std(socket)?, bound))
            }
            ListenSocket::Unix(socket, file) => Ok(Self::Unix(UnixListener::from_std(socket)?, file)),
        }
    }

    async fn accept(&self) -> io::Result<Client> {
        match self {
            Self::Tcp(listener, bound) => {
                let (socket, peer) = listener.accept().await?;
                Ok(Client::tcp(socket, peer, *bound))
            }
            Self::Unix(listener, _) => listener.accept().await.map(|(socket, _)| Client::unix(socket)),
        }
    }

    fn into_waiting(self) -> io::Result<Waiting> {
        match self {
            Self::Tcp(listener, bound) => Ok(Waiting::Tcp(listener.into_std()?, bound)),
            Self::Unix(listener, file) => Ok(Waiting::Unix(listener.into_std()?, file)),
        }
    }
}

/// Asked without the runtime, which may not have heard of the last ones yet.
enum Waiting {
    Tcp(std::net::TcpListener, SocketAddr),
    Unix(
        std::os::unix::net::UnixListener,
        #[expect(dead_code, reason = "removed with the listener")] Option<SocketFile>,
    ),
}

impl Waiting {
    fn accept(&self) -> io::Result<Client> {
        match self {
            Self::Tcp(listener, bound) => {
                let (socket, peer) = listener.accept()?;
                socket.set_nonblocking(true)?;
                Ok(Client::tcp(TcpStream::from_std(socket)?, peer, *bound))
            }
            Self::Unix(listener, _) => {
                let (socket, _) = listener.accept()?;
                socket.set_nonblocking(true)?;
                Ok(Client::unix(UnixStream::from_std(socket)?))
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
