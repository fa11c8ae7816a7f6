//! One upstream: its targets, and the choice among those that are live.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use arc_swap::ArcSwap;
use http::HeaderValue;
use parking_lot::Mutex;
use pingora_core::upstreams::peer::HttpPeer;
use tidegate_core::Clock;
use tokio::sync::watch;

use crate::address::{Address, HostPort};
use crate::balance::Balance;
use crate::config::{HostHeader, TlsVersion, UpstreamConfig};
use crate::dns::{Answer, Dns, DnsError};
use crate::live::{Live, LiveTarget};
use crate::names::{NameState, News};
use crate::peer::PeerTemplate;
use crate::pick::{Pick, Picked, TargetId};
use crate::ttl::Schedule;

/// A named upstream: a set of targets that do the same work.
pub struct Pool {
    pub(crate) name: Arc<str>,
    pub(crate) config: UpstreamConfig,
    pub(crate) targets: Box<[Target]>,
    pub(crate) clock: Clock,
    pub(crate) dns: Dns,
    pub(crate) schedule: Schedule,
    /// One for each of `targets` that is a name; never locked by a request.
    pub(crate) names: Mutex<Box<[Option<NameState>]>>,
    /// Whether some task keeps the names fresh.
    pub(crate) running: AtomicBool,
    /// Closed when the pool is dropped, which ends that task.
    pub(crate) gone: watch::Sender<()>,
    peers: PeerTemplate,
    balance: Box<dyn Balance>,
    live: ArcSwap<Live>,
    next_id: AtomicU32,
}

/// A target as configured.
pub(crate) struct Target {
    pub(crate) name: Arc<str>,
    pub(crate) address: Address,
    pub(crate) weight: u32,
    /// What it sees in `Host`, unless that is the client's.
    pub(crate) host: Option<HeaderValue>,
}

