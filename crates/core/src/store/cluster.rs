//! A Redis Cluster: which server is asked, and what if it isn't the right one any more.
//!
//! Each server is lost and found by itself: what the others have can be used meanwhile. Who has what is learned again,
//! in the background, when a server says that it doesn't have it, and as long as a server is lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use deadpool_redis::redis::{
    Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, Pipeline, RedisError, ServerErrorKind, Value, cmd,
};
use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::StoreError;
use super::connect::{EndOnDrop, connect};
use super::finder::Finder;
use super::map::{Layout, Map, Place, layout, redirect, slot, slot_of};
use super::node::{Node, Settings, Ticket};
use super::search::Backoff;

/// How often one command is sent on.
const REDIRECTS: usize = 4;
/// How long a server may take to say who has what.
const PATIENCE: Duration = Duration::from_secs(1);
/// Who has what is not asked more often than this.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Cluster {
    settings: Arc<Settings>,
    /// Its login is that of all servers.
    first: ConnectionInfo,
    seeds: Arc<[ConnectionInfo]>,
    map: ArcSwapOption<Map>,
    status: watch::Sender<Status>,
    refreshing: AtomicBool,
}

#[derive(Default)]
struct Status {
    state: State,
    cause: Option<RedisError>,
    refresh: Option<EndOnDrop>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Idle,
    Starting,
    Known,
    /// No server said who has what.
    Down,
}

impl Cluster {
    /// `seeds` has `first` in it.
    pub(super) fn new(settings: Arc<Settings>, first: ConnectionInfo, seeds: Arc<[ConnectionInfo]>) -> Self {
        let (map, status) = (ArcSwapOption::empty(), watch::Sender::new(Status::default()));
        Self { settings, first, seeds, map, status, refreshing: AtomicBool::new(false) }
    }

    pub(super) fn is_up(&self) -> bool {
        match &*self.map.load() {
            Some(map) => map.nodes().all(|node| node.is_up()),
            None => self.status.borrow().state != State::Down,
        }
    }

    /// Whether the server of a key isn't known to be lost.
    pub(super) fn is_up_for(&self, key: &[u8]) -> bool {
        match &*self.map.load() {
            Some(map) => map.owner(slot(key)).is_some_and(|node| node.is_up()),
            None => self.status.borrow().state != State::Down,
        }
    }

    /// One command, sent on to where its key is.
    pub(super) async fn value(self: &Arc<Self>, command: &Cmd, ticket: Ticket) -> Result<Value, StoreError> {
        let mut node = self.node(slot_of(command), ticket).await?;
        let mut answer = self.ask(&node, command, ticket, false).await;
        for _ in 0..REDIRECTS {
            let Err(StoreError::Refused { cause, .. }) = &answer else { break };
            let Some((next, asking)) = self.redirected(&node, cause) else { break };
            node = next;
            answer = self.ask(&node, command, ticket, asking).await;
        }
        answer
    }

    /// Several commands, in one round trip to each server.
    pub(super) async fn values(
        self: &Arc<Self>,
        pipeline: &Pipeline,
        (offset, count): (usize, usize),
        ticket: Ticket,
    ) -> Result<Vec<Value>, StoreError> {
        if pipeline.is_transaction() {
            let node = self.node(pipeline.cmd_iter().find_map(slot_of), ticket).await?;
            let answer = node.values(pipeline, (offset, count), ticket).await;
            return answer.inspect_err(|_| self.refresh());
        }
        // Their ticket is the same, and with it the connection; so they are sent in their order.
        let answers = join_all(pipeline.cmd_iter().map(|command| self.value(command, ticket))).await;
        answers.into_iter().map(as_value).collect()
    }

    /// The server that has `slot`; any if there is none.
    pub(super) async fn node(self: &Arc<Self>, slot: Option<u16>, ticket: Ticket) -> Result<Arc<Node>, StoreError> {
        let map = match self.map.load_full() {
            Some(map) => map,
            None => self.start(ticket.deadline).await?,
        };
        let node = match slot {
            Some(slot) => map.owner(slot),
            None => map.any(ticket.lane),
        };
        node.ok_or_else(|| {
            self.refresh();
            self.settings.down()
        })
    }

    async fn ask(
        self: &Arc<Self>,
        node: &Arc<Node>,
        command: &Cmd,
        ticket: Ticket,
        asking: bool,
    ) -> Result<Value, StoreError> {
        let answer = match asking {
            false => node.value(command, ticket).await,
            true => {
                let mut pipeline = Pipeline::with_capacity(2);
                pipeline.cmd("ASKING").add_command(command.clone());
                let answers = node.values(&pipeline, (0, 2), ticket).await?;
                let answer = answers.into_iter().nth(1).unwrap_or(Value::Nil);
                answer.extract_error().map_err(|cause| self.settings.refused(cause))
            }
        };
        if answer.is_err() && !node.is_up() {
            self.refresh();
        }
        answer
    }

    /// Who to ask instead, and whether to say that it is known that the key is only just moving there.
    fn redirected(self: &Arc<Self>, asked: &Arc<Node>, cause: &RedisError) -> Option<(Arc<Node>, bool)> {
        let ErrorKind::Server(kind) = cause.kind() else { return None };
        let asking = kind == ServerErrorKind::Ask;
        if matches!(kind, ServerErrorKind::Moved | ServerErrorKind::ClusterDown) {
            self.refresh();
        }
        let Finder::Fixed(server) = &*asked.finder else { return None };
        Some((self.node_at(&redirect(cause, server)?), asking))
    }

