//! Who the client really is: the connection's peer, or what a trusted proxy in front of us says of it.
//!
//! `X-Forwarded-For` is written by anyone who can send a request, so an address in it counts only as far as
//! trusted proxies vouch for it. It is read from the right, where the nearest proxy has written, and the first
//! address that is not a trusted proxy's is the client. Reading it from the left is how limits and allow lists
//! are spoofed.

mod forward;
mod ip_text;
mod proxy;

pub(crate) use forward::forward;
pub(crate) use ip_text::IpText;
pub(crate) use proxy::TrustedProxy;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;
use tidegate_core::Scheme;
use tidegate_core::facts::ClientAddr;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// No real chain of proxies is longer. A longer list is somebody's attempt to keep us busy.
const MOST_HOPS: usize = 64;

/// The proxies in front of the gateway.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrustedProxies {
    nets: Box<[IpNet]>,
    unix: bool,
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The real client.
    pub(crate) client: ClientAddr,
    /// Whether the connection's peer is a trusted proxy, so that its `X-Forwarded-*` are taken for true.
    pub(crate) trusted: bool,
}

impl TrustedProxies {
    /// These, and no others.
    pub(crate) fn new(proxies: impl IntoIterator<Item = TrustedProxy>) -> Self {
        let mut unix = false;
        let nets = proxies.into_iter().filter_map(|proxy| match proxy {
            TrustedProxy::Net(net) => Some(net),
            TrustedProxy::Unix => {
                unix = true;
                None
            }
        });
        Self { nets: nets.collect(), unix }
    }

