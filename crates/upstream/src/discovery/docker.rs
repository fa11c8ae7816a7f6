//! Containers on this machine, by the Docker Engine API over its socket.

mod api;
mod events;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::header;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use pingora_core::upstreams::peer::HttpPeer;
use pingora_http::RequestHeader;
use serde::de::{Deserialize, Deserializer};
use tidegate_core::Clock;

use super::{Source, SourceError};
use crate::client::{Answer, Client};
use crate::config::{Discovery, TargetConfig};
use crate::pool::Pool;

use api::{Choice, Container};
use events::Events;

/// Containers with a label, asked for every so often, and whenever Docker says that something has happened to one.
pub(super) struct Docker {
    name: String,
    upstream: String,
    socket: PathBuf,
    label: String,
    choice: Choice,
    client: Client,
    clock: Clock,
    interval: Duration,
    timeout: Duration,
    /// Whether the last question was answered.
    answered: bool,
    events: Option<Events>,
    /// When they were opened last. Before some sockets are proxies that end them at once.
    opened: Option<Instant>,
    /// When the last question was asked, on the machine's own clock.
    asked: Option<tokio::time::Instant>,
    /// Containers that were told to stop, by id: they run for a while yet.
    stopping: BTreeSet<String>,
    /// What was last found wrong with containers.
    unfit: Vec<String>,
}

const SOCKET: &str = "/var/run/docker.sock";
const MOST_BYTES: usize = 16 << 20;
/// Many containers may start at once, each with several events.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
/// A proxy before the socket may hold the head of the events back: the list doesn't wait that long for them.
const EVENTS_SHARE: u32 = 4;

impl Docker {
    pub(super) fn new(config: &Discovery, pool: &Pool) -> Self {
        Self {
            name: super::name(config),
            upstream: pool.name.to_string(),
            socket: config.socket.clone().unwrap_or_else(|| SOCKET.into()),
            label: config.label.clone().unwrap_or_default(),
            choice: Choice { port: config.port, network: config.network.clone() },
            client: Client::without_reuse(),
            clock: pool.clock.clone(),
            interval: config.interval(),
            timeout: config.timeout(),
            answered: false,
            events: None,
            opened: None,
            asked: None,
            stopping: BTreeSet::new(),
            unfit: Vec::new(),
        }
    }

    /// Waits until something has happened, or may have been missed.
    async fn wait(&mut self) {
        let Self { clock, events, stopping, interval, .. } = self;
        let happened = async {
            match events {
                Some(events) => events.next(stopping).await,
                None => std::future::pending().await,
            }
        };
        let open = tokio::select! {
            open = happened => open,
            () = clock.sleep(*interval) => true,
        };
        if let Some(asked) = self.asked {
            tokio::time::sleep_until(asked + SHORTEST_PAUSE).await;
        }
        if !open {
            // Docker restarts, as likely as not: the next question tells, and opens them anew if they had been open
            // for a while.
            self.events = None;
        }
    }

    async fn ask(&mut self) -> Result<Vec<TargetConfig>, SourceError> {
        let now = self.clock.now();
        let just_opened = self.opened.is_some_and(|at| now.saturating_duration_since(at) < self.interval);
        if self.events.is_none() && !just_opened {
            // First the events, then the list: what happens between the two is seen twice rather than never. Without
            // events there is the interval.
            let path = format!("/events?filters={}", self.filters("type", "container"));
            let answer = self.send(&path, self.timeout / EVENTS_SHARE).await;
            self.events = answer.ok().map(Events::new);
            self.opened = self.events.is_some().then_some(now).or(self.opened);
        }
        self.asked = Some(tokio::time::Instant::now());
        let path = format!("/containers/json?filters={}", self.filters("status", "running"));
        let answer = self.send(&path, self.timeout).await?;
        let body = answer.whole(MOST_BYTES, self.timeout).await;
        let body = body.map_err(|error| SourceError::new(error.to_string()))?;
        let containers: Vec<Container> = parse(body).await?;
        self.stopping.retain(|id| containers.iter().any(|container| container.id == *id));
        Ok(self.targets(&containers))
    }

