//! What the upstream is told about the client.

use std::net::IpAddr;

use http::header::InvalidHeaderValue;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use smallvec::SmallVec;
use tidegate_core::Scheme;

use super::{IpText, X_FORWARDED_FOR};

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Says in the upstream's request who sent it, and removes what the client itself said about that unless it is
/// a trusted proxy. For the head of one try, which begins as a copy of the client's: the peer is added once.
///
/// `authority` and `scheme` are those the client used, as the gateway knows them.
pub(crate) fn forward(
    trusted: bool,
    peer: Option<IpAddr>,
    authority: &str,
    scheme: Scheme,
    upstream: &mut HeaderMap,
) -> Result<(), InvalidHeaderValue> {
    let chain = chain(trusted, peer, upstream);
    strip_claims(trusted, upstream);
    match chain.is_empty() {
        true => drop(upstream.remove(X_FORWARDED_FOR)),
        false => drop(upstream.insert(X_FORWARDED_FOR, HeaderValue::from_bytes(&chain)?)),
    }
    upstream.insert(X_FORWARDED_PROTO, HeaderValue::from_static(scheme.as_str()));
    if !authority.is_empty() && !upstream.contains_key(X_FORWARDED_HOST) {
        let host = match shared_host(authority, upstream) {
            Some(host) => host,
            None => HeaderValue::from_str(authority)?,
        };
        upstream.insert(X_FORWARDED_HOST, host);
    }
    Ok(())
}

/// The new `X-Forwarded-For`: what a trusted peer sent, then the peer. A unix socket has no address to add.
fn chain(trusted: bool, peer: Option<IpAddr>, headers: &HeaderMap) -> SmallVec<[u8; 128]> {
    let mut chain = SmallVec::new();
    let mut push = |element: &[u8]| {
        if !chain.is_empty() {
            chain.extend_from_slice(b", ");
        }
        chain.extend_from_slice(element);
    };
    if trusted {
        let lines = headers.get_all(X_FORWARDED_FOR).iter().map(|line| line.as_bytes().trim_ascii());
        lines.filter(|line| !line.is_empty()).for_each(&mut push);
    }
    if let Some(ip) = peer {
        push(IpText::of(ip.to_canonical()).as_bytes());
    }
    chain
}

/// The `Host` field's own value where it is this authority, which costs no copy.
fn shared_host(authority: &str, headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(header::HOST).filter(|host| host.as_bytes() == authority.as_bytes()).cloned()
}

fn strip_claims(trusted: bool, upstream: &mut HeaderMap) {
    let claims = upstream.keys().filter(|name| is_stripped(name.as_str(), trusted));
    let claims: SmallVec<[HeaderName; 4]> = claims.cloned().collect();
    for name in &claims {
        upstream.remove(name);
    }
}

/// CGI and its heirs (WSGI, Rack, PHP) read `X_Forwarded_For` as `X-Forwarded-For`. No proxy writes it so, so not
/// even a trusted one may pass it on.
fn is_stripped(name: &str, trusted: bool) -> bool {
    is_claim(name) && (!trusted || name.contains('_'))
}

/// Whether a header field claims something about where the request comes from.
fn is_claim(name: &str) -> bool {
    // Every request's every field is asked: the first letter settles most.
    let named = |claims: &[&str]| claims.iter().any(|claim| spelled(name, claim));
    match name.as_bytes().first() {
        Some(b'x') => {
            starts_spelled(name, "x-forwarded-") || named(&["x-real-ip", "x-client-ip", "x-cluster-client-ip"])
        }
        Some(b'f') => named(&["forwarded", "fastly-client-ip"]),
        Some(b'c') => starts_spelled(name, "cf-connecting-ip"),
        Some(b't') => named(&["true-client-ip"]),
        _ => false,
    }
}

fn spelled(name: &str, claim: &str) -> bool {
    name.len() == claim.len() && starts_spelled(name, claim)
}