    fn node_at(&self, place: &Place) -> Arc<Node> {
        let known = self.map.load().as_ref().and_then(|map| map.at(place));
        known.unwrap_or_else(|| {
            let node = self.new_node(place);
            self.map.rcu(|map| map.as_ref().map(|map| Arc::new(map.with(place, node.clone()))));
            // Somebody may have been faster.
            self.map.load().as_ref().and_then(|map| map.at(place)).unwrap_or(node)
        })
    }

    fn new_node(&self, (host, port): &Place) -> Arc<Node> {
        let server = self.first.clone().set_addr(ConnectionAddr::Tcp(host.clone(), *port));
        Arc::new(Node::new(self.settings.clone(), Finder::Fixed(server)))
    }

    /// Waits until it is known for the first time who has what.
    async fn start(self: &Arc<Self>, deadline: Instant) -> Result<Arc<Map>, StoreError> {
        if self.status.borrow().state == State::Down {
            return Err(self.settings.down());
        }
        let mut status = self.status.subscribe();
        self.refresh();
        let waited = status.borrow().state == State::Starting;
        let settled = timeout_at(deadline, status.wait_for(|status| status.state != State::Starting)).await;
        let cause = match settled {
            Err(_) => {
                self.not_learned(None);
                return Err(self.settings.late());
            }
            Ok(settled) => settled.ok().and_then(|status| status.cause.clone()),
        };
        match (self.map.load_full(), cause) {
            (Some(map), _) => Ok(map),
            (None, Some(cause)) if waited => Err(self.settings.unreachable(cause)),
            _ => Err(self.settings.down()),
        }
    }

    /// Learns again who has what, in the background.
    pub(super) fn refresh(self: &Arc<Self>) {
        if self.refreshing.load(Ordering::Relaxed) || self.refreshing.swap(true, Ordering::Relaxed) {
            return;
        }
        let task = tokio::spawn(refresh(Arc::downgrade(self), self.seeds.clone())).abort_handle();
        self.status.send_modify(|status| {
            if status.state == State::Idle {
                status.state = State::Starting;
            }
            status.refresh = Some(EndOnDrop(task));
        });
    }

    fn learned(&self, layout: &Layout) {
        let map = Map::new(layout, self.map.load().as_deref(), |place| self.new_node(place));
        self.map.store(Some(Arc::new(map)));
        let mut was = State::Known;
        self.status.send_modify(|status| {
            was = std::mem::replace(&mut status.state, State::Known);
            status.cause = None;
        });
        if was == State::Down {
            self.settings.series.found();
            log::info!(store = &*self.settings.name; "store found");
        }
    }

    fn not_learned(&self, cause: Option<RedisError>) {
        let mut starting = false;
        self.status.send_modify(|status| {
            starting = status.state == State::Starting;
            if starting {
                status.state = State::Down;
            }
            status.cause = cause.clone();
        });
        if starting {
            self.settings.series.lost();
            let cause = cause.map_or_else(|| "it does not answer in time".to_owned(), |cause| cause.to_string());
            log::warn!(store = &*self.settings.name, cause; "store not found; looking for it");
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.status.borrow().state == State::Down {
            self.settings.series.found();
        }
    }
}

/// Until it is known who has what, and all of them are up.
async fn refresh(cluster: Weak<Cluster>, seeds: Arc<[ConnectionInfo]>) {
    let mut backoff = Backoff::default();
    loop {
        let Some(known) = cluster.upgrade().map(|cluster| cluster.map.load_full()) else { return };
        let learned = learn(known.as_deref(), &seeds).await;
        drop(known);
        let Some(now) = cluster.upgrade() else { return };
        match learned {
            Ok(layout) => now.learned(&layout),
            Err(cause) => now.not_learned(Some(cause)),
        }
        let done = now.map.load().as_ref().is_some_and(|map| map.nodes().all(|node| node.is_up()));
        drop(now);
        backoff = backoff.next();
        sleep(if done { PAUSE } else { backoff.wait() }).await;
        if done {
            // Those who see it before this is said ask again the next time.
            return cluster.upgrade().map_or((), |cluster| cluster.refreshing.store(false, Ordering::Relaxed));
        }
    }
}

/// Asks the servers that are known, and then those that were named at first.
async fn learn(known: Option<&Map>, seeds: &[ConnectionInfo]) -> Result<Layout, RedisError> {
    let known = known.into_iter().flat_map(Map::nodes).filter(|node| node.is_up());
    let known = known.filter_map(|node| match &*node.finder {
        Finder::Fixed(server) => Some(server),
        Finder::Sentinel { .. } => None,
    });
    let mut failure = RedisError::from((ErrorKind::ClusterConnectionNotFound, "no server of the cluster is up"));
    for server in known.chain(seeds) {
        match timeout(PATIENCE, learn_from(server)).await {
            Ok(Ok(layout)) => return Ok(layout),
            Ok(Err(error)) => failure = error,
            Err(_) => failure = std::io::Error::from(std::io::ErrorKind::TimedOut).into(),
        }
    }
    Err(failure)
}

async fn learn_from(server: &ConnectionInfo) -> Result<Layout, RedisError> {
    let mut lane = connect(server).await?;
    layout(cmd("CLUSTER").arg("SLOTS").query_async(&mut lane.connection).await?, server)
}

/// What a server refused is an answer of its own; the others have theirs.
fn as_value(answer: Result<Value, StoreError>) -> Result<Value, StoreError> {
    let Err(StoreError::Refused { store, cause }) = answer else { return answer };
    let said = cause.clone().into_server_errors().and_then(|said| said.first().map(|(_, said)| said.clone()));
    said.map(Value::ServerError).ok_or(StoreError::Refused { store, cause })
}
