//! Asking for the addresses of a name: the hosts file first, then the name servers. Never blocks a worker.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Hosts, Resolver, TokioResolver};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::address::HostPort;
use crate::config::{AddressFamily, ResolveConfig};

/// The addresses of a name, sorted, without repeats, never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) ttl: Duration,
}

/// The SRV records of a name, never none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SrvAnswer {
    pub(crate) records: Vec<SrvRecord>,
    pub(crate) ttl: Duration,
}

/// RFC 2782.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SrvRecord {
    pub(crate) priority: u16,
    pub(crate) weight: u16,
    pub(crate) port: u16,
    /// With its final dot, so that no search domain is tried.
    pub(crate) target: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum DnsError {
    #[error("no such name")]
    NoSuchName,
    #[error("the name has no address of the wanted family")]
    NoAddress,
    #[error("the name has no SRV record")]
    NoRecord,
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("no name server: {0}")]
    NoServer(String),
    #[error("{0}")]
    Failed(String),
}

/// The resolver of one pool. It keeps no answers itself: the pool does.
pub(crate) struct Dns {
    timeout: Duration,
    family: AddressFamily,
    nameserver: Option<SocketAddr>,
    system: Mutex<Option<(Stamp, Arc<System>)>>,
    /// A pool of many names must not flood the name server when the gateway starts.
    permits: Semaphore,
}

/// What the machine's files say.
struct System {
    hosts: Hosts,
    resolver: Result<TokioResolver, DnsError>,
}

/// When the files changed last.
type Stamp = [Option<SystemTime>; 2];

const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";

/// Questions under way at a time.
const PARALLEL: usize = 32;
/// More addresses than a pool can use; a longer answer is cut.
const MOST_ADDRESSES: usize = 256;
/// The hosts file and `localhost` have no TTL; the pool's own maximum applies.
const NO_TTL: Duration = Duration::MAX;

impl Dns {
    pub(crate) fn new(config: &ResolveConfig) -> Self {
        Self {
            timeout: config.timeout.into(),
            family: config.addresses,
            nameserver: config.nameserver,
            system: Mutex::new(None),
            permits: Semaphore::new(PARALLEL),
        }
    }

    /// Asks once. Ends within the configured timeout, whatever the name server does.
    pub(crate) async fn lookup(&self, name: &HostPort) -> Result<Answer, DnsError> {
        self.in_time(self.ask(name)).await
    }

    /// Asks for SRV records once.
    pub(crate) async fn lookup_srv(&self, name: &str) -> Result<SrvAnswer, DnsError> {
        self.in_time(self.ask_srv(name)).await
    }

    async fn in_time<T>(&self, question: impl Future<Output = Result<T, DnsError>>) -> Result<T, DnsError> {
        // Held by others for no longer than the timeout each.
        let Ok(_permit) = self.permits.acquire().await else { return Err(DnsError::Timeout(self.timeout)) };
        match tokio::time::timeout(self.timeout, question).await {
            Ok(answer) => answer,
            Err(_) => Err(DnsError::Timeout(self.timeout)),
        }
    }

    async fn ask_srv(&self, name: &str) -> Result<SrvAnswer, DnsError> {
        let name = Name::from_ascii(name).map_err(|error| DnsError::Failed(error.to_string()))?;
        let system = self.system();
        let resolver = system.resolver.as_ref().map_err(Clone::clone)?;
        let lookup = resolver.lookup(name, RecordType::SRV).await.map_err(|error| match DnsError::from(error) {
            DnsError::NoAddress => DnsError::NoRecord,
            error => error,
        })?;
        let records: Vec<_> = lookup.answers().iter().filter_map(|record| SrvRecord::of(&record.data)).collect();
        match records.is_empty() {
            true => Err(DnsError::NoRecord),
            false => Ok(SrvAnswer { records, ttl: shortest_ttl(&lookup) }),
        }
    }

    async fn ask(&self, name: &HostPort) -> Result<Answer, DnsError> {
        if name.host == "localhost" || name.host.ends_with(".localhost") {
            return self.loopback();
        }
        // As ASCII: read as an international name, one with an underscore would be refused.
        let mut host = Name::from_ascii(&name.host).map_err(|error| DnsError::Failed(error.to_string()))?;
        host.set_fqdn(name.fully_qualified);
        let system = self.system();
        if let Some(answer) = self.in_hosts_file(&system.hosts, &host) {
            return Ok(answer);
        }
        let resolver = system.resolver.as_ref().map_err(Clone::clone)?;
        self.ask_servers(resolver, &host).await
    }

