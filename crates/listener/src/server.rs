//! What all listeners of a gateway share: the open connections, the sweeper, the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use pingora_core::apps::HttpServerApp;
use pingora_core::server::ShutdownWatch;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::accept;
use crate::events::{CloseReason, Events};
use crate::listener::Listener;
use crate::pulse::{Draining, LINGER};
use crate::registration::Accepting;
use crate::registry::Registry;

/// How often deadlines are looked at.
const SWEEP: Duration = Duration::from_millis(500);
/// The same while the gateway stops and somebody waits for it.
const SWEEP_DRAINING: Duration = Duration::from_millis(50);

/// Serves any number of listeners in the current Tokio runtime, and ends them together.
///
/// Cheap to clone; all clones are the same server. Dropping them ends nothing: call [`Server::drain`] or
/// [`Server::abort`].
#[derive(Clone)]
pub struct Server(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) events: Arc<dyn Events>,
    pub(crate) registry: Registry,
    draining: watch::Sender<bool>,
    drain_began: OnceLock<Instant>,
    aborted: AtomicBool,
    sweeping: AtomicBool,
    sweep_now: Arc<Notify>,
}

impl Server {
    /// A server without listeners that reports to `events`.
    pub fn new(events: Arc<dyn Events>) -> Self {
        Self(Arc::new(Shared {
            events,
            registry: Registry::default(),
            draining: watch::Sender::new(false),
            drain_began: OnceLock::new(),
            aborted: AtomicBool::new(false),
            sweeping: AtomicBool::new(false),
            sweep_now: Arc::default(),
        }))
    }

    /// Accepts connections on `listener` and has `app` serve their requests, until [`Server::drain`].
    ///
    /// The task that is returned ends when the listener is closed, not when its connections are.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn serve<A>(&self, listener: Listener, app: Arc<A>) -> JoinHandle<()>
    where
        A: HttpServerApp + Send + Sync + 'static,
    {
        if !self.0.sweeping.swap(true, Ordering::Relaxed) {
            tokio::spawn(sweep(Arc::downgrade(&self.0), self.0.sweep_now.clone()));
        }
        tokio::spawn(accept::run(Accepting::new(self.0.clone()), listener, app))
    }

    /// Becomes true when the server begins to drain.
    pub fn shutdown_watch(&self) -> ShutdownWatch {
        self.0.draining.subscribe()
    }

    /// Stops accepting, and lets what is in flight end.
    ///
    /// Listeners close at once. A connection without a request closes within a second: long enough for a request that
    /// is already on its way, which is still served. Everything else closes when its last response is sent.
    pub fn drain(&self) {
        self.0.drain_began.get_or_init(Instant::now);
        self.0.draining.send_replace(true);
        self.0.sweep_now.notify_one();
    }

    /// Waits until a drain is over: no listener and no connection is left.
    pub async fn drained(&self) {
        let mut draining = self.0.draining.subscribe();
        // Can't fail: we hold the sender.
        _ = draining.wait_for(|draining| *draining).await;
        self.0.registry.emptied().await;
    }

    /// Stops accepting, and closes every connection now.
    pub fn abort(&self) {
        self.0.aborted.store(true, Ordering::Relaxed);
        self.drain();
        for pulse in self.0.registry.all() {
            pulse.cut(CloseReason::Aborted);
        }
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.0.registry.connections()
    }

    /// Whether [`Server::drain`] was called. A response that is written now is to be its connection's last.
    pub fn is_draining(&self) -> bool {
        self.0.is_draining()
    }
}

impl Shared {
    pub(crate) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Whether an idle connection is not to wait for another request.
    pub(crate) fn drain_is_over(&self) -> bool {
        self.draining() == Draining::Over
    }

    pub(crate) fn aborted(&self) -> bool {
        self.aborted.load(Ordering::Relaxed)
    }

    pub(crate) fn shutdown_watch(&self) -> ShutdownWatch {
        self.draining.subscribe()
    }

    fn draining(&self) -> Draining {
        match self.drain_began.get() {
            None => Draining::No,
            Some(began) if began.elapsed() < LINGER => Draining::Lingering,
            Some(_) => Draining::Over,
        }
    }

    /// Looks at every connection once. How long until the next time; `None` if there will be nothing left to look at.
    fn sweep(&self) -> Option<Duration> {
        let draining = self.draining();
        self.registry.sweep(draining);
        match draining {
            Draining::No => Some(SWEEP),
            _ if self.registry.is_empty() => None,
            _ => Some(SWEEP_DRAINING),
        }
    }
}

/// The sweeper: one task for all connections of a server.
async fn sweep(shared: Weak<Shared>, now: Arc<Notify>) {
    while let Some(pause) = shared.upgrade().and_then(|shared| shared.sweep()) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = now.notified() => {}
        }
    }
}
