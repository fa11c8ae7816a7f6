//! A gateway that serves: addresses, reload, shutdown.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use pingora_core::server::configuration::ServerConf;
use pingora_proxy::HttpProxy;
use tidegate_config::{Document, WatchGuard};
use tidegate_core::config::{ConfigErrors, ConfigPath};
use tidegate_core::{ConfigError, MetricError, Metrics, Stop, Task};
use tidegate_listener::{BoundAddr, Listener, ListenerConfig, Server, install_crypto_provider};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::admin::Admin;
use crate::build::{Built, Parts, Purpose};
use crate::events::ListenerEvents;
use crate::gateway::load;
use crate::generation::Generation;
use crate::outbound::Door;
use crate::proxy::Proxy;
use crate::shared::{FIRST_RESOLUTION, Shared};
use crate::source::{BadConfig, ConfigSource};

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration can't be used.
    #[error("{0}")]
    Config(#[from] BadConfig),
    /// Metrics can't be made: two gateways share one registry.
    #[error("metrics can't be made")]
    Metrics(#[from] MetricError),
}

/// A gateway that serves, in the runtime it was started in. Dropping it stops it at once; [`Running::shutdown`]
/// lets requests end.
pub struct Running {
    inner: Arc<Inner>,
}

struct Inner {
    parts: Parts,
    shared: Arc<Shared>,
    server: Server,
    admin: Option<(Server, BoundAddr)>,
    addresses: Vec<(String, BoundAddr)>,
    source: Mutex<ConfigSource>,
    /// One reload at a time.
    reloading: tokio::sync::Mutex<()>,
    /// Keeps the configuration's files watched.
    watching: Mutex<Option<(Vec<PathBuf>, WatchGuard)>>,
    /// Tells work that outlives configurations to stop.
    end: watch::Sender<bool>,
    /// Plugins' work beside the requests: what it still has to write down is waited for at the end.
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Running {
    pub(crate) async fn start(parts: Parts, source: ConfigSource) -> Result<Self, StartError> {
        install_crypto_provider();
        let (built, document) = load(&parts, &source, None, Purpose::Serve)?;
        let Built { generation, tasks } = built;
        let listeners = bind(&generation, &document)?;
        let admin = bind_admin(&generation, &document)?;
        generation.upstreams.prepare(FIRST_RESOLUTION).await;

        let generation = Arc::new(generation);
        let shared = Arc::new(Shared::new(generation.clone(), &parts.metrics)?);
        let server = Server::new(Arc::new(ListenerEvents::new(shared.clone(), &parts.metrics)?));
        let app = application(&shared);
        let mut addresses = Vec::new();
        for (name, listener) in listeners {
            addresses.push((name, listener.local_addr().clone()));
            server.serve(listener, app.clone());
        }
        parts.outbound.opened(doors(&generation, &addresses));
        let admin = admin.map(|listener| {
            let address = listener.local_addr().clone();
            let server = Server::new(Arc::new(()));
            server.serve(listener, Arc::new(Admin { shared: shared.clone(), metrics: parts.metrics.clone() }));
            (server, address)
        });
        let end = watch::Sender::new(false);
        let inner = Arc::new(Inner {
            parts,
            shared,
            server,
            admin,
            addresses,
            source: Mutex::new(source),
            reloading: tokio::sync::Mutex::new(()),
            watching: Mutex::new(None),
            end,
            tasks: Mutex::new(Vec::new()),
        });
        inner.begin(&generation, tasks);
        let source = inner.source.lock().clone();
        inner.watch(&source, document.files());
        Ok(Self { inner })
    }

    /// The TCP address of a listener, by its name; the bound one, where the configuration says port 0.
    pub fn address(&self, listener: &str) -> Option<SocketAddr> {
        let (_, address) = self.inner.addresses.iter().find(|(name, _)| name == listener)?;
        address.tcp()
    }

    /// The name and address of each listener, in the order of the configuration.
    pub fn addresses(&self) -> &[(String, BoundAddr)] {
        &self.inner.addresses
    }

    /// The admin listener's TCP address.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.inner.admin.as_ref()?.1.tcp()
    }

    /// The gateway's metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.parts.metrics
    }

    /// Replaces the configuration, all of it or nothing. Requests in flight keep the one they began with.
    ///
    /// # Errors
    /// A configuration that can't be used. The current one goes on.
    pub async fn reload(&self, source: ConfigSource) -> Result<(), BadConfig> {
        self.inner.reload(source).await
    }

    /// Reads the configuration again from where it came from.
    ///
    /// # Errors
    /// As [`Running::reload`].
    pub async fn reload_again(&self) -> Result<(), BadConfig> {
        let source = self.inner.source.lock().clone();
        self.reload(source).await
    }

    /// Whether [`Running::shutdown`] has begun.
    pub fn is_draining(&self) -> bool {
        self.inner.shared.is_draining()
    }

    /// Opens the access log anew, after it was rotated.
    pub fn reopen_logs(&self) {
        if let Some(log) = &self.inner.shared.current.load().access_log {
            log.reopen();
        }
    }

    /// Stops in order: `/readyz` says 503, `drain.delay` passes, listeners close, requests in flight end. Returns
    /// as soon as the last one has; `false` when `drain.timeout` came first, and what was left was cut.
    pub async fn shutdown(&self) -> bool {
        let inner = &self.inner;
        let drain = inner.shared.current.load().settings.server.drain;
        inner.shared.draining.store(true, Ordering::Relaxed);
        tokio::time::sleep(drain.delay.get()).await;
        inner.server.drain();
        let clean = tokio::time::timeout(drain.timeout.get(), inner.server.drained()).await.is_ok();
        inner.stop();
        inner.join().await;
        clean
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.inner.stop();
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("addresses", &self.inner.addresses).finish_non_exhaustive()
    }
}

