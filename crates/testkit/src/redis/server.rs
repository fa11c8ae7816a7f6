//! One Redis server.

use std::net::SocketAddr;
use std::time::Duration;

use tidegate_core::redis::{self as client, Client, Cmd, FromRedisValue};

use crate::process::{Program, ProgramBuilder, Signal, program};
use crate::within;

/// A Redis server of this test's own.
#[derive(Debug)]
pub struct Redis {
    program: Program,
    args: Vec<String>,
}

/// Starts a Redis server that keeps nothing.
pub async fn redis() -> Redis {
    Redis::start([]).await
}

impl Redis {
    /// Starts one with more arguments.
    pub(super) async fn start<const N: usize>(args: [&str; N]) -> Self {
        let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
        Self { program: server(&args, program("redis-server", "redis-server")).start().await, args }
    }

    /// How `stores:` names it.
    pub fn url(&self) -> String {
        format!("redis://{}", self.addr())
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.program.addr()
    }

    /// The program.
    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// A store of this server, as a plugin gets it.
    pub fn store(&self, timeout: Duration) -> tidegate_core::Redis {
        super::store(serde_json::json!({ "redis": self.url() }), timeout)
    }

    /// What it answers to a command, on a connection made for it. Panics when it answers with an error or not at all.
    pub async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> T {
        match self.try_ask(command).await {
            Ok(answer) => answer,
            Err(error) => panic!("{self:?} does not answer: {error}"),
        }
    }

    /// The same, with the error.
    pub async fn try_ask<T: FromRedisValue>(&self, command: &Cmd) -> client::RedisResult<T> {
        let connect = Client::open(self.url())?;
        let mut connection = connect.get_multiplexed_async_connection_with_config(&super::patient()).await?;
        within("an answer", command.query_async(&mut connection)).await
    }

    /// A number that `INFO` says, by its name: `total_connections_received`.
    pub async fn info(&self, name: &str) -> u64 {
        let info: String = self.ask(client::cmd("INFO").arg("everything")).await;
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|number| number.trim().parse().ok())
            .unwrap_or_else(|| panic!("INFO has no number {name}: {info}"))
    }

    /// How often it ran `command` (`evalsha`), as `INFO commandstats` counts it. Calls that it refused count as well.
    pub async fn calls(&self, command: &str) -> u64 {
        let info: String = self.ask(client::cmd("INFO").arg("commandstats")).await;
        let line =
            info.lines().find_map(|line| line.strip_prefix("cmdstat_")?.strip_prefix(command)?.strip_prefix(':'));
        let field = |name: &str, line: &str| {
            let number = line.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
            number.and_then(|number| number.trim().parse::<u64>().ok()).unwrap_or(0)
        };
        line.map_or(0, |line| field("calls", line) + field("rejected_calls", line))
    }

    /// Stops it: it answers nothing and closes nothing, as a server that hangs.
    pub fn stop_answering(&self) {
        self.program.signal(Signal::Stop);
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.program.signal(Signal::Continue);
    }

    /// Ends it at once, and waits until it has ended.
    pub async fn kill(&mut self) {
        self.program.signal(Signal::Kill);
        self.program.wait().await;
    }

    /// Starts it again on its port, with nothing in it. It was [killed](Self::kill) before.
    pub async fn restart(&mut self) {
        let port = self.addr().port();
        self.program = server(&self.args, program("redis-server", "redis-server").on(port)).start().await;
    }
}

fn server(args: &[String], program: ProgramBuilder) -> ProgramBuilder {
    let port = program.port().to_string();
    program.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]).args(args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_is_killed_and_comes_back_empty() {
        let mut redis = redis().await;
        let () = redis.ask(client::cmd("SET").arg("a").arg(1)).await;
        assert_eq!(redis.calls("set").await, 1);
        redis.kill().await;
        assert!(redis.try_ask::<()>(&client::cmd("PING")).await.is_err());
        redis.restart().await;
        assert_eq!(redis.ask::<Option<u8>>(client::cmd("GET").arg("a")).await, None);
        assert!(redis.info("total_connections_received").await >= 2);
    }

    #[tokio::test]
    async fn a_server_stops_answering_and_goes_on() {
        let redis = redis().await;
        redis.stop_answering();
        let ping = client::cmd("PING");
        let silent = tokio::time::timeout(Duration::from_millis(50), redis.ask::<String>(&ping));
        assert!(silent.await.is_err());
        redis.go_on();
        assert_eq!(redis.ask::<String>(&ping).await, "PONG");
    }
}
