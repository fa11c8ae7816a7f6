//! `trusted_proxies:`, one entry of it.

use std::borrow::Cow;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// A proxy in front of the gateway whose word on the client is taken: an address, a network, or `unix`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TrustedProxy {
    /// Every address of this network.
    Net(IpNet),
    /// Whoever connects by a unix socket.
    Unix,
}

/// A text that names no proxy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TrustedProxyError {
    /// Neither an address, nor a network, nor `unix`.
    #[error("expected an IP address, a network such as 10.0.0.0/8, or `unix`")]
    Unreadable,
    /// An address with a prefix that cuts it off: which of the two is meant?
    #[error("the address has bits beyond its /{prefix}\nhelp: write {net} for the network, or leave out /{prefix} for the one address", prefix = .0.prefix_len(), net = .0)]
    HostBits(IpNet),
}

impl FromStr for TrustedProxy {
    type Err = TrustedProxyError;

    fn from_str(text: &str) -> Result<Self, TrustedProxyError> {
        if text == "unix" {
            return Ok(Self::Unix);
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::Net(ip.to_canonical().into()));
        }
        let net: IpNet = text.parse().map_err(|_| TrustedProxyError::Unreadable)?;
        match net.trunc() {
            whole if whole == net => Ok(Self::Net(canonical(net))),
            whole => Err(TrustedProxyError::HostBits(whole)),
        }
    }
}

/// Peers are compared as IPv4 where they are mapped into IPv6, so networks must be too.
fn canonical(net: IpNet) -> IpNet {
    match net.addr().to_canonical() {
        IpAddr::V4(v4) if matches!(net, IpNet::V6(_)) && net.prefix_len() >= 96 => {
            IpNet::new(IpAddr::V4(v4), net.prefix_len() - 96).unwrap_or(net)
        }
        _ => net,
    }
}

impl<'de> Deserialize<'de> for TrustedProxy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for TrustedProxy {
    fn schema_name() -> Cow<'static, str> {
        "TrustedProxy".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A proxy in front of the gateway: an IP address, a network, or `unix` for all that \
                            connect by a unix socket.",
            "examples": ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7", "unix"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_that_says_two_things_is_refused() {
        let refused = |text: &str| text.parse::<TrustedProxy>().expect_err(text).to_string();
        assert_eq!(
            refused("10.0.0.1/8"),
            "the address has bits beyond its /8\nhelp: write 10.0.0.0/8 for the network, or leave out /8 for the one \
             address"
        );
        for text in ["", "10.0.0", "10.0.0.0/33", "localhost", "UNIX", "10.0.0.0-10.0.0.9"] {
            assert_eq!(refused(text), "expected an IP address, a network such as 10.0.0.0/8, or `unix`");
        }
    }

    #[test]
    fn the_configuration_is_told_where_and_why() {
        use tidegate_core::RawConfig;
        use tidegate_core::config::Value;
        let list = ["unix", "10.0.0.1/8"].map(Value::from).to_vec();
        let errors = RawConfig::new(list.into(), "trusted_proxies").read::<Vec<TrustedProxy>>().expect_err("refused");
        assert_eq!(
            errors.to_string(),
            "trusted_proxies[1]: the address has bits beyond its /8\nhelp: write 10.0.0.0/8 for the network, or \
             leave out /8 for the one address"
        );
    }
}
