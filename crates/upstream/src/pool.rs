//! One upstream: its targets, and the choice among those that serve.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use tidegate_core::Clock;
use tokio::sync::watch;

use crate::address::Address;
use crate::admission::{Admission, Admitted, Overloaded};
use crate::balance::{Balance, Moment};
use crate::config::{TlsVersion, UpstreamConfig};
use crate::discovery::Sources;
use crate::dns::Dns;
use crate::listing::Listing;
use crate::metrics::PoolMetrics;
use crate::outlier::Outliers;
use crate::peer::PeerTemplate;
use crate::pick::{NoTarget, Pick, Picked, TargetId};
use crate::registry::Registry;
use crate::retry::{NoRetry, Retries, RetryPermit, Tried};
use crate::state::{Reason, State};
use crate::sticky::StickyKey;
use crate::succession::Succession;
use crate::target::{LiveTarget, Occupied, Spec};
use crate::ttl::Schedule;
use crate::view::View;

/// A named upstream: a set of targets that do the same work.
pub struct Pool {
    pub(crate) name: Arc<str>,
    pub(crate) config: UpstreamConfig,
    pub(crate) clock: Clock,
    /// From which times in atomics are counted.
    epoch: Instant,
    pub(crate) dns: Arc<Dns>,
    pub(crate) schedule: Schedule,
    /// Who is listed, and where they are. Never locked by a request.
    pub(crate) registry: Mutex<Registry>,
    /// Counts up when targets come or go, for the tasks beside the requests.
    pub(crate) changed: watch::Sender<u64>,
    /// Whether some task works for the pool.
    pub(crate) running: AtomicBool,
    /// True when another pool has taken over, closed when the pool is dropped: both end those tasks.
    pub(crate) gone: watch::Sender<bool>,
    pub(crate) succession: Succession,
    pub(crate) sources: Sources,
    pub(crate) admission: Arc<Admission>,
    pub(crate) outliers: Outliers,
    pub(crate) retries: Retries,
    pub(crate) metrics: PoolMetrics,
    pub(crate) peers: PeerTemplate,
    pub(crate) sticky: Option<StickyKey>,
    pub(crate) balance: Balance,
    view: ArcSwap<View>,
    /// Shared with the pools before and after, so that no target is taken for another.
    pub(crate) next_id: Arc<AtomicU32>,
}

/// What a pool is made of.
pub(crate) struct Plan {
    pub(crate) name: Arc<str>,
    pub(crate) config: UpstreamConfig,
    pub(crate) targets: Listing,
    pub(crate) peers: PeerTemplate,
    pub(crate) clock: Clock,
    pub(crate) metrics: PoolMetrics,
}

impl Pool {
    /// A pool that takes over what `previous` knows of the targets that both have.
    pub(crate) fn new(plan: Plan, previous: Option<&Arc<Self>>) -> Arc<Self> {
        let Plan { name, config, targets, peers, clock, metrics } = plan;
        let now = clock.now();
        let epoch = previous.map_or(now, |previous| previous.epoch);
        let known = previous.map(|previous| &previous.admission);
        let admission = Admission::of(&name, &config, (&clock, epoch), known);
        let balance = Balance::new(&config, previous.map(|previous| &previous.balance));
        let pool = Self {
            name,
            epoch,
            dns: Arc::new(Dns::new(&config.resolve)),
            schedule: Schedule { min: config.resolve.min.into(), max: config.resolve.max.into() },
            registry: Mutex::new(Registry::new(crate::discovery::lists(&config))),
            changed: watch::channel(0).0,
            running: AtomicBool::new(false),
            gone: watch::channel(false).0,
            succession: Succession::after(previous),
            sources: Sources::default(),
            admission,
            outliers: Outliers::new(previous.map(|previous| &previous.outliers)),
            retries: Retries::new(&config),
            sticky: config.sticky.as_ref().map(StickyKey::new),
            view: ArcSwap::from_pointee(View::new(Vec::new(), &balance)),
            balance,
            next_id: previous.map(|previous| previous.next_id.clone()).unwrap_or_default(),
            metrics,
            peers,
            config,
            clock,
        };
        if let Some(previous) = previous {
            pool.inherit(previous);
        }
        pool.list(0, targets);
        Arc::new(pool)
    }

    /// The upstream's name in the configuration.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// How the pool was configured.
    pub fn config(&self) -> &UpstreamConfig {
        &self.config
    }

    /// Chooses the target of one try of a request. Takes no lock and allocates nothing.
    ///
    /// # Errors
    /// Why there is none.
    pub fn pick(self: &Arc<Self>, cx: &Pick<'_>) -> Result<Picked, NoTarget> {
        let view = self.view.load();
        let moment = Moment::new(self);
        // Somebody else may take the last place of the chosen target: then choose again.
        for _ in 0..PICKS {
            let target = view.choose(cx, &moment).ok_or_else(|| view.why_none())?;
            if let Some(target) = Occupied::new(target) {
                return Ok(Picked::new(self, target, moment.now()));
            }
        }
        Err(NoTarget::Full)
    }