impl Inner {
    async fn reload(self: &Arc<Self>, source: ConfigSource) -> Result<(), BadConfig> {
        let _one_at_a_time = self.reloading.lock().await;
        let mut result = self.apply(&source).await;
        if self.watch(&source, files(&result)) {
            // Other files than before are watched from now on. A change since they were read would be lost: read again.
            result = self.apply(&source).await;
            self.watch(&source, files(&result));
        }
        match result {
            Ok(_) => {
                *self.source.lock() = source;
                Ok(())
            }
            Err(bad) => {
                self.shared.reloads.failed();
                log::error!("reload failed, the configuration stays as it was:\n{bad}");
                Err(bad)
            }
        }
    }

    async fn apply(&self, source: &ConfigSource) -> Result<Document, BadConfig> {
        let (generation, tasks, document) = self.try_reload(source)?;
        generation.upstreams.prepare(FIRST_RESOLUTION).await;
        self.swap(generation, tasks);
        Ok(document)
    }

    /// From now on a change of one of these files is a reload. Whether they are others than before.
    fn watch(self: &Arc<Self>, source: &ConfigSource, files: &[PathBuf]) -> bool {
        let mut watching = self.watching.lock();
        if source.path().is_none() || files.is_empty() || watching.as_ref().is_some_and(|(watched, _)| watched == files)
        {
            return false;
        }
        let weak = Arc::downgrade(self);
        let runtime = tokio::runtime::Handle::current();
        let on_change = move || {
            let Some(inner) = weak.upgrade() else { return };
            runtime.spawn(async move {
                let source = inner.source.lock().clone();
                // Logged by the reload itself.
                let _ = inner.reload(source).await;
            });
        };
        match tidegate_config::watch(files.to_vec(), on_change) {
            Ok(guard) => {
                *watching = Some((files.to_vec(), guard));
                true
            }
            Err(error) => {
                log::warn!("the configuration can't be watched, use SIGHUP to reload: {error}");
                false
            }
        }
    }

    fn try_reload(&self, source: &ConfigSource) -> Result<(Arc<Generation>, Vec<Task>, Document), BadConfig> {
        let current = self.shared.current.load_full();
        let (Built { generation, tasks }, document) = load(&self.parts, source, Some(&current), Purpose::Serve)?;
        match fixed_at_start(&current, &generation) {
            errors if errors.is_empty() => Ok((Arc::new(generation), tasks, document)),
            errors => Err(BadConfig::new(&document, &errors)),
        }
    }

    fn swap(&self, generation: Arc<Generation>, tasks: Vec<Task>) {
        let number = generation.number;
        self.begin(&generation, tasks);
        self.shared.reloads.done(&generation);
        let before = self.shared.current.swap(generation);
        before.stop.send_replace(true);
        log::info!(generation = number; "configuration reloaded");
    }

