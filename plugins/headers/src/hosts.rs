//! Hosts that no client should hear of.

use std::net::IpAddr;

use ipnet::IpNet;
use tidegate_core::{ConfigError, ConfigErrors, ConfigPath};

/// Not reachable from outside: RFC 1918, RFC 6598, RFC 3927, RFC 4193, RFC 4291 section 2.5.6. Without loopback: native
/// applications wait there for the answer of a login (RFC 8252 section 7.3).
const PRIVATE: [&str; 7] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10"];

/// A host, or all hosts below one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HostPattern {
    Exact(Box<str>),
    /// Begins with a dot.
    Below(Box<str>),
}

impl HostPattern {
    /// `a.internal`, `*.internal`; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        match text.strip_prefix('*') {
            Some(below) => below.strip_prefix('.').is_some_and(is_domain).then(|| Self::Below(below.into())),
            None => is_domain(&text).then(|| Self::Exact(text.into())),
        }
    }

    pub(crate) fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(exact) => host.eq_ignore_ascii_case(exact),
            Self::Below(suffix) => {
                let (host, suffix) = (host.as_bytes(), suffix.as_bytes());
                host.len() > suffix.len() && host[host.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
            }
        }
    }

    /// How much of a host it names: the nearest match has the most.
    pub(crate) fn nearness(&self) -> usize {
        match self {
            Self::Exact(_) => usize::MAX,
            Self::Below(suffix) => suffix.len(),
        }
    }
}

/// Whether the text is a domain name, or the first label of one (RFC 1123 section 2.1, and `_`, which people use).
pub(crate) fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// A set of hosts: private addresses, and those that the configuration names.
#[derive(Debug, Clone)]
pub(crate) struct Hosts {
    networks: Vec<IpNet>,
    names: Vec<HostPattern>,
}

impl Hosts {
    /// Errors have paths relative to the list's parent.
    pub(crate) fn build(entries: &[String]) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let networks = PRIVATE.iter().map(|net| net.parse().expect("the networks in this file are networks"));
        let mut hosts = Self { networks: networks.collect(), names: Vec::new() };
        for (index, text) in entries.iter().enumerate() {
            let path = ConfigPath::from("internal_hosts").index(index);
            errors.collect(hosts.add(text).map_err(|error| error.under(&path)));
        }
        errors.into_result(hosts)
    }

    fn add(&mut self, text: &str) -> Result<(), ConfigError> {
        let address = text.trim_start_matches('[').trim_end_matches(']');
        if let Ok(network) = text.parse::<IpNet>() {
            self.networks.push(network);
        } else if let Ok(address) = address.parse::<IpAddr>() {
            self.networks.push(address.into());
        } else if let Some(name) = HostPattern::parse(text) {
            self.names.push(name);
        } else {
            let help = "write a name, *.name, an address or a network, without scheme, port or path";
            return Err(ConfigError::at("", format!("{text:?} is not a host")).help(help));
        }
        Ok(())
    }

    /// Whether it has this host, given without port; an IPv6 address with or without brackets.
    pub(crate) fn has(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        match address.parse::<IpAddr>() {
            Ok(address) => {
                let address = address.to_canonical();
                self.networks.iter().any(|network| network.contains(&address))
            }
            Err(_) => self.names.iter().any(|name| name.matches(host)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(entries: &[&str]) -> Hosts {
        let entries: Vec<_> = entries.iter().map(ToString::to_string).collect();
        Hosts::build(&entries).expect("valid")
    }

    #[test]
    fn private_addresses_always_count_and_public_and_loopback_ones_never_by_themselves() {
        let hosts = hosts(&[]);
        for yes in ["10.0.2.45", "172.31.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "[fd00::1]", "fe80::1"] {
            assert!(hosts.has(yes), "{yes}");
        }
        assert!(hosts.has("[::ffff:10.0.0.1]"), "an IPv4 address in IPv6 clothes");
        for no in ["127.0.0.1", "[::1]", "localhost", "172.32.0.1", "8.8.8.8", "10.0.2.45.example.com", ""] {
            assert!(!hosts.has(no), "{no}");
        }
    }

    #[test]
    fn names_count_in_any_case_and_stars_only_for_hosts_below() {
        let hosts = hosts(&["users-svc", "*.Internal", "203.0.113.0/24", "127.0.0.1", "[2001:db8::7]"]);
        for yes in ["USERS-SVC", "users-svc.", "a.internal", "a.b.INTERNAL", "203.0.113.9", "127.0.0.1", "2001:db8::7"]
        {
            assert!(hosts.has(yes), "{yes}");
        }
        for no in ["users-svc.example.com", "internal", "ainternal", "127.0.0.2", "2001:db8::8"] {
            assert!(!hosts.has(no), "{no}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused_at_its_place() {
        for text in ["http://a", "a:80", "a/b", "", "*", "*internal", "a..b", "10.0.0.0/99", "a b"] {
            let message = Hosts::build(&["ok".into(), text.to_owned()]).expect_err("wrong").to_string();
            assert!(message.starts_with(&format!("internal_hosts[1]: {text:?} is not a host")), "{message}");
        }
    }
}
