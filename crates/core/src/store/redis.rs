//! The handle that plugins hold.

use std::sync::Arc;

use deadpool_redis::redis::aio::ConnectionLike;
use deadpool_redis::redis::{
    Cmd, FromRedisValue, Pipeline, RedisError, RedisFuture, ToRedisArgs, Value, from_redis_value,
};
use deadpool_redis::{Connection, PoolError};
use tokio::time::timeout_at;

use super::cluster::Cluster;
use super::config::Topology;
use super::map::slot;
use super::node::{Node, Settings, Ticket, Turn};
use super::series::Series;
use super::{Script, StoreConfig, StoreError, script};
use crate::Metrics;
use crate::config::ConfigError;

/// A store under `stores:`. Cheap to clone. Every call has a deadline, and is one round trip.
///
/// When the last handle is gone, so are its connections and its work in the background.
#[derive(Clone)]
pub struct Redis(Arc<Store>);

struct Store {
    config: StoreConfig,
    settings: Arc<Settings>,
    backend: Backend,
    turn: Turn,
}

enum Backend {
    Server(Arc<Node>),
    Cluster(Arc<Cluster>),
}

impl Redis {
    /// `old` had the name before, with another configuration.
    pub(super) fn open(
        name: &str,
        config: &StoreConfig,
        metrics: &Metrics,
        old: Option<&Redis>,
    ) -> Result<Self, ConfigError> {
        let topology = config.topology()?;
        let series = match old {
            Some(old) => old.0.settings.series.clone(),
            None => Arc::new(Series::new(name, metrics).map_err(|error| ConfigError::at("", error.to_string()))?),
        };
        let connections = config.connections as usize;
        let settings = Arc::new(Settings { name: name.into(), timeout: config.timeout, connections, series });
        let backend = match topology {
            Topology::Server(finder) => Backend::Server(Arc::new(Node::new(settings.clone(), finder))),
            Topology::Cluster(first, seeds) => {
                Backend::Cluster(Arc::new(Cluster::new(settings.clone(), first, seeds.into())))
            }
        };
        Ok(Self(Arc::new(Store { config: config.clone(), settings, backend, turn: Turn::default() })))
    }

    pub(super) fn is_configured_as(&self, config: &StoreConfig) -> bool {
        self.0.config == *config
    }

