//! A URL that answers with a list of targets.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::{HeaderValue, header};
use pingora_core::upstreams::peer::HttpPeer;
use pingora_http::RequestHeader;
use tidegate_core::Clock;

use super::{Source, SourceError, list};
use crate::address::Address;
use crate::client::{Answer, Client, ClientError};
use crate::config::{Discovery, TargetConfig};
use crate::dns::Dns;
use crate::pool::Pool;
use crate::site::Site;
use crate::ttl::Schedule;

/// Asks a URL every so often.
pub(super) struct Http {
    name: String,
    site: Result<Site, SourceError>,
    client: Client,
    dns: Arc<Dns>,
    schedule: Schedule,
    clock: Clock,
    interval: Duration,
    timeout: Duration,
    /// Whether the last question was answered.
    answered: bool,
    /// The last list that had an `ETag`.
    tagged: Option<(HeaderValue, Vec<TargetConfig>)>,
    /// Where the host is, and until when that is known.
    place: Option<(Vec<IpAddr>, Instant)>,
}

/// Tags are kept and sent back, so they aren't to be just any length.
const LONGEST_TAG: usize = 1024;

impl Http {
    pub(super) fn new(config: &Discovery, pool: &Pool) -> Self {
        Self {
            name: super::name(config),
            site: site(config.url.as_deref().unwrap_or_default()),
            // Most servers would have closed a connection by the time of the next question.
            client: Client::without_reuse(),
            dns: pool.dns.clone(),
            schedule: pool.schedule,
            clock: pool.clock.clone(),
            interval: config.interval(),
            timeout: config.timeout(),
            answered: false,
            tagged: None,
            place: None,
        }
    }

    async fn ask(&mut self) -> Result<Vec<TargetConfig>, SourceError> {
        let addresses = self.addresses().await?;
        let site = self.site.as_ref().map_err(Clone::clone)?;
        let head = question(site, self.tagged.as_ref().map(|(tag, _)| tag))?;
        let answer = self.connect(site, &addresses, head).await;
        let answer = answer.map_err(|error| SourceError::new(error.to_string()))?;
        let (status, tag) = (answer.head.status.as_u16(), answer.head.headers.get(header::ETAG).cloned());
        match (status, &self.tagged) {
            (200, _) => {}
            (304, Some((_, targets))) => return Ok(targets.clone()),
            _ => return Err(SourceError::new(format!("status {status}"))),
        }
        self.tagged = None;
        let body = answer.whole(list::MOST_BYTES, self.timeout).await;
        let body = body.map_err(|error| SourceError::new(error.to_string()))?;
        let targets = list::read(body.into()).await?;
        if targets.is_empty() {
            // A registry that has just been started doesn't know anybody yet.
            return Err(SourceError::new("the list is empty"));
        }
        let tag = tag.filter(|tag| tag.len() <= LONGEST_TAG);
        self.tagged = tag.map(|tag| (tag, targets.clone()));
        Ok(targets)
    }

    /// The first of the addresses that a connection can be made to answers.
    async fn connect(&self, site: &Site, addresses: &[IpAddr], head: RequestHeader) -> Result<Answer, ClientError> {
        let share = self.timeout / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        let mut failure = ClientError::Connect("no address".into());
        for ip in addresses {
            let mut peer = HttpPeer::new(SocketAddr::new(*ip, site.port), site.tls, site.sni(*ip));
            peer.options.total_connection_timeout = Some(share);
            peer.options.connection_timeout = Some(share);
            match self.client.send(&peer, Box::new(head.clone()), None, self.timeout).await {
                Err(error @ ClientError::Connect(_)) => failure = error,
                answer => return answer,
            }
        }
        Err(failure)
    }

    /// Where the host is. While the name servers fail, where it was.
    async fn addresses(&mut self) -> Result<Vec<IpAddr>, SourceError> {
        let host = match &self.site.as_ref().map_err(Clone::clone)?.address {
            Address::Name(host) => host,
            Address::Inet(socket) => return Ok(vec![socket.ip()]),
            Address::Unix(_) => return Err(SourceError::new("not a URL")),
        };
        let now = self.clock.now();
        if let Some((addresses, _)) = self.place.as_ref().filter(|(_, until)| now < *until) {
            return Ok(addresses.clone());
        }
        match (self.dns.lookup(host).await, &self.place) {
            (Ok(answer), _) => {
                self.place = Some((answer.addresses.clone(), now + self.schedule.after_answer(answer.ttl)));
                Ok(answer.addresses)
            }
            (Err(_), Some((addresses, _))) => Ok(addresses.clone()),
            (Err(error), None) => Err(SourceError::new(format!("{}: {error}", host.host))),
        }
    }
}

#[async_trait]
impl Source for Http {
    fn kind(&self) -> &'static str {
        "http"
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    async fn next(&mut self) -> Result<Vec<TargetConfig>, SourceError> {
        if self.answered {
            self.clock.sleep(self.interval).await;
            self.answered = false;
        }
        let within = self.timeout;
        let answer = tokio::time::timeout(within, self.ask()).await;
        let answer = answer.unwrap_or_else(|_| Err(SourceError::new(format!("no answer within {within:?}"))));
        self.answered = answer.is_ok();
        answer
    }

    fn retry_after(&self, failures: u32) -> Duration {
        super::retry_after(self.interval, failures)
    }
}

fn site(url: &str) -> Result<Site, SourceError> {
    url.parse().ok().and_then(|uri| Site::new(&uri)).ok_or_else(|| SourceError::new("not a URL"))
}

fn question(site: &Site, tag: Option<&HeaderValue>) -> Result<RequestHeader, SourceError> {
    let wrong = |_| SourceError::new("not a URL");
    let mut head = RequestHeader::build("GET", site.path.as_bytes(), None).map_err(wrong)?;
    head.insert_header(header::HOST, &site.host).map_err(wrong)?;
    head.insert_header(header::USER_AGENT, "tidegate-discovery").map_err(wrong)?;
    head.insert_header(header::ACCEPT, "application/json, application/yaml;q=0.9, */*;q=0.1").map_err(wrong)?;
    head.insert_header(header::CONNECTION, "close").map_err(wrong)?;
    if let Some(tag) = tag {
        head.insert_header(header::IF_NONE_MATCH, tag).map_err(wrong)?;
    }
    Ok(head)
}
