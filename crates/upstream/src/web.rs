//! HTTP to URLs, rather than to targets of a pool: what the gateway and its plugins ask on their own account.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, header};
use parking_lot::Mutex;
use pingora_core::protocols::tls::CaType;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_http::RequestHeader;
use tidegate_core::Clock;
use tidegate_core::config::{ConfigError, ConfigPath};

use crate::address::Address;
use crate::client::{Answer, Client, ClientError};
use crate::config::ResolveConfig;
use crate::dns::{Dns, DnsError};
use crate::site::Site;
use crate::tls;
use crate::ttl::Schedule;

/// Asks URLs. Names are resolved off the workers and remembered for their TTL, connections are kept, certificates are
/// verified, redirects are not followed.
pub struct Web {
    client: Client,
    dns: Dns,
    clock: Clock,
    schedule: Schedule,
    places: Mutex<HashMap<String, Place>>,
}

/// Where a host is, and until when that is known.
#[derive(Clone)]
struct Place {
    addresses: Arc<[IpAddr]>,
    until: Instant,
}

/// Hosts come from the configuration; a bound all the same.
const MOST_PLACES: usize = 1024;
/// Shorter than what most servers keep an idle connection for.
const IDLE: Duration = Duration::from_secs(20);

/// CAs that are trusted in place of the system's.
#[derive(Clone)]
pub struct Trust {
    ca: Arc<CaType>,
    /// Connections are shared among those who trust the same.
    group: u64,
}

impl Trust {
    /// Reads a PEM file of CA certificates.
    ///
    /// # Errors
    /// The file can't be read, or has something else in it. Without a path.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut contents = DefaultHasher::new();
        let ca = tls::load_ca(path, &ConfigPath::root(), &mut contents)?;
        Ok(Self { ca, group: contents.finish() })
    }
}

impl Web {
    /// Reads the system's CA certificates: make one, not many.
    pub fn new(resolve: &ResolveConfig, clock: &Clock) -> Self {
        Self {
            client: Client::new(),
            dns: Dns::new(resolve),
            clock: clock.clone(),
            schedule: Schedule { min: resolve.min.into(), max: resolve.max.into() },
            places: Mutex::default(),
        }
    }

