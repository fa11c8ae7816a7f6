//! Sets of client addresses.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use crate::text::text_type;

/// A network (`10.0.0.0/8`) or a single address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(address.to_canonical().into()));
        }
        let net: IpNet =
            text.parse().map_err(|_| format!("`{text}` is neither an address nor a network such as 10.0.0.0/8"))?;
        match net.trunc() == net {
            true => Ok(Self(net)),
            false => Err(format!("`{text}` has bits set beyond its prefix; write {}", net.trunc())),
        }
    }
}

text_type!(Network, "Network", "An address (`192.0.2.7`) or a network (`10.0.0.0/8`, `2001:db8::/32`).");

/// Networks that don't overlap, in order: however long the list, a look-up stays short.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Networks(Vec<IpNet>);

impl Networks {
    pub(crate) fn new(networks: &[Network]) -> Self {
        let mut nets = IpNet::aggregate(&networks.iter().map(|network| network.0).collect());
        nets.sort_unstable_by_key(IpNet::network);
        Self(nets)
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        // A dual-stack socket shows IPv4 clients as ::ffff:a.b.c.d.
        let address = address.to_canonical();
        let after = self.0.partition_point(|net| net.network() <= address);
        after.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|net| net.contains(&address))
    }

    pub(crate) fn includes(&self, others: &Networks) -> bool {
        others.0.iter().all(|other| self.0.iter().any(|net| net.contains(other)))
    }

    /// The widest of them: 0 is everybody.
    pub(crate) fn shortest_prefix(&self) -> u8 {
        self.0.iter().map(IpNet::prefix_len).min().unwrap_or(0)
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, net) in self.0.iter().enumerate() {
            write!(f, "{}{net}", if at > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Networks {
        Networks::new(&texts.iter().map(|text| text.parse().expect(text)).collect::<Vec<_>>())
    }

    #[test]
    fn addresses_are_found_in_any_of_many_networks() {
        let nets = networks(&["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "10.1.0.0/16", "0.0.0.0/32"]);
        for (address, inside) in [
            ("10.255.0.1", true),
            ("11.0.0.0", false),
            ("9.255.255.255", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("::ffff:10.0.0.1", true),
            ("2001:db8::1", true),
            ("2001:db9::", false),
            ("::1", false),
        ] {
            assert_eq!(nets.contains(address.parse().expect(address)), inside, "{address}");
        }
    }

    #[test]
    fn a_network_with_bits_beyond_its_prefix_is_refused() {
        assert_eq!(
            "10.0.0.5/8".parse::<Network>(),
            Err("`10.0.0.5/8` has bits set beyond its prefix; write 10.0.0.0/8".into())
        );
        assert!("10.0.0".parse::<Network>().is_err());
    }

    #[test]
    fn wider_networks_include_narrower_ones() {
        assert!(networks(&["10.0.0.0/8"]).includes(&networks(&["10.1.0.0/16", "10.2.0.1"])));
        assert!(!networks(&["10.0.0.0/8"]).includes(&networks(&["10.1.0.0/16", "11.0.0.0/8"])));
    }
}
