//! A Redis server that a sentinel watches.

use std::time::Duration;

use tidegate_core::redis::{Client, Cmd, FromRedisValue, RedisResult, cmd};

use super::Redis;
use crate::process::{Program, program};
use crate::{wait_until_async, within};

/// A master, its replica, and the sentinel that makes the one of the other; of a test's own.
#[derive(Debug)]
pub struct RedisSentinel {
    servers: [Redis; 2],
    sentinel: Program,
}

/// Starts all three, and waits until the sentinel knows the others.
pub async fn redis_sentinel() -> RedisSentinel {
    let master = Redis::start(["--repl-diskless-sync-delay", "0"]).await;
    let port = master.addr().port().to_string();
    let replica = Redis::start(["--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1", &port]).await;
    let sentinel = program("redis-server", "redis-server");
    // A server that a busy machine does not run for a second or two is not lost.
    let config = format!(
        "port {}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {port} 1\n\
         sentinel down-after-milliseconds main 5000\nsentinel failover-timeout main 4000\n",
        sentinel.port()
    );
    let sentinel = sentinel.file("sentinel.conf", config).args(["sentinel.conf", "--sentinel"]).start().await;
    let all = RedisSentinel { servers: [master, replica], sentinel };
    // A sentinel that was not run for two seconds trusts nobody for half a minute after that (TILT).
    let () = all.ask(cmd("SENTINEL").arg("DEBUG").arg("TILT-PERIOD").arg(1000)).await;
    wait_until_async("the sentinel knows the replica", async || {
        let replicas: String = all.servers[0].ask(cmd("INFO").arg("replication")).await;
        let known: String = all.ask(cmd("INFO").arg("sentinel")).await;
        replicas.contains("state=online") && known.contains("status=ok") && known.contains("slaves=1")
    })
    .await;
    all
}

impl RedisSentinel {
    /// Where the sentinel listens.
    pub fn url(&self) -> String {
        format!("redis://{}", self.sentinel.addr())
    }

    /// A store of the master, as a plugin gets it.
    pub fn store(&self, timeout: Duration) -> tidegate_core::Redis {
        let sentinel = serde_json::json!({ "nodes": [self.url()], "master": "main" });
        super::store(serde_json::json!({ "sentinel": sentinel }), timeout)
    }

    /// Which of the servers is the master, as the sentinel says: 0 in the beginning.
    pub async fn master(&self) -> usize {
        let (_, port): (String, u16) = self.ask(cmd("SENTINEL").arg("get-master-addr-by-name").arg("main")).await;
        self.servers.iter().position(|server| server.addr().port() == port).expect("one of the two")
    }

    /// One of the two servers.
    pub fn server(&mut self, index: usize) -> &mut Redis {
        &mut self.servers[index]
    }

    /// Lets the sentinel make the replica the master, and waits until it is.
    pub async fn failover(&self) {
        let before = self.master().await;
        wait_until_async("the sentinel thinks that the replica is good enough", async || {
            self.try_ask::<()>(cmd("SENTINEL").arg("FAILOVER").arg("main")).await.is_ok()
        })
        .await;
        wait_until_async("the replica is the master", async || self.master().await != before).await;
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> T {
        self.try_ask(command).await.expect("the sentinel answers")
    }

    async fn try_ask<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        let sentinel = Client::open(self.url()).expect("an address");
        let mut sentinel = sentinel
            .get_multiplexed_async_connection_with_config(&super::patient())
            .await
            .expect("the sentinel listens");
        within("an answer", command.query_async(&mut sentinel)).await
    }
}
