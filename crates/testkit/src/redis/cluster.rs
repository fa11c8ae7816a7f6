//! A Redis Cluster.

use std::time::Duration;

use tidegate_core::redis::{Value, cmd, from_redis_value};

use super::Redis;
use crate::{free_port, wait_until_async};

/// Three masters of which the first has a replica; of a test's own.
#[derive(Debug)]
pub struct RedisCluster {
    /// The masters, and behind them the first one's replica.
    servers: Vec<Redis>,
    bus: Vec<u16>,
}

const MASTERS: usize = 3;
const SLOTS: usize = 16384;
/// How long a server may be silent before the others call it lost, in ms: longer than a busy machine leaves one out.
const NODE_TIMEOUT: &str = "5000";
/// So many keys are tried to find one of a server. Each master has a third of all.
const KEYS: usize = 200;

/// Starts a cluster, and waits until its servers agree that it is one.
pub async fn redis_cluster() -> RedisCluster {
    let mut cluster = RedisCluster { servers: Vec::new(), bus: Vec::new() };
    for _ in 0..=MASTERS {
        let bus = free_port();
        cluster.servers.push(member(bus).await);
        cluster.bus.push(bus);
    }
    cluster.give_slots().await;
    cluster.meet().await;
    cluster.replicate().await;
    cluster
}

async fn member(bus: u16) -> Redis {
    let bus = bus.to_string();
    let cluster = ["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", NODE_TIMEOUT];
    // What the others have can be used while one is gone.
    let rest = ["--cluster-require-full-coverage", "no", "--cluster-replica-validity-factor", "0"];
    let sync = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"];
    let [a, b, c, d, e, f] = cluster;
    let [g, h, i, j] = rest;
    let [k, l, m, n] = sync;
    Redis::start([a, b, c, d, e, f, g, h, i, j, k, l, m, n]).await
}

impl RedisCluster {
    /// The addresses of its masters as they were in the beginning.
    pub fn urls(&self) -> Vec<String> {
        self.servers.iter().take(MASTERS).map(Redis::url).collect()
    }

    /// A store of this cluster, as a plugin gets it.
    pub fn store(&self, timeout: Duration) -> tidegate_core::Redis {
        super::store(serde_json::json!({ "cluster": self.urls() }), timeout)
    }

    /// One of its servers: 0, 1 and 2 are the masters it began with, and 3 is the replica of 0.
    pub fn server(&mut self, index: usize) -> &mut Redis {
        &mut self.servers[index]
    }

    /// The server that is the master of `key` now, as server `asked` knows it.
    pub async fn master_of(&self, key: &str, asked: usize) -> Option<usize> {
        let slot: u64 = self.servers[asked].ask(cmd("CLUSTER").arg("KEYSLOT").arg(key)).await;
        let ranges: Vec<Vec<Value>> = self.servers[asked].ask(cmd("CLUSTER").arg("SLOTS")).await;
        let port = ranges.into_iter().find_map(|range| master_in(range, slot))?;
        self.servers.iter().position(|server| server.addr().port() == port)
    }

    /// A key that server `index` is the master of. Panics when it is the master of none.
    pub async fn key_of(&self, index: usize) -> String {
        for number in 0..KEYS {
            let key = format!("key{number}");
            if self.master_of(&key, index).await == Some(index) {
                return key;
            }
        }
        panic!("server {index} is no master: {KEYS} keys, and none is its")
    }

    /// Gives the slot of `key` to server `to`, all that is in it included.
    pub async fn move_slot(&self, key: &str, to: usize) {
        self.begin_move(key, to).await;
        self.end_move(key, to).await;
    }

    /// Begins to give the slot of `key` away: keys that aren't there yet are made at server `to`.
    pub async fn begin_move(&self, key: &str, to: usize) {
        let (slot, from) = self.place(key).await;
        let (source, target) = (self.id(from).await, self.id(to).await);
        let set = |state: &str, id: &str| {
            let mut set = cmd("CLUSTER");
            set.arg("SETSLOT").arg(slot).arg(state).arg(id);
            set
        };
        let () = self.servers[to].ask(&set("IMPORTING", &source)).await;
        let () = self.servers[from].ask(&set("MIGRATING", &target)).await;
    }