fn starts_spelled(name: &str, claim: &str) -> bool {
    let same = |(a, b): (u8, u8)| a == b || (a == b'_' && b == b'-');
    name.len() >= claim.len() && name.bytes().zip(claim.bytes()).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn request(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let field = |(name, value): &(&str, &'static str)| {
            (name.parse::<HeaderName>().expect("a name"), HeaderValue::from_static(value))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in fields.iter().map(field) {
            headers.append(name, value);
        }
        headers
    }

    fn forwarded(trusted: bool, peer: Option<&str>, headers: &mut HeaderMap) -> String {
        forward(trusted, peer.map(ip), "shop.test:8443", Scheme::Https, headers).expect("forwarded");
        let line =
            |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}\r\n", value.to_str().expect("text"));
        headers.iter().map(line).collect()
    }

    #[test]
    fn the_upstream_sees_the_peer_and_what_the_client_asked_for() {
        let wire = forwarded(false, Some("192.0.2.1"), &mut request(&[("Host", "shop.test:8443")]));
        assert_eq!(
            wire,
            "host: shop.test:8443\r\nx-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: https\r\n\
             x-forwarded-host: shop.test:8443\r\n"
        );
    }

    #[test]
    fn what_an_untrusted_client_claims_never_reaches_the_upstream() {
        let mut head = request(&[
            ("Host", "internal"),
            ("X-Forwarded-For", "6.6.6.1"),
            ("x-forwarded-for", "6.6.6.2"),
            ("X_Forwarded_For", "6.6.6.3"),
            ("X-Forwarded_For", "6.6.6.3"),
            ("X-Forwarded-Host", "6.6.6.4"),
            ("X-Forwarded-Proto", "6.6.6.5"),
            ("X-Forwarded-Port", "6.6.6.6"),
            ("X-Forwarded-Server", "6.6.6.7"),
            ("X-Forwarded-Prefix", "6.6.6.8"),
            ("X-Forwarded-Anything", "6.6.6.9"),
            ("Forwarded", "for=6.6.6.10"),
            ("X-Real-IP", "6.6.6.11"),
            ("True-Client-IP", "6.6.6.12"),
            ("CF-Connecting-IP", "6.6.6.13"),
            ("CF-Connecting-IPv6", "6.6.6.13"),
            ("X-Client-IP", "6.6.6.14"),
            ("X-Cluster-Client-IP", "6.6.6.15"),
            ("Fastly-Client-IP", "6.6.6.16"),
            ("X-Forward", "stays"),
            ("X-Requested-With", "stays"),
            ("From", "stays"),
            ("Cookie", "stays"),
        ]);
        let wire = forwarded(false, Some("2001:db8::1"), &mut head);
        assert!(!wire.contains("6.6.6."), "{wire}");
        assert_eq!(wire.matches("stays").count(), 4, "{wire}");
        assert!(wire.contains("x-forwarded-for: 2001:db8::1\r\n"), "{wire}");
        assert!(wire.contains("x-forwarded-host: shop.test:8443\r\n"), "{wire}");
    }

    #[test]
    fn a_trusted_proxys_chain_is_kept_and_the_proxy_added() {
        let mut head = request(&[
            ("X-Forwarded-For", "6.6.6.6, 192.0.2.1"),
            ("X-Forwarded-For", "10.1.1.1"),
            ("X-Forwarded-Host", "outside.test"),
            ("X-Forwarded-Port", "443"),
            ("X-Forwarded-Proto", "http"),
            ("X_Forwarded_For", "7.7.7.7"),
        ]);
        let wire = forwarded(true, Some("::ffff:10.0.0.1"), &mut head);
        assert!(wire.contains("x-forwarded-for: 6.6.6.6, 192.0.2.1, 10.1.1.1, 10.0.0.1\r\n"), "{wire}");
        assert!(wire.contains("x-forwarded-host: outside.test\r\n"), "{wire}");
        assert!(wire.contains("x-forwarded-port: 443\r\n"), "{wire}");
        assert!(wire.contains("x-forwarded-proto: https\r\n"), "{wire}");
        assert!(!wire.contains("7.7.7.7"), "{wire}");
    }

    #[test]
    fn a_unix_socket_adds_no_address() {
        let mut head = request(&[("X-Forwarded-For", "192.0.2.1")]);
        assert!(forwarded(true, None, &mut head).contains("x-forwarded-for: 192.0.2.1\r\n"));
        let mut head = request(&[("X-Forwarded-For", "192.0.2.1")]);
        assert!(!forwarded(false, None, &mut head).contains("x-forwarded-for"));
    }
}