    /// Who sent a request that came in by a connection from `peer`; `None` is a unix socket.
    ///
    /// A client of whom nothing is known has the unspecified address, which no sensible rule matches: to call
    /// it loopback would hand whoever is behind a local proxy the rights of a local user.
    pub(crate) fn resolve(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Origin {
        let peer = peer.map(|ip| ip.to_canonical());
        let trusted = match peer {
            Some(ip) => self.trusts(ip),
            None => self.unix,
        };
        let told = if trusted { self.client_of_chain(headers) } else { None };
        let ip = told.or(peer).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Origin { client: ClientAddr { ip, forwarded: told.is_some() }, trusted }
    }

    fn trusts(&self, ip: IpAddr) -> bool {
        self.nets.iter().any(|net| net.contains(&ip))
    }

    /// The first address from the right that is no trusted proxy's; else the last that could be read. `None`
    /// when there is not one.
    fn client_of_chain(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let mut client = None;
        for element in hops(headers).take(MOST_HOPS) {
            // What stands further left was vouched for by somebody we can't name.
            let Some(ip) = hop_address(element) else { break };
            client = Some(ip);
            if !self.trusts(ip) {
                break;
            }
        }
        client
    }
}

/// How the client reached the outermost proxy that is known: what a trusted peer says, else `own`.
///
/// Of several values the last one counts, as it is the trusted peer's own.
pub(crate) fn scheme(own: Scheme, trusted: bool, headers: &HeaderMap) -> Scheme {
    if !trusted {
        return own;
    }
    let line = headers.get_all(X_FORWARDED_PROTO).iter().next_back();
    let last = line.and_then(|line| line.as_bytes().rsplit(|b| *b == b',').next());
    match last.map(<[u8]>::trim_ascii) {
        Some(b) if b.eq_ignore_ascii_case(b"https") || b.eq_ignore_ascii_case(b"wss") => Scheme::Https,
        Some(b) if b.eq_ignore_ascii_case(b"http") || b.eq_ignore_ascii_case(b"ws") => Scheme::Http,
        _ => own,
    }
}

/// The elements of all `X-Forwarded-For` lines as one list, from the right. Empty ones don't count (RFC 9110
/// section 5.6.1.2).
fn hops(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers
        .get_all(X_FORWARDED_FOR)
        .iter()
        .rev()
        .flat_map(|line| line.as_bytes().rsplit(|b| *b == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn hop_address(element: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(element).ok()?;
    let bare = || text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::V6);
    bare().or_else(with_port).or_else(bracketed).map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn proxies(list: &[&str]) -> TrustedProxies {
        TrustedProxies::new(list.iter().map(|text| text.parse::<TrustedProxy>().expect("a proxy")))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn with(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
        }
        headers
    }

    /// The client that `10.0.0.0/8` and `2001:db8::/32` being trusted makes of these lines, sent by `10.0.0.1`.
    fn client_of(lines: &[&str]) -> String {
        let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
        let origin = proxies(&["10.0.0.0/8", "2001:db8::/32"]).resolve(Some(ip("10.0.0.1")), &with(&lines));
        assert!(origin.trusted);
        origin.client.ip.to_string()
    }

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_says() {
        let headers = with(&[("x-forwarded-for", "10.0.0.1, 192.0.2.1")]);
        for trusted in [&[][..], &["10.0.0.0/8"]] {
            let origin = proxies(trusted).resolve(Some(ip("198.51.100.7")), &headers);
            assert_eq!(origin.client, ClientAddr { ip: ip("198.51.100.7"), forwarded: false });
            assert!(!origin.trusted);
        }
    }

    #[test]
    fn the_first_untrusted_address_from_the_right_is_the_client() {
        assert_eq!(client_of(&["192.0.2.1"]), "192.0.2.1");
        assert_eq!(client_of(&["192.0.2.1, 10.1.1.1, 10.2.2.2"]), "192.0.2.1");
        assert_eq!(
            client_of(&["6.6.6.6, 192.0.2.1, 10.1.1.1"]),
            "192.0.2.1",
            "what the client itself claims is skipped"
        );
        assert_eq!(client_of(&["6.6.6.6", "192.0.2.1", "10.1.1.1"]), "192.0.2.1", "lines are one list");
        assert_eq!(client_of(&["192.0.2.1 ,,10.1.1.1,", ""]), "192.0.2.1", "empty elements don't count");
    }

    #[test]
    fn a_chain_of_trusted_proxies_only_has_its_far_end_as_client() {
        assert_eq!(client_of(&["10.3.3.3, 10.2.2.2"]), "10.3.3.3");
        assert_eq!(client_of(&[]), "10.0.0.1");
    }

    #[test]
    fn an_unreadable_element_ends_the_walk() {
        for nonsense in ["unknown", "_hidden", "10.0.0.999", "<script>", "10.1.1.1:99999", "fe80::1%eth0", "\u{fc}"] {
            let line = format!("6.6.6.6, {nonsense}, 10.2.2.2");
            assert_eq!(client_of(&[&line]), "10.2.2.2", "{line}");
        }
        assert_eq!(client_of(&["6.6.6.6, unknown"]), "10.0.0.1");
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_understood() {
        for (written, meant) in [
            ("192.0.2.1:4711", "192.0.2.1"),
            ("[2001:db9::1]:4711", "2001:db9::1"),
            ("[2001:db9::1]", "2001:db9::1"),
            ("2001:DB9::1", "2001:db9::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("192.0.2.1, [2001:db8::5]:80, ::ffff:10.9.9.9", "192.0.2.1"),
        ] {
            assert_eq!(client_of(&[written]), meant);
        }
    }

    #[test]
    fn a_mapped_peer_and_a_mapped_network_are_ipv4() {
        let headers = with(&[("x-forwarded-for", "192.0.2.1")]);
        for net in ["10.0.0.0/8", "::ffff:10.0.0.0/104", "10.0.0.1", "::ffff:10.0.0.1"] {
            for peer in ["10.0.0.1", "::ffff:10.0.0.1"] {
                assert_eq!(
                    proxies(&[net]).resolve(Some(ip(peer)), &headers).client.ip,
                    ip("192.0.2.1"),
                    "{net} {peer}"
                );
            }
        }
    }

    #[test]
    fn an_endless_chain_is_not_walked_to_its_end() {
        let line = format!("192.0.2.1{}", ", 10.0.0.2".repeat(MOST_HOPS));
        assert_eq!(client_of(&[&line]), "10.0.0.2");
        let line = format!("192.0.2.1{}", ", 10.0.0.2".repeat(MOST_HOPS - 1));
        assert_eq!(client_of(&[&line]), "192.0.2.1");
    }

    #[test]
    fn a_unix_socket_is_trusted_only_if_the_configuration_says_so() {
        let headers = with(&[("x-forwarded-for", "192.0.2.1")]);
        let origin = proxies(&["unix"]).resolve(None, &headers);
        assert_eq!((origin.client.ip, origin.trusted), (ip("192.0.2.1"), true));
        let origin = proxies(&["0.0.0.0/0", "::/0"]).resolve(None, &headers);
        assert_eq!((origin.client.ip, origin.trusted), (ip("0.0.0.0"), false));
        assert!(!proxies(&["unix"]).resolve(Some(ip("127.0.0.1")), &headers).trusted);
    }

    #[test]
    fn only_a_trusted_proxy_says_what_the_scheme_was() {
        let said = |value: &str| with(&[("x-forwarded-proto", value)]);
        for (value, meant) in [
            ("https", Scheme::Https),
            ("WSS", Scheme::Https),
            ("http, https", Scheme::Https),
            ("https, http", Scheme::Http),
            ("gopher", Scheme::Http),
            ("", Scheme::Http),
        ] {
            assert_eq!(scheme(Scheme::Http, true, &said(value)), meant, "{value}");
            assert_eq!(scheme(Scheme::Http, false, &said(value)), Scheme::Http);
        }
        assert_eq!(scheme(Scheme::Https, true, &HeaderMap::new()), Scheme::Https);
        let lines = with(&[("x-forwarded-proto", "http"), ("x-forwarded-proto", "https")]);
        assert_eq!(scheme(Scheme::Http, true, &lines), Scheme::Https);
    }
}
