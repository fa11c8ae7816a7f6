//! One server: what its connections are, and whether it is up.
//!
//! ```text
//! Idle --first call--> Starting --found--> Up --broken, or 3 timeouts in a row--> Down --found--> Up
//!                          \--not found, or a call timed out--> Down
//! ```
//!
//! Calls wait while it is starting, and only then: nobody waits for a server that is down.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{Cmd, ConnectionInfo, ErrorKind, Pipeline, RedisError, Value};
use deadpool_redis::{Manager, Pool, PoolConfig, Runtime};
use futures_util::future::select_all;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, timeout_at};

use super::StoreError;
use super::connect::{EndOnDrop, Lane, settings};
use super::finder::Finder;
use super::search::{Backoff, search};
use super::series::Series;
use crate::config;

/// So many timeouts in a row, and the server counts as lost.
const TIMEOUTS: u32 = 3;
/// A server that is lost sooner than this after it was found is looked for as if it had not been found.
const STABLE: Duration = Duration::from_secs(1);

/// Calls in flight are told more of why a connection broke than those who only see that it did.
const GRACE: Duration = Duration::from_millis(5);

/// What is the same for all servers of a store.
pub(super) struct Settings {
    pub name: Arc<str>,
    pub timeout: config::Duration,
    pub connections: usize,
    pub series: Arc<Series>,
}

impl Settings {
    pub(super) fn late(&self) -> StoreError {
        StoreError::Timeout { store: self.name.clone(), timeout: self.timeout }
    }

    pub(super) fn down(&self) -> StoreError {
        StoreError::Down { store: self.name.clone() }
    }

    pub(super) fn unreachable(&self, cause: RedisError) -> StoreError {
        StoreError::Unreachable { store: self.name.clone(), cause }
    }

    pub(super) fn refused(&self, cause: RedisError) -> StoreError {
        StoreError::Refused { store: self.name.clone(), cause }
    }
}

/// One call's share: until when, and which of the connections, so that what belongs together stays in order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    pub deadline: Instant,
    pub lane: usize,
}

/// One server.
pub(super) struct Node {
    pub settings: Arc<Settings>,
    pub finder: Arc<Finder>,
    /// What calls use: there while it is up.
    up: ArcSwapOption<Up>,
    status: watch::Sender<Status>,
}

struct Status {
    state: State,
    /// Why it wasn't found when it was looked for last.
    cause: Option<RedisError>,
    /// While it is up, sees when it goes; while it is not, looks for it.
    work: Option<EndOnDrop>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Starting,
    Up,
    Down,
}

/// The connections to a server that was found.
pub(super) struct Up {
    server: ConnectionInfo,
    lanes: Box<[Lane]>,
    timeouts: AtomicU32,
    since: Instant,
    backoff: Backoff,
    pool: std::sync::OnceLock<Pool>,
}

impl Up {
    pub(super) fn new(server: ConnectionInfo, lanes: Box<[Lane]>, backoff: Backoff) -> Self {
        Self { server, lanes, timeouts: 0.into(), since: Instant::now(), backoff, pool: Default::default() }
    }

    fn connection(&self, lane: usize) -> Option<MultiplexedConnection> {
        self.lanes.get(lane % self.lanes.len().max(1)).map(|lane| lane.connection.clone())
    }

    /// What is in flight fails now, rather than when its time is over.
    fn end(&self) {
        self.lanes.iter().for_each(|lane| lane.driver.0.abort());
    }
}

impl Node {
    pub(super) fn new(settings: Arc<Settings>, finder: Finder) -> Self {
        let status = Status { state: State::Idle, cause: None, work: None };
        Self { settings, finder: Arc::new(finder), up: ArcSwapOption::empty(), status: watch::Sender::new(status) }
    }

    /// Whether it is not known to be lost.
    pub(super) fn is_up(&self) -> bool {
        self.up.load().is_some() || self.status.borrow().state != State::Down
    }

