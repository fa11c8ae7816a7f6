//! What `stores:` says.

use deadpool_redis::redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, parse_redis_url};
use schemars::JsonSchema;
use serde::Deserialize;

use super::finder::Finder;
use crate::config::{ConfigError, ConfigPath, Duration, Secret};

/// One entry of `stores:`: one of `redis`, `cluster` and `sentinel`.
///
/// ```yaml
/// stores:
///   one: { redis: "redis://:${REDIS_PASSWORD}@redis.internal" }
///   many: { cluster: ["redis://10.0.0.1", "redis://10.0.0.2"] }
///   watched: { sentinel: { nodes: ["redis://10.0.0.1:26379"], master: main } }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// A Redis server: `redis://[user:password@]host[:port][/database]`, or `unix:///path`. Keep the password out of
    /// the file: `redis://:${REDIS_PASSWORD}@redis.internal`.
    #[serde(default)]
    pub redis: Option<Secret>,
    /// A Redis Cluster: addresses of some of its nodes, of which the others are learned. User and password of the
    /// first are used for all.
    #[serde(default)]
    pub cluster: Option<Vec<Secret>>,
    /// A Redis server that sentinels watch, and replace by another when it fails.
    #[serde(default)]
    pub sentinel: Option<SentinelConfig>,
    /// How long one command may take, waiting for a first connection included. Three commands in a row that take
    /// longer, and the store counts as lost until it answers again. Default `50ms`.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
    /// How many connections to a server all requests share, 1 to 64. They don't wait for each other on one, so few
    /// are enough. Default 2.
    #[serde(default = "default_connections")]
    pub connections: u32,
}

/// Where a [store](StoreConfig) that sentinels watch is found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SentinelConfig {
    /// The sentinels: `redis://[user:password@]host[:port]`, with what the sentinels themselves ask for.
    pub nodes: Vec<Secret>,
    /// What the sentinels call the server.
    pub master: String,
    /// The user to be at the server. Default: its default user.
    #[serde(default)]
    pub user: Option<String>,
    /// The user's password at the server. Default: none.
    #[serde(default)]
    pub password: Option<Secret>,
    /// The number of the server's database. Default 0.
    #[serde(default)]
    pub database: u16,
}

fn default_timeout() -> Duration {
    Duration::from_millis(50)
}

fn default_connections() -> u32 {
    2
}

const MAX_CONNECTIONS: u32 = 64;

/// Work in the background counts on it: what was asked before one of its turns has ended before the next.
const LONGEST_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// What a [`StoreConfig`] means.
pub(super) enum Topology {
    Server(Finder),
    /// The first of its servers that is named, and all that are.
    Cluster(ConnectionInfo, Vec<ConnectionInfo>),
}

impl StoreConfig {
    pub(super) fn topology(&self) -> Result<Topology, ConfigError> {
        if !(1..=MAX_CONNECTIONS).contains(&self.connections) {
            let message = format!("{} connections are not between 1 and {MAX_CONNECTIONS}", self.connections);
            return Err(ConfigError::at("connections", message).help("2 are enough for most"));
        }
        if self.timeout.get().is_zero() {
            return Err(ConfigError::at("timeout", "no store answers in no time").help("the default is 50ms"));
        }
        if self.timeout.get() > LONGEST_TIMEOUT {
            let message = format!("{} is longer than any request should wait for a store", self.timeout);
            return Err(ConfigError::at("timeout", message).help("write 10s or less; the default is 50ms"));
        }
        match (&self.redis, &self.cluster, &self.sentinel) {
            (Some(url), None, None) => Ok(Topology::Server(Finder::Fixed(server(url, "redis")?))),
            (None, Some(nodes), None) => cluster(nodes),
            (None, None, Some(sentinel)) => sentinel.finder().map(Topology::Server),
            (None, None, None) => Err(one_of("a store needs an address")),
            _ => Err(one_of("a store has one kind of address")),
        }
    }
}

