//! A bound listener that accepts nothing yet.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, SockRef, TcpKeepalive, Type};
use tidegate_core::config::{ConfigError, ConfigErrors};

use crate::address::{BindAddr, BoundAddr};
use crate::config::{ListenerConfig, PortSharing};
use crate::listening::Listening;

/// How many connections may wait to be accepted; the kernel has a limit of its own (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;
/// A peer that vanished is noticed after about two minutes, also on a silent WebSocket.
const KEEPALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15)).with_retries(4);

/// A socket that is bound and ready to be served by [`Server::serve`](crate::Server::serve).
///
/// Connections wait in the kernel until then. Dropping it closes the socket.
#[derive(Debug)]
pub struct Listener {
    pub(crate) socket: ListenSocket,
    pub(crate) listening: Arc<Listening>,
    pub(crate) bound: BoundAddr,
}

#[derive(Debug)]
pub(crate) enum ListenSocket {
    Tcp(std::net::TcpListener),
    Unix(StdUnixListener, Option<SocketFile>),
}

impl Listener {
    /// Reads the certificates and binds the address.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, with paths that start at this listener's entry.
    pub fn bind(config: &ListenerConfig) -> Result<Self, ConfigErrors> {
        let listening = Arc::new(Listening::new(config)?);
        let (socket, bound) = match &config.bind {
            BindAddr::Tcp(address) => bind_tcp(*address, config.port),
            BindAddr::Unix(path) => bind_unix(path),
        }
        .map_err(|error| bind_error(&config.bind, &error))?;
        Ok(Self { socket, listening, bound })
    }

    /// Finds what [`Listener::bind`] would, short of the address being taken: nothing is bound.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, with paths that start at this listener's entry.
    pub fn check(config: &ListenerConfig) -> Result<(), ConfigErrors> {
        Listening::new(config).map(drop)
    }

    /// Takes over a socket that is bound already: inherited from the process before, or from a supervisor.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the configuration, of which `bind` is not looked at; or with the socket.
    pub fn from_std(config: &ListenerConfig, socket: std::net::TcpListener) -> Result<Self, ConfigErrors> {
        let listening = Arc::new(Listening::new(config)?);
        let adopt = || {
            socket.set_nonblocking(true)?;
            set_options(&SockRef::from(&socket))?;
            socket.local_addr()
        };
        let bound = BoundAddr(adopt().map_err(|error| bind_error(&config.bind, &error))?.into());
        Ok(Self { socket: ListenSocket::Tcp(socket), listening, bound })
    }

    /// The address it is bound to, with the real port.
    pub fn local_addr(&self) -> BoundAddr {
        self.bound.clone()
    }

    /// The name in logs and metrics.
    pub fn name(&self) -> &str {
        &self.listening.name
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            ListenSocket::Tcp(socket) => socket.as_fd(),
            ListenSocket::Unix(socket, _) => socket.as_fd(),
        }
    }
}

fn bind_tcp(address: SocketAddr, sharing: PortSharing) -> io::Result<(ListenSocket, BoundAddr)> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A restart must not wait for the connections of the process before.
    socket.set_reuse_address(true)?;
    if sharing == PortSharing::Shared {
        socket.set_reuse_port(true)?;
    }
    set_options(&SockRef::from(&socket))?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let socket = std::net::TcpListener::from(socket);
    let bound = BoundAddr(socket.local_addr()?.into());
    Ok((ListenSocket::Tcp(socket), bound))
}

/// What every accepted socket inherits, so that none needs a call of its own.
fn set_options(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&KEEPALIVE)
}

fn bind_unix(path: &Path) -> io::Result<(ListenSocket, BoundAddr)> {
    remove_stale(path)?;
    let socket = StdUnixListener::bind(path)?;
    socket.set_nonblocking(true)?;
    let file = SocketFile::of(path)?;
    Ok((ListenSocket::Unix(socket, Some(file)), BoundAddr(BindAddr::Unix(path.to_owned()))))
}

/// A process that was killed leaves its socket behind. One that nobody answers on is removed.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    match StdUnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        _ => Ok(()),
    }
}

/// The file of a unix socket, removed with it, unless somebody else has put another in its place.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = std::fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity) {
            // Somebody may have removed it in between.
            _ = std::fs::remove_file(&self.path);
        }
    }
}

fn bind_error(address: &BindAddr, error: &io::Error) -> ConfigError {
    let help = match error.kind() {
        io::ErrorKind::AddrInUse => "another process listens there: stop it, or choose another address",
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need the capability CAP_NET_BIND_SERVICE, and a socket a directory that can be written"
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address: 0.0.0.0 and [::] are all that it has",
        io::ErrorKind::NotFound => "create the directory first",
        _ => "choose another address",
    };
    ConfigError::at("bind", format!("can't listen on {address}: {error}")).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_sockets_inherit_the_options() {
        let config = ListenerConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)));
        let listener = Listener::bind(&config).unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().tcp().unwrap()).unwrap();
        let ListenSocket::Tcp(socket) = &listener.socket else { panic!("a TCP address gives a TCP socket") };
        socket.set_nonblocking(false).unwrap();
        let (accepted, _) = socket.accept().unwrap();
        assert!(accepted.nodelay().unwrap());
        assert!(SockRef::from(&accepted).keepalive().unwrap());
    }

    #[test]
    fn an_address_that_is_taken_is_an_error_that_says_so() {
        let config = ListenerConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)));
        let taken = Listener::bind(&config).unwrap().local_addr().tcp().unwrap();
        let _listener = std::net::TcpListener::bind(taken).unwrap();
        let errors = Listener::bind(&ListenerConfig::new(taken)).unwrap_err().to_string();
        assert!(errors.starts_with("bind: can't listen on 127.0.0.1:"), "{errors}");
        assert!(errors.contains("another process listens there"), "{errors}");
    }

    #[test]
    fn a_unix_socket_replaces_a_dead_one_and_not_a_living_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        drop(StdUnixListener::bind(&path).unwrap());
        let config = ListenerConfig::new(BindAddr::Unix(path.clone()));
        let listener = Listener::bind(&config).unwrap();
        assert!(Listener::bind(&config).is_err());
        drop(listener);
        assert!(!path.exists());
    }
}