    /// One command, and its answer, which is not an error.
    pub(super) async fn value(self: &Arc<Self>, command: &Cmd, ticket: Ticket) -> Result<Value, StoreError> {
        let (up, mut connection) = self.connection(ticket).await?;
        let work = connection.send_packed_command(command);
        let answer = timeout_at(ticket.deadline, work).await;
        // What a server says is an answer as well: it is there.
        self.judge(&up, answer)?.extract_error().map_err(|error| self.refusal(&up, error))
    }

    /// Several commands. The answers may be errors.
    pub(super) async fn values(
        self: &Arc<Self>,
        pipeline: &Pipeline,
        (offset, count): (usize, usize),
        ticket: Ticket,
    ) -> Result<Vec<Value>, StoreError> {
        let (up, mut connection) = self.connection(ticket).await?;
        let work = connection.send_packed_commands(pipeline, offset, count);
        let answer = timeout_at(ticket.deadline, work).await;
        self.judge(&up, answer)
    }

    /// A pool of connections that are used by one at a time.
    pub(super) async fn pool(self: &Arc<Self>, ticket: Ticket) -> Result<(Arc<Up>, Pool), StoreError> {
        let (up, _) = self.connection(ticket).await?;
        if let Some(pool) = up.pool.get() {
            return Ok((up.clone(), pool.clone()));
        }
        let made =
            Manager::new_with_config(up.server.clone(), settings()).map_err(|cause| self.settings.refused(cause))?;
        let pool = Pool::builder(made).config(PoolConfig::new(self.settings.connections)).runtime(Runtime::Tokio1);
        let pool = pool.build().map_err(|error| self.settings.refused(io::Error::other(error).into()))?;
        let pool = up.pool.get_or_init(|| pool).clone();
        Ok((up, pool))
    }

    async fn connection(self: &Arc<Self>, ticket: Ticket) -> Result<(Arc<Up>, MultiplexedConnection), StoreError> {
        let up = match self.up.load_full() {
            Some(up) => up,
            None => self.start(ticket.deadline).await?,
        };
        let connection = up.connection(ticket.lane).ok_or_else(|| self.settings.down())?;
        Ok((up, connection))
    }

    /// Waits for the first connection; for none if the server is down.
    async fn start(self: &Arc<Self>, deadline: Instant) -> Result<Arc<Up>, StoreError> {
        // Before anything that costs: this is what every request meets while the server is lost.
        if self.status.borrow().state == State::Down {
            return Err(self.settings.down());
        }
        let mut status = self.status.subscribe();
        self.status.send_if_modified(|status| {
            let idle = status.state == State::Idle;
            if idle {
                status.state = State::Starting;
                status.work = Some(search(self, Duration::ZERO, Backoff::default()));
            }
            idle
        });
        let waited = status.borrow().state == State::Starting;
        let settled = timeout_at(deadline, status.wait_for(|status| status.state != State::Starting)).await;
        let cause = match settled {
            Err(_) => return Err(self.give_up_starting()),
            Ok(settled) => settled.ok().and_then(|status| status.cause.clone()),
        };
        match (self.up.load_full(), cause) {
            (Some(up), _) => Ok(up),
            (None, Some(cause)) if waited => Err(self.settings.unreachable(cause)),
            _ => Err(self.settings.down()),
        }
    }

    /// The search goes on, but nobody else waits for it.
    fn give_up_starting(&self) -> StoreError {
        self.status.send_if_modified(|status| {
            let starting = status.state == State::Starting;
            if starting {
                status.state = State::Down;
                self.settings.series.lost();
            }
            starting
        });
        self.settings.late()
    }

    /// What an attempt says about the server.
    pub(super) fn judge<T>(
        self: &Arc<Self>,
        up: &Arc<Up>,
        answer: Result<Result<T, RedisError>, tokio::time::error::Elapsed>,
    ) -> Result<T, StoreError> {
        match answer {
            Ok(Ok(value)) => {
                self.answered(up);
                Ok(value)
            }
            Ok(Err(cause)) if is_break(&cause) => {
                self.lose(up, Some(&cause));
                Err(self.settings.unreachable(cause))
            }
            Ok(Err(cause)) => Err(self.refusal(up, cause)),
            Err(_) => {
                if up.timeouts.fetch_add(1, Ordering::Relaxed) + 1 >= TIMEOUTS {
                    self.lose(up, None);
                }
                Err(self.settings.late())
            }
        }
    }

