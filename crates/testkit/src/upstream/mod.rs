//! Upstreams that do as they are told, and write down all that comes.

mod events;
mod h1;
mod h2;
mod listen;
mod pace;
mod record;
mod script;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use self::listen::{Protocol, Socket};
use self::record::Book;
use crate::certs::Leaf;
use crate::wait_until;

pub use self::events::{Events, events};
pub use self::record::Recorded;
pub use self::script::{Gate, Script, gate};

/// An upstream to be started.
#[derive(Debug, Default)]
pub struct UpstreamBuilder {
    scripts: Vec<(String, Script)>,
    tls: Option<Leaf>,
    h2: bool,
    unix: bool,
    at: Option<SocketAddr>,
}

/// An upstream on an ephemeral port, without a script: it answers 404 to everything.
pub fn upstream() -> UpstreamBuilder {
    UpstreamBuilder::default()
}

impl UpstreamBuilder {
    /// Answers 200 with `body` to requests for `path`: exact, or a prefix that ends in `*`.
    #[must_use]
    pub fn reply(self, path: &str, body: impl Into<bytes::Bytes>) -> Self {
        self.route(path, Script::reply(body))
    }

    /// Does as `script` says with requests for `path`: exact, or a prefix that ends in `*`. The most exact wins.
    #[must_use]
    pub fn route(mut self, path: &str, script: Script) -> Self {
        self.scripts.push((path.to_owned(), script));
        self
    }

    /// Speaks TLS, with this certificate.
    #[must_use]
    pub fn tls(mut self, leaf: &Leaf) -> Self {
        self.tls = Some(leaf.clone());
        self
    }

    /// Speaks HTTP/2: by prior knowledge, or by ALPN over TLS.
    #[must_use]
    pub fn h2(mut self) -> Self {
        self.h2 = true;
        self
    }

    /// Listens on a unix socket instead of a port.
    #[must_use]
    pub fn unix(mut self) -> Self {
        self.unix = true;
        self
    }

    /// Listens here, where another one was: an upstream that comes back.
    #[must_use]
    pub fn at(mut self, addr: SocketAddr) -> Self {
        self.at = Some(addr);
        self
    }

    /// Starts it. It stops when the [`Upstream`] is dropped.
    pub async fn start(self) -> Upstream {
        let book = Arc::new(Book::default());
        *book.scripts.lock() = self.scripts;
        let socket = if self.unix { Socket::unix() } else { Socket::tcp(self.at).await };
        let (addr, path) = (socket.addr(), socket.path());
        let protocol = Protocol::new(self.tls.as_ref(), self.h2);
        let task = tokio::spawn(listen::serve(socket, protocol, book.clone()));
        Upstream { book, addr, path, task }
    }
}

/// An upstream that is running.
#[derive(Debug)]
pub struct Upstream {
    book: Arc<Book>,
    addr: Option<SocketAddr>,
    path: Option<PathBuf>,
    task: tokio::task::JoinHandle<()>,
}

impl Upstream {
    /// Where it listens; panics for a unix socket.
    pub fn addr(&self) -> SocketAddr {
        self.addr.expect("the upstream listens on a port")
    }

    /// How a configuration names it: `127.0.0.1:40000`, or `unix:/tmp/…`.
    pub fn target(&self) -> String {
        match (&self.path, self.addr) {
            (Some(path), _) => format!("unix:{}", path.display()),
            (None, addr) => addr.map(|addr| addr.to_string()).unwrap_or_default(),
        }
    }

    /// All requests whose heads came, in order.
    pub fn requests(&self) -> Vec<Recorded> {
        self.book.requests()
    }

    /// The only request that came; panics when there were more, or none.
    #[track_caller]
    pub fn request(&self) -> Recorded {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:#?}");
        requests.remove(0)
    }

    /// Waits until `count` requests came with their bodies, and gives them.
    pub async fn wait_for(&self, count: usize) -> Vec<Recorded> {
        wait_until(&format!("{count} requests at the upstream"), || self.book.complete() >= count).await;
        self.requests()
    }

    /// Waits until the heads of `count` requests came, and gives what came.
    pub async fn wait_for_heads(&self, count: usize) -> Vec<Recorded> {
        wait_until(&format!("{count} heads at the upstream"), || self.book.requests().len() >= count).await;
        self.requests()
    }

    /// How many connections were made to it, ever.
    pub fn connections(&self) -> usize {
        self.book.accepted()
    }

    /// How many connections to it are open.
    pub fn open_connections(&self) -> usize {
        self.book.open()
    }

    /// Every byte that came in HTTP/1, one connection after the other; the first 4 MiB.
    pub fn wire(&self) -> Vec<u8> {
        self.book.wire()
    }

    /// Forgets what came; connections go on.
    pub fn forget(&self) {
        self.book.clear();
    }

    /// From now on does as `script` says with requests for `path`.
    pub fn set(&self, path: &str, script: Script) {
        let mut scripts = self.book.scripts.lock();
        scripts.retain(|(key, _)| key != path);
        scripts.push((path.to_owned(), script));
    }

    /// Stops: the port refuses, and connections are cut.
    pub async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A port that refuses connections for as long as this lives: taken, and nobody listens.
#[derive(Debug)]
pub struct Refusing {
    _socket: std::os::fd::OwnedFd,
    addr: SocketAddr,
}

/// A port at which every connection is refused.
pub fn refusing() -> Refusing {
    let (socket, addr) = listen::bound_but_deaf();
    Refusing { _socket: socket, addr }
}

impl Refusing {
    /// The port.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}