impl Pool {
    pub(crate) fn new(
        name: &str,
        config: UpstreamConfig,
        targets: Vec<Target>,
        peers: PeerTemplate,
        clock: Clock,
    ) -> Arc<Self> {
        let now = clock.now();
        let is_name = |target: &Target| matches!(target.address, Address::Name(_));
        let pool = Self {
            name: name.into(),
            dns: Dns::new(&config.resolve),
            schedule: Schedule { min: config.resolve.min.into(), max: config.resolve.max.into() },
            names: Mutex::new(targets.iter().map(|target| is_name(target).then(|| NameState::new(now))).collect()),
            running: AtomicBool::new(false),
            gone: watch::channel(()).0,
            balance: config.lb.balance(),
            live: ArcSwap::from_pointee(Live::new(Vec::new())),
            next_id: AtomicU32::new(0),
            targets: targets.into(),
            config,
            clock,
            peers,
        };
        let fixed = pool.targets.iter().enumerate().filter_map(|(index, target)| pool.fixed(index, target)).collect();
        pool.live.store(Arc::new(Live::new(fixed)));
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
    /// `None` means that no target has an address: none of the pool's names has ever been resolved.
    pub fn pick(&self, cx: &Pick<'_>) -> Option<Picked> {
        let live = self.live.load();
        let index = self.balance.pick(&live, cx)?;
        live.targets().get(index).cloned().map(Picked)
    }

    /// Whether there is a target to pick.
    pub fn is_ready(&self) -> bool {
        !self.live.load().targets().is_empty()
    }

    /// Whether there is a target that was not tried yet. Unlike a pick, this uses up nobody's turn.
    pub fn has_untried(&self, tried: &[TargetId]) -> bool {
        self.live.load().targets().iter().any(|target| !tried.contains(&target.id()))
    }

    pub(crate) fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    /// Whether this pool does just what one of `config` and `peers` would. The files that the configuration names may
    /// have changed while their names didn't: the peers' key is made of what they hold.
    pub(crate) fn serves(&self, config: &UpstreamConfig, peers: &PeerTemplate) -> bool {
        self.config == *config && self.peers.group_key() == peers.group_key()
    }

    pub(crate) fn host_of(&self, index: usize) -> Option<&HostPort> {
        match &self.targets.get(index)?.address {
            Address::Name(host) => Some(host),
            Address::Inet(_) | Address::Unix(_) => None,
        }
    }

    /// Takes what the name servers said about the target at `index`.
    pub(crate) fn settle(&self, index: usize, result: Result<Answer, DnsError>) {
        let Some(target) = self.targets.get(index) else { return };
        let mut names = self.names.lock();
        let Some(Some(state)) = names.get_mut(index) else { return };
        let now = self.clock.now();
        let (upstream, target_name) = (&*self.name, &*target.name);
        match result {
            Ok(answer) => match state.learn(answer, self.schedule, now, self.clock.wall()) {
                News::None => {}
                News::Recovered => log::info!(upstream, target = target_name; "target resolved again"),
                News::Moved => {
                    // Still under the lock: two answers must not overtake one another on the way to the requests.
                    self.make_live(index, target, &state.addresses);
                    log::info!(upstream, target = target_name, addresses:? = state.addresses; "target resolved");
                }
            },
            Err(error) => {
                let wait = state.fail(error.clone(), self.schedule, now);
                let kept = state.addresses.len();
                log::warn!(upstream, target = target_name, error:%, kept, retry_in:? = wait; "target not resolved");
            }
        }
    }

    /// Takes over what `previous` knows of the names that both have, so that a reload while the name servers are
    /// down doesn't lose the last good answers.
    pub(crate) fn inherit(&self, previous: &Self) {
        if self.config.resolve != previous.config.resolve {
            return;
        }
        let known = previous.resolved();
        let mut names = self.names.lock();
        for (index, target) in self.targets.iter().enumerate() {
            let Some(state) = known.get(&target.address) else { continue };
            if let Some(name) = names.get_mut(index) {
                self.make_live(index, target, &state.addresses);
                *name = Some(state.clone());
            }
        }
    }

    fn resolved(&self) -> HashMap<Address, NameState> {
        let names = self.names.lock();
        let states = self.targets.iter().zip(names.iter());
        states
            .filter_map(|(target, state)| Some((target.address.clone(), state.clone()?)))
            .filter(|(_, state)| state.resolved_at.is_some())
            .collect()
    }

    fn make_live(&self, index: usize, target: &Target, addresses: &[IpAddr]) {
        let Address::Name(name) = &target.address else { return };
        let live = self.live.load_full();
        let place = |ip: &IpAddr| {
            let socket = SocketAddr::new(*ip, name.port);
            let known = live.of(index).find(|known| known.socket == Some(socket));
            known.cloned().unwrap_or_else(|| self.inet(index, target, socket, Some(&name.host)))
        };
        self.live.store(Arc::new(live.replace(index, addresses.iter().map(place).collect())));
    }

    /// The live target of an address that needs no resolution.
    fn fixed(&self, index: usize, target: &Target) -> Option<Arc<LiveTarget>> {
        match &target.address {
            Address::Inet(socket) => Some(self.inet(index, target, *socket, None)),
            Address::Unix(path) => {
                let peer = self.peers.unix(path)?;
                Some(self.live_target(index, target, None, target.address.to_string(), peer))
            }
            Address::Name(_) => None,
        }
    }

    fn inet(&self, index: usize, target: &Target, socket: SocketAddr, host: Option<&str>) -> Arc<LiveTarget> {
        let peer = self.peers.inet(socket, host);
        self.live_target(index, target, Some(socket), socket.to_string(), peer)
    }

    fn live_target(
        &self,
        index: usize,
        target: &Target,
        socket: Option<SocketAddr>,
        address: String,
        peer: HttpPeer,
    ) -> Arc<LiveTarget> {
        Arc::new(LiveTarget {
            id: TargetId(self.next_id.fetch_add(1, Ordering::Relaxed)),
            name: target.name.clone(),
            index,
            weight: target.weight,
            socket,
            address: address.into(),
            host: target.host.clone(),
            upgrade_peer: self.peers.for_upgrade(&peer),
            min_tls: self.peers.tls().map(|tls| tls.min_version).filter(|version| *version > TlsVersion::Tls12),
            peer,
        })
    }
}

impl Target {
    pub(crate) fn new(address: Address, name: &str, weight: u32, config: &UpstreamConfig) -> Self {
        let host = match &config.host_header {
            HostHeader::Preserve => None,
            HostHeader::Upstream => HeaderValue::try_from(authority(&address, config.tls.is_some())).ok(),
            HostHeader::Literal(name) => HeaderValue::try_from(name).ok(),
        };
        Self { name: name.into(), address, weight, host }
    }
}

/// What a client of the target itself would send in `Host`: the port only where it isn't the scheme's own.
fn authority(address: &Address, tls: bool) -> String {
    let usual = if tls { 443 } else { 80 };
    match address.port() {
        Some(port) if port != usual => format!("{}:{port}", address.host()),
        _ => address.host(),
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let targets = self.targets.iter().map(|target| &target.name).collect::<Vec<_>>();
        f.debug_struct("Pool").field("name", &self.name).field("targets", &targets).finish_non_exhaustive()
    }
}
