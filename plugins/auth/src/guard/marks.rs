//! Under which keys an attempt is counted.

use std::net::IpAddr;

use super::Attempt;
use crate::id::Id;

/// The keys of one attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks {
    /// Attempts of the client.
    pub(super) client: Id,
    /// Attempts of the client at the account.
    pub(super) pair: Id,
    /// Attempts at the account; `None` where there is none.
    pub(super) account: Option<Id>,
    /// Failures of the client, at whatever account.
    pub(super) client_failures: Id,
    /// Failures at the account, of whatever client.
    pub(super) account_failures: Id,
    /// Failures of the client at the account.
    pub(super) failures: Id,
    /// Until when the account is locked for the client.
    pub(super) lock: Id,
    /// The client itself: what a puzzle is bound to.
    pub(super) prefix: Prefix,
}

/// As much of an address as one client has: all of an IPv4 address, 64 bits of an IPv6 address. Who has a network has
/// as many addresses as they like.
pub(super) type Prefix = [u8; 16];

impl Marks {
    pub(super) fn of(attempt: &Attempt<'_>) -> Self {
        let (prefix, account) = (prefix(attempt.client), attempt.account.as_bytes());
        let key = |kind: &[u8], parts: [&[u8]; 2]| Id::hash(&[b"guard", kind, parts[0], parts[1]]);
        Self {
            client: key(b"client", [&prefix, b""]),
            pair: key(b"pair", [&prefix, account]),
            account: (!account.is_empty()).then(|| key(b"account", [b"", account])),
            client_failures: key(b"client failed", [&prefix, b""]),
            account_failures: key(b"account failed", [b"", account]),
            failures: key(b"pair failed", [&prefix, account]),
            lock: key(b"lock", [&prefix, account]),
            prefix,
        }
    }
}

/// Registrations of the client.
pub(super) fn registrations(client: IpAddr) -> Id {
    Id::hash(&[b"guard", b"registrations", &prefix(client)])
}

fn prefix(client: IpAddr) -> Prefix {
    match client.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => {
            let mut octets = v6.octets();
            octets[8..].fill(0);
            octets
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_of_64_bits_is_one_client_and_mapped_addresses_are_what_they_map() {
        let of = |ip: &str| prefix(ip.parse().expect("an address"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