    /// RFC 6761, section 6.3: never asked of a name server.
    fn loopback(&self) -> Result<Answer, DnsError> {
        let (v4, v6) = (Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into());
        self.choose(vec![v4], vec![v6], NO_TTL).ok_or(DnsError::NoAddress)
    }

    fn in_hosts_file(&self, hosts: &Hosts, host: &Name) -> Option<Answer> {
        let find = |kind| {
            let lookup = hosts.lookup_static_host(&Query::query(host.clone(), kind));
            lookup.map_or_else(Vec::new, |lookup| addresses(&lookup))
        };
        self.choose(find(RecordType::A), find(RecordType::AAAA), NO_TTL)
    }

    async fn ask_servers(&self, resolver: &TokioResolver, host: &Name) -> Result<Answer, DnsError> {
        use RecordType::{A, AAAA};
        match self.family {
            AddressFamily::Ipv4 => one(resolver, host, A).await,
            AddressFamily::Ipv6 => one(resolver, host, AAAA).await,
            AddressFamily::PreferIpv4 => first(resolver, host, A, AAAA).await,
            AddressFamily::PreferIpv6 => first(resolver, host, AAAA, A).await,
            AddressFamily::All => both(resolver, host).await,
        }
    }

    fn choose(&self, v4: Vec<IpAddr>, v6: Vec<IpAddr>, ttl: Duration) -> Option<Answer> {
        let preferred = |first: Vec<IpAddr>, second| if first.is_empty() { second } else { first };
        let addresses = match self.family {
            AddressFamily::Ipv4 => v4,
            AddressFamily::Ipv6 => v6,
            AddressFamily::PreferIpv4 => preferred(v4, v6),
            AddressFamily::PreferIpv6 => preferred(v6, v4),
            AddressFamily::All => [v4, v6].concat(),
        };
        Answer::new(addresses, ttl)
    }

    /// The machine's settings as they are now: laptops change networks, and containers get their files late. Two
    /// small files on a local disk are read when they have changed, by a background task.
    fn system(&self) -> Arc<System> {
        let stamp = [RESOLV_CONF, HOSTS].map(|path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok());
        let mut system = self.system.lock();
        match &*system {
            Some((known, system)) if *known == stamp => system.clone(),
            _ => {
                let fresh = Arc::new(self.read_system());
                *system = Some((stamp, fresh.clone()));
                fresh
            }
        }
    }

    fn read_system(&self) -> System {
        let builder = match self.nameserver {
            Some(server) => Ok(Resolver::builder_with_config(only(server), TokioRuntimeProvider::default())),
            None => TokioResolver::builder_tokio(),
        };
        let resolver = builder.and_then(|mut builder| {
            self.tune(builder.options_mut());
            builder.build()
        });
        System {
            hosts: Hosts::from_system().unwrap_or_default(),
            resolver: resolver.map_err(|error| DnsError::NoServer(format!("{RESOLV_CONF}: {error}"))),
        }
    }

    fn tune(&self, options: &mut ResolverOpts) {
        // A lost packet is asked again while there is time.
        options.timeout = self.timeout / 3;
        options.attempts = 2;
        // The pool keeps each answer for its TTL; a second copy here would only hide changes from it.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
    }
}

impl Answer {
    fn new(mut addresses: Vec<IpAddr>, ttl: Duration) -> Option<Self> {
        // Sorted: a name server that turns its answers round each time has said nothing new.
        addresses.sort_unstable();
        addresses.dedup();
        addresses.truncate(MOST_ADDRESSES);
        (!addresses.is_empty()).then_some(Self { addresses, ttl })
    }

    fn from_lookup(lookup: &Lookup) -> Option<Self> {
        Self::new(addresses(lookup), shortest_ttl(lookup))
    }

    fn join(self, other: Self) -> Option<Self> {
        Self::new([self.addresses, other.addresses].concat(), self.ttl.min(other.ttl))
    }
}

impl SrvRecord {
    fn of(data: &RData) -> Option<Self> {
        let RData::SRV(record) = data else { return None };
        let (priority, weight, port) = (record.priority, record.weight, record.port);
        Some(Self { priority, weight, port, target: record.target.to_ascii() })
    }
}

