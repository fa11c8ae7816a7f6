//! A server with one listener, and what it tells.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pingora_core::server::configuration::ServerConf;
use pingora_proxy::http_proxy;
use tidegate_core::Connection;
use tidegate_listener::{
    BindAddr, CloseReason, Events, Listener, ListenerConfig, Refusal, Server, install_crypto_provider,
};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

use crate::app::App;
use crate::client::Client;

/// A test that hangs fails with this.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(done) => done,
        Err(_) => panic!("waited too long: {what}"),
    }
}

/// Notes every event.
#[derive(Default)]
pub(crate) struct Seen {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default, Clone)]
pub(crate) struct State {
    pub(crate) opened: usize,
    pub(crate) refused: usize,
    pub(crate) handshakes_failed: usize,
    pub(crate) closed: Vec<CloseReason>,
    pub(crate) refusals: Vec<Refusal>,
}

impl Seen {
    fn note(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().expect("no test panics in here"));
        self.changed.notify_waiters();
    }

    pub(crate) fn now(&self) -> State {
        self.state.lock().expect("no test panics in here").clone()
    }

    /// Waits until it is true of what happened.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&State) -> bool) -> State {
        within(what, async {
            loop {
                let changed = self.changed.notified();
                let state = self.now();
                if holds(&state) {
                    return state;
                }
                changed.await;
            }
        })
        .await
    }

    pub(crate) async fn until_closed(&self, reason: CloseReason) {
        self.until(reason.label(), |state| state.closed.contains(&reason)).await;
    }
}

impl Events for Seen {
    fn connection_opened(&self, _: &str) {
        self.note(|state| state.opened += 1);
    }
    fn connection_closed(&self, _: &str, reason: CloseReason) {
        self.note(|state| state.closed.push(reason));
    }
    fn connection_refused(&self, _: &str) {
        self.note(|state| state.refused += 1);
    }
    fn handshake_failed(&self, _: &str, _: &io::Error) {
        self.note(|state| state.handshakes_failed += 1);
    }
    fn request_refused(&self, _: &Connection, refusal: Refusal, _: &str) {
        self.note(|state| state.refusals.push(refusal));
    }
}

pub(crate) struct Fixture {
    pub(crate) server: Server,
    pub(crate) seen: Arc<Seen>,
    pub(crate) bound: tidegate_listener::BoundAddr,
    pub(crate) accepting: JoinHandle<()>,
    requests: Arc<AtomicUsize>,
    waiting: Arc<Semaphore>,
    gate: Arc<Semaphore>,
}

/// A plain listener on a free port.
pub(crate) fn config() -> ListenerConfig {
    ListenerConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)))
}

impl Fixture {
    pub(crate) fn start(config: &ListenerConfig) -> Self {
        Self::with_upstream(config, None)
    }

    pub(crate) fn with_upstream(config: &ListenerConfig, upstream: Option<SocketAddr>) -> Self {
        install_crypto_provider();
        let listener = Listener::bind(config).unwrap();
        let bound = listener.local_addr();
        let (requests, waiting, gate) = (Arc::default(), Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let app = App { requests: Arc::clone(&requests), waiting: waiting.clone(), gate: gate.clone(), upstream };
        let seen = Arc::new(Seen::default());
        let server = Server::new(seen.clone());
        let proxy = http_proxy(&Arc::new(ServerConf::default()), app);
        let accepting = server.serve(listener, Arc::new(proxy));
        Self { server, seen, bound, accepting, requests, waiting, gate }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.bound.tcp().expect("a TCP listener")
    }

    pub(crate) async fn connect(&self) -> Client<TcpStream> {
        Client(TcpStream::connect(self.addr()).await.unwrap())
    }

    /// How many requests the application has seen.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Waits until one more request waits in `/wait`, or reads in `/echo`.
    pub(crate) async fn until_waiting(&self) {
        within("a request waits", self.waiting.acquire()).await.expect("never closed").forget();
    }

    /// Lets one waiting request go on.
    pub(crate) fn open_gate(&self) {
        self.gate.add_permits(1);
    }

    pub(crate) async fn drained(&self) {
        within("drained", self.server.drained()).await;
    }
}

/// The address of a socket file in `dir`.
pub(crate) fn unix(dir: &tempfile::TempDir) -> BindAddr {
    BindAddr::Unix(dir.path().join("tidegate.sock"))
}
