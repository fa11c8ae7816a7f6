//! The probe that looks for a server in the background: one at a time, however many calls wait for the server.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::{RedisError, Value, cmd};
use tokio::time::{sleep, timeout};

use super::connect::{EndOnDrop, connect};
use super::finder::Finder;
use super::node::{Node, Up};

/// How long one attempt may take; half of what calls are given, if that is longer. A server that is stopped accepts
/// connections, and answers on them when it goes on: the probe waits on one rather than to make many.
const PATIENCE: Duration = Duration::from_secs(2);

/// Starts to look for `node`'s server after `wait`. The task doesn't keep the node: it ends with it.
pub(super) fn search(node: &Arc<Node>, wait: Duration, backoff: Backoff) -> EndOnDrop {
    let (finder, connections, in_time) = (node.finder.clone(), node.settings.connections, node.settings.timeout.get());
    let node = Arc::downgrade(node);
    let work = async move {
        let (mut wait, mut backoff) = (wait, backoff);
        loop {
            sleep(wait).await;
            backoff = backoff.next();
            let attempt = timeout(PATIENCE.max(in_time / 2), reach(&finder, connections, in_time, backoff)).await;
            let Some(node) = node.upgrade() else { return };
            match attempt {
                Ok(Ok(up)) => return node.found(up),
                Ok(Err(cause)) => node.not_found(cause),
                Err(_) => node.not_found(io::Error::from(io::ErrorKind::TimedOut).into()),
            }
            wait = backoff.wait();
        }
    };
    EndOnDrop(tokio::spawn(work).abort_handle())
}

/// All connections, once the first has been answered on as fast as calls need it: a server that is there and slower than
/// the store's timeout would be lost again with the first calls, each of which would have waited for it.
async fn reach(finder: &Finder, connections: usize, in_time: Duration, backoff: Backoff) -> Result<Up, RedisError> {
    let (server, first) = finder.find().await?;
    let mut lanes = vec![first];
    while lanes.len() < connections {
        lanes.push(connect(&server).await?);
    }
    if let Some(lane) = lanes.first() {
        let mut connection = lane.connection.clone();
        let ping = cmd("PING");
        let answer = timeout(in_time, ping.query_async::<Value>(&mut connection)).await;
        answer.map_err(|_| {
            RedisError::from(io::Error::new(io::ErrorKind::TimedOut, "it is slower than its timeout"))
        })??;
    }
    Ok(Up::new(server, lanes.into(), backoff))
}

/// How long to wait between attempts: 100 ms, growing to 1 s.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Backoff(Duration);

const LEAST: Duration = Duration::from_millis(100);
const MOST: Duration = Duration::from_secs(1);

impl Backoff {
    pub(super) fn next(self) -> Self {
        Self((self.0 * 2).clamp(LEAST, MOST))
    }

    /// Between half of it and all of it: gateways that lost a store together don't come back together.
    pub(super) fn wait(self) -> Duration {
        // Keyed anew each time, which is as random as this needs to be.
        let share = RandomState::new().hash_one(0) % 512 + 512;
        self.0 * u32::try_from(share).unwrap_or(1024) / 1024
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_differ() {
        let mut backoff = Backoff::default();
        let mut most = Vec::new();
        for _ in 0..6 {
            backoff = backoff.next();
            most.push(backoff.0.as_millis());
            assert!((0..100).all(|_| backoff.wait() >= backoff.0 / 2 && backoff.wait() <= backoff.0));
        }
        assert_eq!(most, [100, 200, 400, 800, 1000, 1000]);
        let waits: std::collections::BTreeSet<_> = (0..100).map(|_| backoff.wait()).collect();
        assert!(waits.len() > 10, "{waits:?}");
    }
}