/// Of the whole chain: a CNAME may end before the address that it leads to.
fn shortest_ttl(lookup: &Lookup) -> Duration {
    let ttl = lookup.answers().iter().map(|record| record.ttl).min().unwrap_or(0);
    Duration::from_secs(ttl.into())
}

fn addresses(lookup: &Lookup) -> Vec<IpAddr> {
    lookup.answers().iter().filter_map(|record| record.data.ip_addr()).collect()
}

fn only(server: SocketAddr) -> ResolverConfig {
    let mut config = NameServerConfig::udp_and_tcp(server.ip());
    for connection in &mut config.connections {
        connection.port = server.port();
    }
    ResolverConfig::from_parts(None, Vec::new(), vec![config])
}

async fn one(resolver: &TokioResolver, host: &Name, kind: RecordType) -> Result<Answer, DnsError> {
    let lookup = resolver.lookup(host.clone(), kind).await?;
    Answer::from_lookup(&lookup).ok_or(DnsError::NoAddress)
}

/// The second family is asked for only when the name is known not to have the first: a lost answer is no reason to
/// move all traffic to other addresses.
async fn first(
    resolver: &TokioResolver,
    host: &Name,
    first: RecordType,
    second: RecordType,
) -> Result<Answer, DnsError> {
    match one(resolver, host, first).await {
        // With search domains, "no such name" is only what the last of them said.
        Err(absent @ (DnsError::NoAddress | DnsError::NoSuchName)) => one(resolver, host, second).await.or(Err(absent)),
        answer => answer,
    }
}

async fn both(resolver: &TokioResolver, host: &Name) -> Result<Answer, DnsError> {
    match tokio::join!(one(resolver, host, RecordType::A), one(resolver, host, RecordType::AAAA)) {
        (Ok(v4), Ok(v6)) => v4.join(v6).ok_or(DnsError::NoAddress),
        (Ok(answer), Err(_)) | (Err(_), Ok(answer)) => Ok(answer),
        (Err(error), Err(_)) => Err(error),
    }
}

impl From<NetError> for DnsError {
    fn from(error: NetError) -> Self {
        match error {
            error if error.is_nx_domain() => Self::NoSuchName,
            error if error.is_no_records_found() => Self::NoAddress,
            error => Self::Failed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_hosts_file(addresses: AddressFamily, host: &str) -> Option<Answer> {
        let mut hosts = Hosts::default();
        let text = "127.0.0.1 localhost\n10.0.0.9 users.internal users # a comment\n2001:db8::9 users\n";
        hosts.read_hosts_conf(text.as_bytes()).unwrap();
        let dns = Dns::new(&ResolveConfig { addresses, ..Default::default() });
        dns.in_hosts_file(&hosts, &Name::from_ascii(host).unwrap())
    }

    #[test]
    fn names_in_the_hosts_file_are_found_without_asking() {
        let v4 = Answer { addresses: vec![IpAddr::from([10, 0, 0, 9])], ttl: NO_TTL };
        assert_eq!(in_hosts_file(AddressFamily::PreferIpv4, "users"), Some(v4.clone()));
        assert_eq!(in_hosts_file(AddressFamily::PreferIpv6, "users.internal"), Some(v4));
        assert_eq!(in_hosts_file(AddressFamily::All, "users").unwrap().addresses.len(), 2);
        assert_eq!(in_hosts_file(AddressFamily::All, "other"), None);
    }

    #[tokio::test]
    async fn localhost_and_names_below_it_are_this_machine() {
        let dns = Dns::new(&ResolveConfig::default());
        for host in ["localhost", "app.localhost"] {
            let name = HostPort { host: host.to_owned(), port: 80, fully_qualified: false };
            assert_eq!(dns.lookup(&name).await.unwrap().addresses, [IpAddr::from(Ipv4Addr::LOCALHOST)]);
        }
    }

    #[test]
    fn answers_are_sorted_without_repeats_and_bounded() {
        let ip = |last| IpAddr::from([10, 0, 0, last]);
        let answer = Answer::new(vec![ip(2), ip(1), ip(2)], Duration::ZERO).unwrap();
        assert_eq!(answer.addresses, [ip(1), ip(2)]);
        let many = (0..1_000u32).map(|n| IpAddr::from(Ipv4Addr::from_bits(n))).collect();
        assert_eq!(Answer::new(many, Duration::ZERO).unwrap().addresses.len(), MOST_ADDRESSES);
        assert!(Answer::new(Vec::new(), Duration::ZERO).is_none());
    }
}