    /// Sends a request with an absolute URI, and reads the whole answer: no longer than `within`, no more than `most`
    /// bytes of body. It is sent once more where a kept connection turns out to be dead.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn ask(
        &self,
        request: http::Request<Bytes>,
        trust: Option<&Trust>,
        within: Duration,
        most: usize,
    ) -> Result<http::Response<Bytes>, ClientError> {
        let late = || ClientError::Timeout("no answer in time".into());
        tokio::time::timeout(within, self.ask_all(request, trust, within, most)).await.unwrap_or_else(|_| Err(late()))
    }

    /// The same at an address that is given, with nobody's certificate verified, for a server that is ourselves; with
    /// `most` 0 the body is read and dropped.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn ask_at(
        &self,
        at: SocketAddr,
        request: http::Request<Bytes>,
        within: Duration,
        most: usize,
    ) -> Result<http::Response<Bytes>, ClientError> {
        let late = || ClientError::Timeout("no answer in time".into());
        let asked = async {
            let site = Site::new(request.uri()).ok_or_else(|| ClientError::Protocol("not a URL".into()))?;
            let head = head_of(&request, &site)?;
            let mut peer = peer(&Site { port: at.port(), ..site }, at.ip(), None, within);
            peer.options.verify_cert = false;
            peer.options.verify_hostname = false;
            peer.group_key = OWN_GROUP;
            let body = Some(request.into_body()).filter(|body| !body.is_empty());
            let answer = self.try_twice(&peer, &head, body.as_ref(), within).await?;
            read(answer, within, most).await
        };
        tokio::time::timeout(within, asked).await.unwrap_or_else(|_| Err(late()))
    }

    async fn ask_all(
        &self,
        request: http::Request<Bytes>,
        trust: Option<&Trust>,
        within: Duration,
        most: usize,
    ) -> Result<http::Response<Bytes>, ClientError> {
        let site = Site::new(request.uri()).ok_or_else(|| ClientError::Protocol("not a URL".into()))?;
        let head = head_of(&request, &site)?;
        let addresses = self.addresses(&site).await?;
        let body = Some(request.into_body()).filter(|body| !body.is_empty());
        let answer = self.first(&site, &addresses, trust, (&head, body.as_ref()), within).await?;
        let mut response = head_only(&answer);
        *response.body_mut() = answer.whole(most, within).await?;
        Ok(response)
    }

    /// The first of the addresses that a connection can be made to answers.
    async fn first(
        &self,
        site: &Site,
        addresses: &[IpAddr],
        trust: Option<&Trust>,
        (head, body): (&RequestHeader, Option<&Bytes>),
        within: Duration,
    ) -> Result<Answer, ClientError> {
        let share = within / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        let mut failure = ClientError::Connect("no address".into());
        for ip in addresses {
            let peer = peer(site, *ip, trust, share);
            match self.try_twice(&peer, head, body, within).await {
                Err(error @ ClientError::Connect(_)) => failure = error,
                answer => return answer,
            }
        }
        Err(failure)
    }

    /// A server may have closed a connection just when it was chosen.
    async fn try_twice(
        &self,
        peer: &HttpPeer,
        head: &RequestHeader,
        body: Option<&Bytes>,
        within: Duration,
    ) -> Result<Answer, ClientError> {
        let mut reused = false;
        let send = |head: &RequestHeader| (Box::new(head.clone()), body.cloned());
        let (first, payload) = send(head);
        let answer = self.client.send_if(peer, first, payload, within, |connected| {
            reused = connected.reused;
            Ok(())
        });
        match answer.await {
            Err(ClientError::Reset(_) | ClientError::RefusedStream(_)) if reused => {
                let (again, payload) = send(head);
                self.client.send(peer, again, payload, within).await
            }
            answer => answer,
        }
    }

    /// Where the host is. While the name servers fail, where it was.
    async fn addresses(&self, site: &Site) -> Result<Arc<[IpAddr]>, ClientError> {
        let host = match &site.address {
            Address::Name(host) => host,
            Address::Inet(socket) => return Ok([socket.ip()].into()),
            Address::Unix(_) => return Err(ClientError::Protocol("not a URL".into())),
        };
        let now = self.clock.now();
        let known = self.places.lock().get(&host.host).cloned();
        if let Some(place) = known.as_ref().filter(|place| now < place.until) {
            return Ok(place.addresses.clone());
        }
        match (self.dns.lookup(host).await, known) {
            (Ok(answer), _) => {
                let addresses: Arc<[IpAddr]> = answer.addresses.into();
                let until = now + self.schedule.after_answer(answer.ttl);
                self.remember(&host.host, Place { addresses: addresses.clone(), until });
                Ok(addresses)
            }
            (Err(_), Some(place)) => Ok(place.addresses),
            (Err(error), None) => Err(unresolved(&host.host, &error)),
        }
    }

    fn remember(&self, host: &str, place: Place) {
        let mut places = self.places.lock();
        if places.len() >= MOST_PLACES && !places.contains_key(host) {
            places.clear();
        }
        places.insert(host.to_owned(), place);
    }
}

impl std::fmt::Debug for Web {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Web")
    }
}

/// Connections that trust anybody are shared with nobody else's.
const OWN_GROUP: u64 = u64::MAX;

fn head_only(answer: &Answer) -> http::Response<Bytes> {
    let mut response = http::Response::new(Bytes::new());
    *response.status_mut() = answer.head.status;
    *response.headers_mut() = answer.head.headers.clone();
    response
}

async fn read(mut answer: Answer, within: Duration, most: usize) -> Result<http::Response<Bytes>, ClientError> {
    let mut response = head_only(&answer);
    if most > 0 {
        *response.body_mut() = answer.whole(most, within).await?;
        return Ok(response);
    }
    while answer.chunk().await?.is_some() {}
    answer.done().await;
    Ok(response)
}