    fn targets(&mut self, containers: &[Container]) -> Vec<TargetConfig> {
        let (mut targets, mut unfit) = (Vec::new(), Vec::new());
        for container in containers.iter().filter(|container| !self.stopping.contains(&container.id)) {
            match container.target(&self.choice) {
                Ok(Some(target)) => targets.push(target),
                Ok(None) => {}
                Err(why) => unfit.push(format!("{}: {why}", container.name())),
            }
        }
        targets.sort_by(|a, b| a.address.cmp(&b.address));
        unfit.sort();
        if unfit != self.unfit {
            self.say(&unfit);
            self.unfit = unfit;
        }
        targets
    }

    /// One container that is labelled wrongly must not hold up what is said of the others.
    fn say(&self, unfit: &[String]) {
        let (upstream, source) = (&*self.upstream, &*self.name);
        for why in unfit.iter().filter(|why| !self.unfit.contains(why)).take(MOST_NAMED) {
            log::warn!(upstream, source, container = why.as_str(); "container left out");
        }
    }

    async fn send(&self, path: &str, within: Duration) -> Result<Answer, SourceError> {
        let socket = self.socket.to_str().ok_or_else(|| SourceError::new("the socket's path is not UTF-8"))?;
        let mut peer = HttpPeer::new_uds(socket, false, String::new())
            .map_err(|_| SourceError::new("the socket's path is too long"))?;
        peer.options.total_connection_timeout = Some(self.timeout);
        let wrong = |_| SourceError::new("the label makes no valid request");
        let mut head = RequestHeader::build("GET", path.as_bytes(), None).map_err(wrong)?;
        head.insert_header(header::HOST, "docker").map_err(wrong)?;
        head.insert_header(header::USER_AGENT, "tidegate-discovery").map_err(wrong)?;
        let answer = self.client.send(&peer, Box::new(head), None, within).await;
        let answer = answer.map_err(|error| SourceError::new(error.to_string()))?;
        match answer.head.status.as_u16() {
            200 => Ok(answer),
            status => Err(SourceError::new(format!("status {status}"))),
        }
    }

    /// As Docker takes them: `{"label":["…"],"status":["running"]}`.
    fn filters(&self, key: &str, value: &str) -> String {
        let filters = serde_json::json!({ "label": [self.label], key: [value] }).to_string();
        utf8_percent_encode(&filters, NON_ALPHANUMERIC).to_string()
    }
}

const MOST_NAMED: usize = 10;

/// `null` is nothing: so some write an empty list.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Beside the runtime's own threads: thousands of containers make a long list.
async fn parse(body: Bytes) -> Result<Vec<Container>, SourceError> {
    let parsed = tokio::task::spawn_blocking(move || serde_json::from_slice(&body)).await;
    let wrong = |error: &dyn std::fmt::Display| SourceError::new(format!("not Docker's answer: {error}"));
    parsed.map_err(|error| wrong(&error))?.map_err(|error| wrong(&error))
}

#[async_trait]
impl Source for Docker {
    fn kind(&self) -> &'static str {
        "docker"
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    /// No container is an answer like others: Docker knows who runs.
    async fn next(&mut self) -> Result<Vec<TargetConfig>, SourceError> {
        if self.answered {
            self.wait().await;
            self.answered = false;
        }
        let within = self.timeout;
        let answer = tokio::time::timeout(within, self.ask()).await;
        let answer = answer.unwrap_or_else(|_| Err(SourceError::new(format!("no answer within {within:?}"))));
        self.answered = answer.is_ok();
        if answer.is_err() {
            self.events = None;
        }
        answer
    }

    fn retry_after(&self, failures: u32) -> Duration {
        super::retry_after(self.interval, failures)
    }
}
