//! Where the server is now.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_redis::redis::{
    self, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, RedisError,
};
use tokio::time::timeout;

use super::connect::{Lane, connect};

/// How long one sentinel may take before the next is asked.
const SENTINEL_PATIENCE: Duration = Duration::from_millis(500);

/// How a server is found.
pub(super) enum Finder {
    /// It is where it always was.
    Fixed(ConnectionInfo),
    /// Sentinels know which server is the master.
    Sentinel {
        sentinels: Vec<ConnectionInfo>,
        /// Which is asked first: another one each time, or one that was cut off from the others would be believed for
        /// ever.
        next: AtomicUsize,
        master: Box<str>,
        login: RedisConnectionInfo,
    },
}

impl Finder {
    /// A connection to the server that answers on it.
    pub(super) async fn find(&self) -> Result<(ConnectionInfo, Lane), RedisError> {
        match self {
            Finder::Fixed(server) => {
                let mut lane = connect(server).await?;
                is_redis(&mut lane).await?;
                Ok((server.clone(), lane))
            }
            Finder::Sentinel { sentinels, next, master, login } => {
                let first = next.fetch_add(1, Ordering::Relaxed);
                let server = ask_sentinels(sentinels, first, master).await?.set_redis_settings(login.clone());
                let mut lane = connect(&server).await?;
                is_master(&mut lane).await?;
                Ok((server, lane))
            }
        }
    }

    /// Whether an error says that the server is not the one to be asked any more.
    pub(super) fn is_elsewhere(&self, error: &RedisError) -> bool {
        let read_only = redis::ErrorKind::Server(redis::ServerErrorKind::ReadOnly);
        matches!(self, Finder::Sentinel { .. }) && error.kind() == read_only
    }
}

async fn ask_sentinels(sentinels: &[ConnectionInfo], first: usize, master: &str) -> Result<ConnectionInfo, RedisError> {
    let mut failure = none_answered();
    for turn in 0..sentinels.len() {
        let Some(sentinel) = sentinels.get((first.wrapping_add(turn)) % sentinels.len()) else { continue };
        match timeout(SENTINEL_PATIENCE, ask(sentinel, master)).await {
            Ok(Ok(server)) => return Ok(server),
            Ok(Err(error)) => failure = error,
            Err(_) => failure = io::Error::from(io::ErrorKind::TimedOut).into(),
        }
    }
    Err(failure)
}

async fn ask(sentinel: &ConnectionInfo, master: &str) -> Result<ConnectionInfo, RedisError> {
    let mut lane = connect(sentinel).await?;
    let mut question = redis::cmd("SENTINEL");
    question.arg("get-master-addr-by-name").arg(master);
    let answer: Option<(String, u16)> = question.query_async(&mut lane.connection).await?;
    let (host, port) = answer.ok_or((redis::ErrorKind::MasterNameNotFoundBySentinel, "no such master"))?;
    ConnectionAddr::Tcp(host, port).into_connection_info()
}

/// Whatever else listens there would be asked again and again.
async fn is_redis(lane: &mut Lane) -> Result<(), RedisError> {
    let answer: String = redis::cmd("PING").query_async(&mut lane.connection).await?;
    match answer.as_str() {
        "PONG" => Ok(()),
        _ => Err((redis::ErrorKind::UnexpectedReturnType, "the server's answer to PING is not PONG").into()),
    }
}

/// Sentinels may know of a failover later than the servers do.
async fn is_master(lane: &mut Lane) -> Result<(), RedisError> {
    let role: Vec<redis::Value> = redis::cmd("ROLE").query_async(&mut lane.connection).await?;
    let role: Option<String> = role.into_iter().next().and_then(|role| redis::from_redis_value(role).ok());
    match role.as_deref() {
        Some("master") => Ok(()),
        _ => Err((redis::ErrorKind::MasterNameNotFoundBySentinel, "the server is not the master").into()),
    }
}

fn none_answered() -> RedisError {
    (redis::ErrorKind::EmptySentinelList, "no sentinel answered").into()
}