fn unresolved(host: &str, error: &DnsError) -> ClientError {
    ClientError::Connect(format!("{host}: {error}").into())
}

fn peer(site: &Site, ip: IpAddr, trust: Option<&Trust>, connect: Duration) -> HttpPeer {
    let mut peer = HttpPeer::new(SocketAddr::new(ip, site.port), site.tls, site.sni(ip));
    peer.options.total_connection_timeout = Some(connect);
    peer.options.connection_timeout = Some(connect);
    peer.options.idle_timeout = Some(IDLE);
    if let Some(trust) = trust {
        peer.options.ca = Some(trust.ca.clone());
        // Pingora's own key leaves the CA out.
        peer.group_key = trust.group;
    }
    peer
}

fn head_of(request: &http::Request<Bytes>, site: &Site) -> Result<RequestHeader, ClientError> {
    let wrong = || ClientError::Protocol("not a request".into());
    let method = request.method().as_str();
    let mut head = RequestHeader::build(method, site.path.as_bytes(), None).map_err(|_| wrong())?;
    head.insert_header(header::HOST, &site.host).map_err(|_| wrong())?;
    head.insert_header(header::USER_AGENT, HeaderValue::from_static("tidegate")).map_err(|_| wrong())?;
    for (name, value) in request.headers() {
        head.append_header(name, value).map_err(|_| wrong())?;
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn get(url: String) -> http::Request<Bytes> {
        http::Request::get(url).header("x-mark", "1").body(Bytes::new()).expect("a request")
    }

    /// Answers one request on each of `connections` connections, and closes it though it says otherwise.
    async fn forgetful(connections: usize) -> (SocketAddr, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let serve = tokio::spawn(async move {
            let mut seen = Vec::new();
            for _ in 0..connections {
                let (mut stream, _) = listener.accept().await.expect("a client");
                let mut buffer = [0; 4096];
                let read = stream.read(&mut buffer).await.expect("a request");
                seen.push(String::from_utf8_lossy(&buffer[..read]).into_owned());
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.expect("sent");
            }
            seen
        });
        (address, serve)
    }

    #[tokio::test]
    async fn a_kept_connection_that_died_costs_no_answer() {
        let web = Web::new(&ResolveConfig::default(), &Clock::system());
        let (address, served) = forgetful(3).await;
        for _ in 0..3 {
            let url = format!("http://user:password@{address}/keys?x=1");
            let answer = web.ask(get(url), None, Duration::from_secs(10), 100).await.expect("an answer");
            assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &b"ok"[..]));
        }
        let first = served.await.expect("served").remove(0).to_lowercase();
        assert!(first.starts_with("get /keys?x=1 http/1.1\r\n"), "{first}");
        assert!(first.contains(&format!("host: {address}\r\n")) && first.contains("x-mark: 1\r\n"), "{first}");
    }

    #[tokio::test]
    async fn what_is_too_long_too_late_or_no_url_is_an_error() {
        let web = Web::new(&ResolveConfig::default(), &Clock::system());
        let (address, _served) = forgetful(1).await;
        let long = web.ask(get(format!("http://{address}/")), None, Duration::from_secs(10), 1).await;
        assert!(matches!(long, Err(ClientError::TooLarge(_))), "{long:?}");
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", silent.local_addr().expect("an address"));
        let late = web.ask(get(url), None, Duration::from_millis(50), 1).await;
        assert!(matches!(late, Err(ClientError::Timeout(_))), "{late:?}");
        for url in ["ftp://a.test/", "/relative", "a.test:80"] {
            let wrong = web.ask(get(url.to_owned()), None, Duration::from_secs(1), 1).await;
            assert!(matches!(wrong, Err(ClientError::Protocol(_))), "{url}: {wrong:?}");
        }
    }
}
