//! Networks of clients.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use tidegate_core::config::UnitError;

use super::text::{shown, text_impls, unreadable};

/// Clients by their address: `10.0.0.0/8`, `2001:db8::/32`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// Whether this client, given in its canonical form, is in it.
    pub fn has(&self, client: IpAddr) -> bool {
        self.0.contains(&client)
    }
}

impl FromStr for Network {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(address.to_canonical().into()));
        }
        let Ok(net) = text.parse::<IpNet>() else {
            let message = format!("{} is neither a network nor an address", shown(text));
            return Err(unreadable(message, "write it as 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7"));
        };
        match net.trunc() {
            whole if whole == net => Ok(Self(canonical(net))),
            whole => Err(unreadable(
                format!("{} has bits beyond its /{}", shown(text), net.prefix_len()),
                format!("write {whole} for the network, or leave out /{} for the one address", net.prefix_len()),
            )),
        }
    }
}

/// Clients are compared as IPv4 where they are mapped into IPv6, so networks must be too.
fn canonical(net: IpNet) -> IpNet {
    match net.addr().to_canonical() {
        IpAddr::V4(v4) if matches!(net, IpNet::V6(_)) && net.prefix_len() >= 96 => {
            IpNet::new(IpAddr::V4(v4), net.prefix_len() - 96).unwrap_or(net)
        }
        _ => net,
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

text_impls!(
    Network,
    "Network",
    "a network",
    ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"],
    "Clients by their address: a network such as `10.0.0.0/8`, or one address."
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(text: &str) -> String {
        text.parse::<Network>().expect_err(text).to_string()
    }

    #[test]
    fn networks_and_addresses_are_read() {
        let has = |net: &str, client: &str| net.parse::<Network>().expect(net).has(client.parse().expect(client));
        assert!(has("10.0.0.0/8", "10.255.0.1") && !has("10.0.0.0/8", "11.0.0.1"));
        assert!(has("192.0.2.7", "192.0.2.7") && !has("192.0.2.7", "192.0.2.8"));
        assert!(has("2001:db8::/32", "2001:db8::1") && !has("2001:db8::/32", "2001:db9::1"));
        assert!(has("::ffff:10.0.0.0/104", "10.1.2.3"), "IPv4 in IPv6 clothes");
        assert!(!has("0.0.0.0/0", "::1"));
    }

    #[test]
    fn what_is_no_network_is_refused_with_its_remedy() {
        assert_eq!(
            refused("10.0.0.0/33"),
            "`10.0.0.0/33` is neither a network nor an address\nhelp: write it as 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7"
        );
        assert_eq!(
            refused("10.0.0.1/8"),
            "`10.0.0.1/8` has bits beyond its /8\n\
             help: write 10.0.0.0/8 for the network, or leave out /8 for the one address"
        );
        assert!(refused("").starts_with("`` is neither"));
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(address: u128, prefix in 0_u8..=128) {
            let net = IpNet::new(IpAddr::from(address.to_be_bytes()), prefix).expect("in range").trunc();
            if let Ok(network) = net.to_string().parse::<Network>() {
                prop_assert_eq!(network.to_string().parse::<Network>(), Ok(network));
            }
        }

        #[test]
        fn no_text_panics(text in "[0-9a-f.:/%ü]{0,24}") {
            let _ = text.parse::<Network>();
        }
    }
}
