//! Pingora's peers, made once per address with every option set.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use pingora_core::protocols::{ALPN, TcpKeepalive};
use pingora_core::upstreams::peer::HttpPeer;

use crate::config::{Protocol, UpstreamConfig, Verify};
use crate::tls::TlsProfile;

/// What the peers of one pool have in common.
pub(crate) struct PeerTemplate {
    protocol: Protocol,
    timeouts: Deadlines,
    tls: Option<TlsProfile>,
    tcp_keepalive: Option<TcpKeepalive>,
    max_h2_streams: usize,
    h2_ping: Option<Duration>,
    group_key: u64,
}

struct Deadlines {
    connect: Duration,
    read: Duration,
    write: Duration,
    idle: Duration,
}

impl PeerTemplate {
    pub(crate) fn new(config: &UpstreamConfig, tls: Option<TlsProfile>) -> Self {
        let mut template = Self {
            protocol: config.protocol,
            timeouts: Deadlines {
                connect: config.timeouts.connect.into(),
                read: config.timeouts.read.into(),
                write: config.timeouts.write.into(),
                idle: config.timeouts.idle.into(),
            },
            tls,
            tcp_keepalive: config.tcp_keepalive.as_ref().map(|keepalive| TcpKeepalive {
                idle: keepalive.idle.into(),
                interval: keepalive.interval.into(),
                count: keepalive.count as usize,
                #[cfg(target_os = "linux")]
                user_timeout: Duration::ZERO,
            }),
            max_h2_streams: config.h2.max_streams as usize,
            h2_ping: config.h2.ping_interval.map(Into::into),
            group_key: 0,
        };
        template.group_key = template.hash_of_connections();
        template
    }

    pub(crate) fn tls(&self) -> Option<&TlsProfile> {
        self.tls.as_ref()
    }

    /// Equal for pools that may share connections, also across a reload: the hash of all that is settled when a
    /// connection is made. Pingora's own key has the address, SNI and the client certificate's serial number, and
    /// leaves out the CA and ALPN, so that two pools with different CAs would share connections.
    pub(crate) fn group_key(&self) -> u64 {
        self.group_key
    }

    fn hash_of_connections(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.protocol, &self.tls, self.max_h2_streams, self.h2_ping).hash(&mut hasher);
        let probes = self.tcp_keepalive.as_ref().map(|k| (k.idle, k.interval, k.count));
        probes.hash(&mut hasher);
        hasher.finish()
    }

    /// A peer at an address. `host` is the target's name, if it has one.
    pub(crate) fn inet(&self, address: SocketAddr, host: Option<&str>) -> HttpPeer {
        let sni = self.sni(host, address.ip());
        // An address that is resolved already: with a name, this would ask the system's resolver and block.
        self.finish(HttpPeer::new(address, self.tls.is_some(), sni))
    }

    /// A peer behind a unix socket; `None` if the path is none that the system takes.
    pub(crate) fn unix(&self, path: &Path) -> Option<HttpPeer> {
        // Never verified against: a TLS pool with a unix socket has an SNI of its own.
        let sni = self.sni(Some("localhost"), IpAddr::from([127, 0, 0, 1]));
        let peer = HttpPeer::new_uds(path.to_str()?, self.tls.is_some(), sni).ok()?;
        Some(self.finish(peer))
    }

    /// The peer for an HTTP/1.1 upgrade, where `peer` could end up with HTTP/2.
    pub(crate) fn for_upgrade(&self, peer: &HttpPeer) -> Option<HttpPeer> {
        (peer.options.alpn == ALPN::H2H1).then(|| {
            let mut peer = peer.clone();
            peer.options.alpn = ALPN::H1;
            // Or its connections would be taken for ones on which HTTP/2 was offered and turned down.
            peer.group_key = !peer.group_key;
            peer
        })
    }

    /// Never empty: Pingora takes an empty name as an order not to verify the certificate.
    fn sni(&self, host: Option<&str>, ip: IpAddr) -> String {
        let configured = self.tls.as_ref().and_then(|tls| tls.sni.as_deref());
        configured.or(host).map_or_else(|| ip.to_string(), str::to_owned)
    }

    fn finish(&self, mut peer: HttpPeer) -> HttpPeer {
        peer.group_key = self.group_key;
        let options = &mut peer.options;
        // Pingora applies the first to the TCP and to the TLS handshake in turn; the second bounds both together.
        options.connection_timeout = Some(self.timeouts.connect);
        options.total_connection_timeout = Some(self.timeouts.connect);
        options.read_timeout = Some(self.timeouts.read);
        options.write_timeout = Some(self.timeouts.write);
        options.idle_timeout = Some(self.timeouts.idle);
        options.tcp_keepalive = self.tcp_keepalive.clone();
        options.max_h2_streams = self.max_h2_streams;
        options.h2_ping_interval = self.h2_ping;
        options.alpn = self.alpn();
        if let Some(tls) = &self.tls {
            options.verify_cert = tls.verify == Verify::Full;
            options.verify_hostname = tls.verify == Verify::Full;
            options.ca = tls.ca.clone();
            peer.client_cert_key = tls.certificate.clone();
        }
        peer
    }

    fn alpn(&self) -> ALPN {
        match (self.protocol, &self.tls) {
            // Without TLS this is HTTP/2 with prior knowledge (RFC 9113, section 3.3).
            (Protocol::H2, _) => ALPN::H2,
            (Protocol::Auto, Some(_)) => ALPN::H2H1,
            (Protocol::Auto, None) | (Protocol::Http1, _) => ALPN::H1,
        }
    }
}
