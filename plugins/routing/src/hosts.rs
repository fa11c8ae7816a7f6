//! The hosts of all routes, the most specific first.

use std::collections::{BTreeSet, HashMap};

use crate::host::{HostPattern, parents};
use crate::trie::{NodeId, Trie};

/// The hosts of all routes.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    exact: HashMap<Box<str>, Host>,
    below: HashMap<Box<str>, Host>,
    any: Option<Host>,
    /// Whether a host is served on some listeners only.
    some_elsewhere: bool,
}

/// One host, or all hosts below one, or any.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) pattern: HostPattern,
    /// Where its paths begin in the trie.
    pub(crate) root: NodeId,
    served_on: ServedOn,
}

#[derive(Debug)]
enum ServedOn {
    Every,
    Some(BTreeSet<Box<str>>),
}

impl Hosts {
    /// The place of `pattern`, made if need be, for a route on `listeners` (empty: all).
    pub(crate) fn add(&mut self, pattern: &HostPattern, listeners: &[Box<str>], trie: &mut Trie) -> NodeId {
        let new = || Host { pattern: pattern.clone(), root: trie.root(), served_on: ServedOn::Some(BTreeSet::new()) };
        let host = match pattern {
            HostPattern::Exact(name) => self.exact.entry(name.clone()).or_insert_with(new),
            HostPattern::Below(name) => self.below.entry(name.clone()).or_insert_with(new),
            HostPattern::Any => self.any.get_or_insert_with(new),
        };
        match &mut host.served_on {
            served_on if listeners.is_empty() => *served_on = ServedOn::Every,
            ServedOn::Some(names) => names.extend(listeners.iter().cloned()),
            ServedOn::Every => {}
        }
        host.root
    }

    /// To be called when all are added.
    pub(crate) fn finish(&mut self) {
        let mut named = self.exact.values().chain(self.below.values());
        self.some_elsewhere = named.any(|host| matches!(host.served_on, ServedOn::Some(_)));
    }

    /// The hosts that match `name`: itself, then `*.` of its parents, the nearest first, then any.
    pub(crate) fn matching<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h Host> {
        let wildcards = if self.below.is_empty() { "" } else { name };
        let below = parents(wildcards).filter_map(|parent| self.below.get(parent));
        self.exact.get(name).into_iter().chain(below).chain(&self.any)
    }

    /// Whether the host is known, but only on other listeners than `listener` (RFC 9110 section 15.5.20).
    pub(crate) fn is_elsewhere(&self, name: &str, listener: &str) -> bool {
        self.some_elsewhere
            && self.matching(name).next().is_some_and(|host| match (&host.pattern, &host.served_on) {
                (HostPattern::Any, _) | (_, ServedOn::Every) => false,
                (_, ServedOn::Some(names)) => !names.contains(listener),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(patterns: &[&str]) -> Hosts {
        let (mut hosts, mut trie) = (Hosts::default(), Trie::default());
        for pattern in patterns {
            hosts.add(&pattern.parse().expect(pattern), &[], &mut trie);
        }
        hosts.finish();
        hosts
    }

    #[test]
    fn hosts_match_the_most_specific_first() {
        let hosts = hosts(&["*", "*.test", "a.b.test", "*.b.test", "b.test"]);
        for (name, expected) in [
            ("a.b.test", &["a.b.test", "*.b.test", "*.test", "*"][..]),
            ("x.b.test", &["*.b.test", "*.test", "*"]),
            ("x.y.b.test", &["*.b.test", "*.test", "*"]),
            ("b.test", &["b.test", "*.test", "*"]),
            ("test", &["*"]),
            ("", &["*"]),
            ("xb.test", &["*.test", "*"]),
        ] {
            let found: Vec<_> = hosts.matching(name).map(|host| host.pattern.to_string()).collect();
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn a_host_is_elsewhere_when_none_of_its_routes_is_here() {
        let (mut hosts, mut trie) = (Hosts::default(), Trie::default());
        let mut add = |pattern: &str, listener: Option<&str>| {
            let listeners: Vec<_> = listener.into_iter().map(Box::from).collect();
            hosts.add(&pattern.parse().expect(pattern), &listeners, &mut trie);
        };
        add("db.internal", Some("private"));
        add("*.internal", Some("private"));
        add("app.internal", None);
        add("both.test", Some("private"));
        add("both.test", Some("public"));
        add("*", Some("private"));
        hosts.finish();
        for (name, elsewhere) in [
            ("db.internal", true),
            ("other.internal", true),
            ("app.internal", false),
            ("both.test", false),
            ("unknown.test", false),
        ] {
            assert_eq!(hosts.is_elsewhere(name, "public"), elsewhere, "{name}");
            assert!(!hosts.is_elsewhere(name, "private"), "{name}");
        }
    }
}