    /// Ends what [`begin_move`](Self::begin_move) began.
    pub async fn end_move(&self, key: &str, to: usize) {
        let (slot, from) = self.place(key).await;
        let target = self.id(to).await;
        let keys: Vec<String> = self.servers[from].ask(cmd("CLUSTER").arg("GETKEYSINSLOT").arg(slot).arg(10_000)).await;
        for key in keys {
            let addr = self.servers[to].addr();
            let mut migrate = cmd("MIGRATE");
            migrate.arg(addr.ip().to_string()).arg(addr.port()).arg(key).arg(0).arg(5000);
            let _: String = self.servers[from].ask(&migrate).await;
        }
        for server in [to, from] {
            let () = self.servers[server].ask(cmd("CLUSTER").arg("SETSLOT").arg(slot).arg("NODE").arg(&target)).await;
        }
    }

    async fn place(&self, key: &str) -> (u64, usize) {
        let slot = self.servers[0].ask(cmd("CLUSTER").arg("KEYSLOT").arg(key)).await;
        (slot, self.master_of(key, 0).await.expect("a slot has a master"))
    }

    async fn id(&self, index: usize) -> String {
        self.servers[index].ask(cmd("CLUSTER").arg("MYID")).await
    }

    async fn give_slots(&self) {
        for (index, server) in self.servers.iter().take(MASTERS).enumerate() {
            let () = server.ask(cmd("CLUSTER").arg("SET-CONFIG-EPOCH").arg(index + 1)).await;
            let (first, end) = (SLOTS * index / MASTERS, SLOTS * (index + 1) / MASTERS);
            let () = server.ask(cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(first).arg(end - 1)).await;
        }
    }

    async fn meet(&self) {
        for (server, bus) in self.servers.iter().zip(&self.bus).skip(1) {
            let addr = server.addr();
            let mut meet = cmd("CLUSTER");
            meet.arg("MEET").arg(addr.ip().to_string()).arg(addr.port()).arg(*bus);
            let () = self.servers[0].ask(&meet).await;
        }
        self.all_say("cluster_known_nodes:4").await;
        self.all_say("cluster_state:ok").await;
    }

    async fn all_say(&self, what: &str) {
        for server in &self.servers {
            wait_until_async(what, async || server.ask::<String>(cmd("CLUSTER").arg("INFO")).await.contains(what))
                .await;
        }
    }

    /// Waits until everyone knows of the replica, or nobody would vote for it.
    async fn replicate(&self) {
        let replica = &self.servers[MASTERS];
        let master = self.id(0).await;
        let () = replica.ask(cmd("CLUSTER").arg("REPLICATE").arg(&master)).await;
        wait_until_async("the replica has its copy", async || {
            replica.ask::<String>(cmd("INFO").arg("replication")).await.contains("master_link_status:up")
        })
        .await;
        for server in &self.servers {
            wait_until_async("everyone knows the replica", async || {
                let nodes: String = server.ask(cmd("CLUSTER").arg("NODES")).await;
                nodes.lines().any(|line| line.contains("slave") && line.contains(&master))
            })
            .await;
        }
    }
}

/// The port of the master that has `slot`, if it is in this range: first slot, last slot, master, replicas.
fn master_in(range: Vec<Value>, slot: u64) -> Option<u16> {
    let mut range = range.into_iter();
    let (first, last): (u64, u64) = (from_redis_value(range.next()?).ok()?, from_redis_value(range.next()?).ok()?);
    let master: Vec<Value> = from_redis_value(range.next()?).ok()?;
    let port = master.into_iter().nth(1).filter(|_| (first..=last).contains(&slot))?;
    from_redis_value(port).ok()
}