impl StoreConfig {
    /// Where the data is, without who asks for it.
    pub(super) fn place(&self) -> String {
        let all = |kind: &str, urls: &[Secret]| {
            let mut places: Vec<_> = urls.iter().map(place_of).collect();
            // The same nodes in another order are the same cluster.
            places.sort_unstable();
            format!("{kind} {}", places.join(" "))
        };
        match (&self.redis, &self.cluster, &self.sentinel) {
            (Some(url), ..) => format!("redis {}", place_of(url)),
            (None, Some(nodes), _) => all("cluster", nodes),
            (None, None, Some(sentinel)) => {
                format!("{} {:?} {}", all("sentinel", &sentinel.nodes), sentinel.master, sentinel.database)
            }
            (None, None, None) => String::new(),
        }
    }
}

fn place_of(url: &Secret) -> String {
    let info = url.expose().into_connection_info();
    info.map_or_else(|_| String::new(), |info| format!("{}/{}", info.addr(), info.redis_settings().db()))
}

fn one_of(message: &str) -> ConfigError {
    ConfigError::at("", message).help("give it one of: redis, cluster, sentinel")
}

impl SentinelConfig {
    fn finder(&self) -> Result<Finder, ConfigError> {
        let path = ConfigPath::root().key("sentinel");
        if self.master.is_empty() {
            return Err(ConfigError::at(path.key("master"), "the server needs a name")
                .help("it is the word after `sentinel monitor` in sentinel.conf"));
        }
        let nodes = path.key("nodes");
        if self.nodes.is_empty() {
            return Err(ConfigError::at(nodes, "the list is empty").help("name at least one: redis://host:26379"));
        }
        let without_port = |url: &Secret| parse_redis_url(url.expose()).is_none_or(|url| url.port().is_none());
        if let Some(index) = self.nodes.iter().position(without_port) {
            let error = ConfigError::at(nodes.index(index), "a sentinel's address has a port");
            return Err(error.help("write it as redis://host:26379"));
        }
        let sentinels = servers(&self.nodes, &nodes)?;
        let mut login = RedisConnectionInfo::default().set_db(self.database.into());
        if let Some(user) = &self.user {
            login = login.set_username(user);
        }
        if let Some(password) = &self.password {
            login = login.set_password(password.expose());
        }
        Ok(Finder::Sentinel { sentinels, next: Default::default(), master: self.master.as_str().into(), login })
    }
}

fn cluster(nodes: &[Secret]) -> Result<Topology, ConfigError> {
    let path = ConfigPath::root().key("cluster");
    let seeds = servers(nodes, &path)?;
    if let Some(index) = seeds.iter().position(|seed| seed.redis_settings().db() != 0) {
        return Err(ConfigError::at(path.index(index), "a cluster has only database 0").help("leave the path out"));
    }
    if let Some(index) = seeds.iter().position(|seed| matches!(seed.addr(), ConnectionAddr::Unix(_))) {
        return Err(ConfigError::at(path.index(index), "a cluster's node has a host and a port")
            .help("write it as redis://host:port"));
    }
    match seeds.first().cloned() {
        Some(first) => Ok(Topology::Cluster(first, seeds)),
        None => Err(ConfigError::at(path, "the list is empty").help("name at least one node: redis://host:port")),
    }
}

fn servers(urls: &[Secret], path: &ConfigPath) -> Result<Vec<ConnectionInfo>, ConfigError> {
    urls.iter().enumerate().map(|(index, url)| server(url, path.index(index))).collect()
}

fn server(url: &Secret, path: impl Into<ConfigPath>) -> Result<ConnectionInfo, ConfigError> {
    let path = path.into();
    let url = url.expose();
    if url.starts_with("rediss:") || url.starts_with("valkeys:") {
        let error = ConfigError::at(path, "a store can't be reached by TLS yet");
        return Err(error.help("put a tunnel before it, and write redis://host:port"));
    }
    // The cause would quote the address, and with it the password.
    url.into_connection_info().map_err(|_| {
        ConfigError::at(path, "not a Redis address").help("write it as redis://user:password@host:port/database")
    })
}