    /// Starts what works beside the requests of this configuration.
    fn begin(&self, generation: &Generation, tasks: Vec<Task>) {
        for task in generation.upstreams.start(&self.end.subscribe()) {
            tokio::spawn(task);
        }
        for task in tasks {
            let name = task.name().to_owned();
            let work = task.into_future(Stop::new(generation.stop.subscribe()));
            let task = tokio::spawn(async move {
                if let Err(error) = tokio::spawn(work).await {
                    log::error!(task = name.as_str(); "background task ended: {error}");
                }
            });
            let mut tasks = self.tasks.lock();
            tasks.retain(|task| !task.is_finished());
            tasks.push(task);
        }
    }

    /// Waits for plugins' work that was told to stop, but not for ever.
    async fn join(&self) {
        let tasks = std::mem::take(&mut *self.tasks.lock());
        let all = futures_util::future::join_all(tasks);
        if tokio::time::timeout(LAST_WORDS, all).await.is_err() {
            log::warn!("background tasks did not end within {} s", LAST_WORDS.as_secs());
        }
    }

    fn stop(&self) {
        self.watching.lock().take();
        self.shared.draining.store(true, Ordering::Relaxed);
        self.server.abort();
        if let Some((admin, _)) = &self.admin {
            admin.abort();
        }
        self.end.send_replace(true);
        let current = self.shared.current.load();
        current.stop.send_replace(true);
        if let Some(log) = &current.access_log {
            log.flush();
        }
    }
}

/// The files that were read, or were to be: one of those may be mended next.
fn files(result: &Result<Document, BadConfig>) -> &[PathBuf] {
    match result {
        Ok(document) => document.files(),
        Err(bad) => bad.files(),
    }
}

/// How long plugins' background tasks may take to write down what is to survive, when all requests have ended.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How many times Pingora may ask for a peer; 0 would mean never. `retry.attempts` decides earlier: at most 10 more, and
/// one for a kept connection that was dead.
const MAX_TRIES: usize = 12;

fn application(shared: &Arc<Shared>) -> Arc<HttpProxy<Proxy>> {
    let conf = ServerConf { max_retries: MAX_TRIES, ..ServerConf::default() };
    let mut app = HttpProxy::new(Proxy(shared.clone()), Arc::new(conf));
    app.handle_init_modules();
    Arc::new(app)
}

/// Where the gateway can ask itself: what isn't bound to one address is asked on loopback.
fn doors(generation: &Generation, addresses: &[(String, BoundAddr)]) -> Vec<Door> {
    let configs = generation.settings.listeners.iter().zip(addresses);
    let doors = configs.filter(|(config, _)| config.tls.is_some() || config.redirect_https.is_none());
    doors
        .filter_map(|(config, (_, bound))| {
            let mut address = bound.tcp()?;
            if address.ip().is_unspecified() {
                address.set_ip(Ipv4Addr::LOCALHOST.into());
            }
            Some(Door { tls: config.tls.is_some(), address })
        })
        .collect()
}

/// Binds every listener, or none: all addresses that can't be had are reported.
fn bind(generation: &Generation, document: &Document) -> Result<Vec<(String, Listener)>, BadConfig> {
    let mut errors = ConfigErrors::default();
    let mut bound = Vec::new();
    for (index, config) in generation.settings.listeners.iter().enumerate() {
        let path = ConfigPath::root().key("listeners").index(index);
        let listener = Listener::bind(config).map_err(|e| e.under(&path));
        bound.extend(errors.collect(listener).map(|listener| (config.name(), listener)));
    }
    errors.into_result(bound).map_err(|errors| BadConfig::new(document, &errors))
}

fn bind_admin(generation: &Generation, document: &Document) -> Result<Option<Listener>, BadConfig> {
    let Some(admin) = &generation.settings.admin else { return Ok(None) };
    let fail = |errors: ConfigErrors| BadConfig::new(document, &errors.under(&"admin".into()));
    Listener::bind(&ListenerConfig::new(admin.bind.clone())).map(Some).map_err(fail)
}

/// What a reload can't change. Refused rather than ignored.
fn fixed_at_start(before: &Generation, after: &Generation) -> ConfigErrors {
    let mut errors = ConfigErrors::default();
    let mut check = |same: bool, path: &str| {
        if !same {
            let error = ConfigError::at(path, "can't be changed while the gateway runs");
            errors.push(error.help("restart the gateway to change it"));
        }
    };
    let (old, new) = (&before.settings, &after.settings);
    check(same(&old.listeners, &new.listeners), "listeners");
    check(old.admin == new.admin, "admin");
    check(old.server.threads == new.server.threads, "server.threads");
    errors
}

fn same(a: &[ListenerConfig], b: &[ListenerConfig]) -> bool {
    serde_json::to_value(a).ok() == serde_json::to_value(b).ok()
}