    fn refusal(self: &Arc<Self>, up: &Arc<Up>, cause: RedisError) -> StoreError {
        self.answered(up);
        if self.finder.is_elsewhere(&cause) {
            self.lose(up, Some(&cause));
        }
        self.settings.refused(cause)
    }

    fn answered(&self, up: &Up) {
        // Read first: a write for every answer would have all threads fight for the line.
        if up.timeouts.load(Ordering::Relaxed) != 0 {
            up.timeouts.store(0, Ordering::Relaxed);
        }
    }

    /// The server that `up` connects to is lost, unless that is known already.
    fn lose(self: &Arc<Self>, up: &Arc<Up>, cause: Option<&RedisError>) {
        let lost = self.status.send_if_modified(|status| {
            let current = self.up.load().as_ref().is_some_and(|current| Arc::ptr_eq(current, up));
            if current {
                self.up.store(None);
                let flaps = up.since.elapsed() < STABLE;
                let backoff = if flaps { up.backoff } else { Backoff::default() };
                let wait = if flaps { backoff.wait() } else { Duration::ZERO };
                *status = Status { state: State::Down, cause: cause.cloned(), work: Some(search(self, wait, backoff)) };
            }
            current
        });
        if lost {
            up.end();
            self.settings.series.lost();
            let cause = cause.map_or_else(|| "it does not answer in time".to_owned(), |cause| cause.to_string());
            log::warn!(store = &*self.settings.name, cause; "store lost; looking for it");
        }
    }

    /// The search has found the server.
    pub(super) fn found(self: &Arc<Self>, mut up: Up) {
        let closed = up.lanes.iter_mut().map(|lane| std::mem::replace(&mut lane.closed, oneshot::channel().1));
        let closed: Vec<_> = closed.collect();
        let up = Arc::new(up);
        let mut was = State::Starting;
        self.status.send_if_modified(|status| {
            was = status.state;
            self.up.store(Some(up.clone()));
            *status = Status { state: State::Up, cause: None, work: Some(see_off(self, &up, closed)) };
            true
        });
        if was == State::Down {
            self.settings.series.found();
            log::info!(store = &*self.settings.name; "store found");
        }
    }

    /// The search has not found the server, and goes on.
    pub(super) fn not_found(&self, cause: RedisError) {
        let mut was = State::Down;
        self.status.send_if_modified(|status| {
            was = std::mem::replace(&mut status.state, State::Down);
            status.cause = Some(cause.clone());
            true
        });
        if was == State::Starting {
            self.settings.series.lost();
            log::warn!(store = &*self.settings.name, cause = cause.to_string(); "store not found; looking for it");
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.status.borrow().state == State::Down {
            self.settings.series.found();
        }
    }
}

/// A server that goes when nobody asks it anything is found again before somebody does.
fn see_off(node: &Arc<Node>, up: &Arc<Up>, closed: Vec<oneshot::Receiver<Infallible>>) -> EndOnDrop {
    let (node, up) = (Arc::downgrade(node), Arc::downgrade(up));
    let work = async move {
        let _ = select_all(closed).await;
        sleep(GRACE).await;
        if let (Some(node), Some(up)) = (node.upgrade(), up.upgrade()) {
            node.lose(&up, Some(&io::Error::from(io::ErrorKind::ConnectionReset).into()));
        }
    };
    EndOnDrop(tokio::spawn(work).abort_handle())
}

/// Whether the connection is of no use any more. What a server says is no reason, as long as it can be understood.
fn is_break(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Io | ErrorKind::Parse)
}

/// Spreads calls over connections.
#[derive(Default)]
pub(super) struct Turn(AtomicUsize);

impl Turn {
    pub(super) fn ticket(&self, settings: &Settings) -> Ticket {
        let lane = self.0.fetch_add(1, Ordering::Relaxed);
        Ticket { deadline: Instant::now() + settings.timeout.get(), lane }
    }
}