    /// Lets a request in, at once or after a while in the queue, but no longer than `within`. To be asked once for
    /// each request, before the first target is picked, and kept until the request is over.
    ///
    /// # Errors
    /// Why it isn't let in.
    pub async fn admit(&self, within: Option<Duration>) -> Result<Admitted, Overloaded> {
        self.admission.enter(within).await.inspect_err(|why| self.metrics.refused(why))
    }

    /// Whether a request that failed is to be tried again, and after how long.
    ///
    /// # Errors
    /// Why not.
    pub fn retry(&self, tried: &Tried) -> Result<RetryPermit, NoRetry> {
        self.retries.permit(tried, self.admission.in_flight())
    }

    /// How long to wait for an answer before the request is sent a second time; `None`: never.
    pub fn hedge_after(&self) -> Option<Duration> {
        self.retries.hedge_after()
    }

    /// Whether there is a target to pick.
    pub fn is_ready(&self) -> bool {
        self.view.load().serving().next().is_some()
    }

    /// Whether there is a usable target that was not tried yet. Unlike a pick, this uses up nobody's turn.
    pub fn has_untried(&self, tried: &[TargetId]) -> bool {
        self.view.load().reachable().any(|target| !tried.contains(&target.id()))
    }

    /// Nanoseconds on the pool's clock, from 1: 0 is never.
    pub(crate) fn now(&self) -> u64 {
        let since = self.clock.now().saturating_duration_since(self.epoch);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// All targets and who of them serves.
    pub(crate) fn view(&self) -> Guard<Arc<View>> {
        self.view.load()
    }

    /// Chooses anew who serves: after targets came or went, or one became usable or ceased to be. `registry` is held,
    /// so that two changes don't overtake one another on the way to the requests.
    pub(crate) fn rebuild(&self, registry: &Registry) {
        let before = self.view.load();
        let members = registry.members(&before);
        self.relent(&members);
        let view = View::new(members, &self.balance);
        self.metrics.listed(before.targets(), view.targets());
        view.tell_of_panic(&before, &self.name);
        self.view.store(Arc::new(view));
        self.tell_next();
    }

    /// Notes why `target` isn't used, or that this is no longer so; says so in one line of the log if it changed.
    pub(crate) fn mark(&self, target: &LiveTarget, reason: Reason, on: bool, why: &str) -> bool {
        let registry = self.registry.lock();
        let changed = self.note(target, reason, on, why);
        if changed {
            self.rebuild(&registry);
        }
        changed
    }

    /// The same for one of several, by somebody who holds the registry and rebuilds the view afterwards.
    pub(crate) fn note(&self, target: &LiveTarget, reason: Reason, on: bool, why: &str) -> bool {
        if !target.state.set(reason, on) {
            return false;
        }
        let founding = reason == Reason::Unchecked && target.state.founding.swap(false, Ordering::Relaxed);
        if target.state.is_usable() && self.config.slow_start.is_some() && !founding {
            target.state.ramp_from.store(self.now(), Ordering::Relaxed);
        }
        self.metrics.marked(target, reason, on);
        let (upstream, name, address, reason) = (&*self.name, &*target.spec.name, &*target.address, reason.as_str());
        match on {
            true => log::warn!(upstream, target = name, address, reason, why; "target taken out"),
            false => {
                let usable = target.state.is_usable();
                let change = if usable { "target restored" } else { "target still out, for other reasons" };
                log::info!(upstream, target = name, address, reason, why, usable; "{change}");
            }
        }
        true
    }

    /// Whether this pool does just what one of `config` and `peers` would. The files that the configuration names may
    /// have changed while their names didn't: the peers' key is made of what they hold.
    pub(crate) fn serves(&self, config: &UpstreamConfig, peers: &PeerTemplate) -> bool {
        self.config == *config && self.peers.group_key() == peers.group_key()
    }

    /// The live target at a place.
    pub(crate) fn live_target(
        &self,
        spec: &Arc<Spec>,
        socket: Option<SocketAddr>,
        id: TargetId,
        state: Arc<State>,
    ) -> Option<Arc<LiveTarget>> {
        let (address, mut peer) = match (&spec.address, socket) {
            (Address::Unix(path), _) => (spec.address.to_string(), self.peers.unix(path)?),
            (Address::Inet(socket), _) => (socket.to_string(), self.peers.inet(*socket, None)),
            (Address::Name(name), Some(socket)) => (socket.to_string(), self.peers.inet(socket, Some(&name.host))),
            (Address::Name(_), None) => return None,
        };
        let series = self.metrics.target(&spec.name);
        peer.options.tracer = Some(series.tracer());
        Some(Arc::new(LiveTarget {
            id,
            spec: spec.clone(),
            socket,
            sticky: self.sticky.as_ref().and_then(|key| key.cookie(&self.name, &address)),
            address: address.into(),
            upgrade_peer: self.peers.for_upgrade(&peer),
            min_tls: self.peers.tls().map(|tls| tls.min_version).filter(|version| *version > TlsVersion::Tls12),
            peer,
            state,
            series,
        }))
    }
}

/// How often a target is chosen that has become full meanwhile.
const PICKS: usize = 4;

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("name", &self.name).finish_non_exhaustive()
    }
}
