//! `discovery:`: where targets come from, beside `targets:`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_core::config::Duration;

/// A source of targets. Its last good answer is kept while it fails; a list with anything wrong in it is refused as a
/// whole. Targets that it no longer names get no new request, and end those they have.
///
/// A list of targets, as `file` and `http` read it, is JSON or YAML: what `targets:` takes, by itself or under the
/// key `targets`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Discovery {
    /// What is asked: `dns_srv`, `file`, `http` or `docker`.
    #[serde(rename = "type")]
    pub kind: DiscoveryKind,
    /// `dns_srv`: the name, such as `_http._tcp.users.internal`.
    #[serde(default)]
    pub name: Option<String>,
    /// `file`: where the list is; it is read again when it changes.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// `http`: where the list is: `http://` or `https://`. It is asked with the `ETag` of its last answer.
    #[serde(default)]
    pub url: Option<String>,
    /// `docker`: the socket. Default: `/var/run/docker.sock`.
    #[serde(default)]
    pub socket: Option<PathBuf>,
    /// `docker`: the containers that have this label, `name` or `name=value`: `tidegate.upstream=users`.
    #[serde(default)]
    pub label: Option<String>,
    /// `docker`: the port that containers listen on. Default: what their label `tidegate.port` says, or their only
    /// exposed TCP port.
    #[serde(default)]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// `docker`: the network whose addresses are used. Default: the first that a container has an address in.
    #[serde(default)]
    pub network: Option<String>,
    /// `http`, `docker`: from one question to the next. At least 10ms. Default: 10s.
    #[serde(default)]
    pub interval: Option<Duration>,
    /// `http`, `docker`: how long an answer may take. Default: 5s.
    #[serde(default)]
    pub timeout: Option<Duration>,
}

/// What kind of source it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiscoveryKind {
    /// The SRV records of a name (RFC 2782): priority is the tier, weight the weight (0 counts as 1), asked again when
    /// their TTL ends, with the settings of `resolve:`. A name without any is a failure.
    DnsSrv,
    /// A file with a list of targets.
    File,
    /// A URL that answers with a list of targets. An empty list is a failure.
    Http,
    /// Containers on this machine that have a label, by the Docker socket: those that run, are not unhealthy or still
    /// starting, and were not told to stop. Their labels `tidegate.weight` and `tidegate.zone` are heeded.
    Docker,
}

impl Discovery {
    /// From one question to the next.
    pub(crate) fn interval(&self) -> std::time::Duration {
        self.interval.map_or(std::time::Duration::from_secs(10), Into::into)
    }

    /// How long an answer may take.
    pub(crate) fn timeout(&self) -> std::time::Duration {
        self.timeout.map_or(std::time::Duration::from_secs(5), Into::into)
    }
}