    /// Runs one command.
    pub async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let answer = self.0.backend.value(command, self.ticket()).await;
        self.count(answer.and_then(|answer| from_redis_value(answer).map_err(|error| self.refused(error.into()))))
    }

    /// Runs several commands in one round trip; in a cluster in one to each server that is concerned. Commands for the
    /// same key are run in their order.
    pub async fn pipeline<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, StoreError> {
        let mut wire = Wire { backend: &self.0.backend, ticket: self.ticket(), failure: None };
        let answer = pipeline.query_async(&mut wire).await;
        self.count(answer.map_err(|cause| wire.failure.take().unwrap_or_else(|| self.refused(cause))))
    }

    /// Runs a script in one round trip; only where the server doesn't know it is its text sent. In a cluster the keys
    /// must be in one slot: give them a common `{tag}`.
    pub async fn script<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[impl ToRedisArgs],
        args: &[impl ToRedisArgs],
    ) -> Result<T, StoreError> {
        let ticket = self.ticket();
        let answer = match self.0.backend.value(&script.by_hash(keys, args), ticket).await {
            Err(StoreError::Refused { cause, .. }) if script::is_unknown(&cause) => {
                self.0.backend.value(&script.by_text(keys, args), ticket).await
            }
            answer => answer,
        };
        self.count(answer.and_then(|answer| from_redis_value(answer).map_err(|error| self.refused(error.into()))))
    }

    /// Runs `work` on a connection that nobody else uses meanwhile, as `WATCH` needs it; all of it within the store's
    /// `timeout`. In a cluster it is one to the server that has `key`.
    pub async fn exclusive<T>(
        &self,
        key: &[u8],
        work: impl AsyncFnOnce(&mut Connection) -> Result<T, RedisError>,
    ) -> Result<T, StoreError> {
        let answer = self.alone(key, work).await;
        self.count(answer)
    }

    async fn alone<T>(
        &self,
        key: &[u8],
        work: impl AsyncFnOnce(&mut Connection) -> Result<T, RedisError>,
    ) -> Result<T, StoreError> {
        let ticket = self.ticket();
        let node = match &self.0.backend {
            Backend::Server(node) => node.clone(),
            Backend::Cluster(cluster) => cluster.node(Some(slot(key)), ticket).await?,
        };
        let (up, pool) = node.pool(ticket).await?;
        let mut connection = match timeout_at(ticket.deadline, pool.get()).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(PoolError::Backend(cause))) => return node.judge(&up, Ok(Err(cause))),
            _ => return Err(self.0.settings.late()),
        };
        let answer = timeout_at(ticket.deadline, work(&mut connection)).await;
        if !matches!(answer, Ok(Ok(_))) {
            // It may be in the middle of something.
            drop(Connection::take(connection));
        }
        let answer = node.judge(&up, answer);
        if let (Backend::Cluster(cluster), Err(_)) = (&self.0.backend, &answer) {
            // The key may have moved; the next call is to find it.
            cluster.refresh();
        }
        answer
    }

    /// Whether no server of it is known to be lost. While one is, calls of it return [`StoreError::Down`] at once.
    pub fn is_up(&self) -> bool {
        match &self.0.backend {
            Backend::Server(node) => node.is_up(),
            Backend::Cluster(cluster) => cluster.is_up(),
        }
    }

    /// The same for the server that `key` belongs to: of a cluster, the others don't matter.
    pub fn is_up_for(&self, key: &[u8]) -> bool {
        match &self.0.backend {
            Backend::Server(node) => node.is_up(),
            Backend::Cluster(cluster) => cluster.is_up_for(key),
        }
    }

    /// Its name under `stores:`.
    pub fn name(&self) -> &str {
        &self.0.settings.name
    }

    /// How long a call takes at most.
    pub fn timeout(&self) -> std::time::Duration {
        self.0.settings.timeout.get()
    }

    /// Where its data is, whatever it is called: two configurations that say the same place are about the same data,
    /// others may be about other data. Free of user names and passwords.
    ///
    /// For [`retain`](crate::BuildCx::retain): what is remembered of a store is of no use for another one that has got its
    /// name.
    pub fn place(&self) -> String {
        self.0.config.place()
    }

    fn ticket(&self) -> Ticket {
        self.0.turn.ticket(&self.0.settings)
    }

    fn refused(&self, cause: RedisError) -> StoreError {
        self.0.settings.refused(cause)
    }

    fn count<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        let series = &self.0.settings.series;
        series.asked();
        answer.inspect_err(|error| series.failed(error))
    }
}

/// The address may hold a password: only the name is printed.
impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redis({})", self.name())
    }
}

impl Backend {
    async fn value(&self, command: &Cmd, ticket: Ticket) -> Result<Value, StoreError> {
        match self {
            Backend::Server(node) => node.value(command, ticket).await,
            Backend::Cluster(cluster) => cluster.value(command, ticket).await,
        }
    }

    async fn values(
        &self,
        pipeline: &Pipeline,
        part: (usize, usize),
        ticket: Ticket,
    ) -> Result<Vec<Value>, StoreError> {
        match self {
            Backend::Server(node) => node.values(pipeline, part, ticket).await,
            Backend::Cluster(cluster) => cluster.values(pipeline, part, ticket).await,
        }
    }
}

/// What a [`Pipeline`] takes for a connection: it knows best which of the answers it wants.
struct Wire<'a> {
    backend: &'a Backend,
    ticket: Ticket,
    failure: Option<StoreError>,
}

impl Wire<'_> {
    fn fail(&mut self, failure: StoreError) -> RedisError {
        let cause = match &failure {
            StoreError::Refused { cause, .. } => cause.clone(),
            _ => std::io::Error::from(std::io::ErrorKind::NotConnected).into(),
        };
        self.failure = Some(failure);
        cause
    }
}

impl ConnectionLike for Wire<'_> {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async { self.backend.value(command, self.ticket).await.map_err(|failure| self.fail(failure)) })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let answers = self.backend.values(pipeline, (offset, count), self.ticket).await;
            answers.map_err(|failure| self.fail(failure))
        })
    }

    fn get_db(&self) -> i64 {
        0
    }
}
