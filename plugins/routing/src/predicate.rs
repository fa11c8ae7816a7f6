//! What a route asks of a request beside its host and path.

use std::cmp::Reverse;
use std::fmt;

use http::Method;
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use tidegate_core::{RequestHead, Scheme};

use crate::fields::FieldTest;
use crate::methods::Methods;
use crate::networks::Networks;
use crate::pattern::Pattern;
use crate::version::VersionTest;

/// What a route asks of a request beside its host and path. Empty, it asks nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Conditions {
    pub(crate) methods: Option<Methods>,
    /// Everything but the methods: what must be equal for methods alone to decide.
    pub(crate) others: Others,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Others {
    pub(crate) scheme: Option<Scheme>,
    /// Sorted; empty for any.
    pub(crate) listeners: Vec<Box<str>>,
    pub(crate) clients: Option<Networks>,
    pub(crate) path_regex: Option<Pattern>,
    /// Sorted by field.
    pub(crate) fields: Vec<FieldTest>,
    pub(crate) version: Option<VersionTest>,
}

/// Why a request is not a route's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why<'c> {
    Method(&'c Methods),
    Scheme(Scheme),
    Listener(&'c [Box<str>]),
    Client(&'c Networks),
    PathRegex(&'c Pattern),
    Field(&'c FieldTest),
    Version(&'c VersionTest),
}

/// How specific conditions are: the smallest comes first. Written down in the README; the order in the file is
/// the last resort.
pub(crate) type Rank = (Reverse<usize>, usize, usize, Reverse<u8>);

impl Conditions {
    /// Why `head` (its path normalised) doesn't meet them; `None` when it does.
    pub(crate) fn reject(&self, head: &RequestHead<'_>) -> Option<Why<'_>> {
        match &self.methods {
            Some(methods) if !methods.contains(head.method) && !is_preflight_for(methods, head) => {
                Some(Why::Method(methods))
            }
            _ => self.others.reject(head),
        }
    }

    /// More conditions first, then fewer methods, fewer listeners, narrower client networks.
    pub(crate) fn rank(&self) -> Rank {
        let others = &self.others;
        let kinds = [
            self.methods.is_some(),
            others.scheme.is_some(),
            !others.listeners.is_empty(),
            others.clients.is_some(),
            others.path_regex.is_some(),
            others.version.is_some(),
        ];
        (
            Reverse(kinds.into_iter().filter(|there| *there).count() + others.fields.len()),
            self.methods.as_ref().map_or(0, Methods::len),
            others.listeners.len(),
            Reverse(others.clients.as_ref().map_or(0, Networks::shortest_prefix)),
        )
    }
}

impl Others {
    pub(crate) fn reject(&self, head: &RequestHead<'_>) -> Option<Why<'_>> {
        if let Some(scheme) = self.scheme
            && scheme != head.scheme
        {
            return Some(Why::Scheme(scheme));
        }
        if !self.listeners.is_empty() && !self.listeners.iter().any(|name| **name == *head.listener) {
            return Some(Why::Listener(&self.listeners));
        }
        if let Some(clients) = &self.clients
            && !clients.contains(head.client)
        {
            return Some(Why::Client(clients));
        }
        if let Some(failed) = self.fields.iter().find(|test| !test.passes(head)) {
            return Some(Why::Field(failed));
        }
        if let Some(version) = &self.version
            && !version.passes(head)
        {
            return Some(Why::Version(version));
        }
        let regex = self.path_regex.as_ref()?;
        (!regex.is_match(head.path.as_bytes())).then_some(Why::PathRegex(regex))
    }

    /// Whether every request that meets `narrower` meets these.
    pub(crate) fn include(&self, narrower: &Others) -> bool {
        let listeners = self.listeners.is_empty()
            || (!narrower.listeners.is_empty() && narrower.listeners.iter().all(|name| self.listeners.contains(name)));
        let clients = match (&self.clients, &narrower.clients) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wide), Some(narrow)) => wide.includes(narrow),
        };
        listeners
            && clients
            && (self.scheme.is_none() || self.scheme == narrower.scheme)
            && (self.path_regex.is_none() || self.path_regex == narrower.path_regex)
            && (self.version.is_none() || self.version == narrower.version)
            && self.fields.iter().all(|test| narrower.fields.contains(test))
    }
}

/// Whether the request asks, before it is made, if one of `methods` may be used (Fetch, section 3.2.2). It is the
/// route's to answer: by its CORS policy, or by its upstream.
fn is_preflight_for(methods: &Methods, head: &RequestHead<'_>) -> bool {
    *head.method == Method::OPTIONS
        && head.headers.contains_key(ORIGIN)
        && head
            .headers
            .get(ACCESS_CONTROL_REQUEST_METHOD)
            .and_then(|method| Method::from_bytes(method.as_bytes()).ok())
            .is_some_and(|method| methods.contains(&method))
}

/// `the method is not one of GET, HEAD`
impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Method(methods) => write!(f, "the method is not one of {methods}"),
            Why::Scheme(scheme) => write!(f, "the scheme is not {}", scheme.as_str()),
            Why::Listener(names) => write!(f, "the listener is not {}", names.join(" or ")),
            Why::Client(networks) => write!(f, "the client is not in {networks}"),
            Why::PathRegex(pattern) => write!(f, "the path does not match the expression {pattern}"),
            Why::Field(test) => write!(f, "the request does not have: {test}"),
            Why::Version(version) => write!(f, "the request is not for {version}"),
        }
    }
}

/// What follows the path in a route's summary: ` scheme=https header x-beta=yes`.
impl fmt::Display for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(pattern) = &self.path_regex {
            write!(f, " path~{pattern}")?;
        }
        if let Some(scheme) = self.scheme {
            write!(f, " scheme={}", scheme.as_str())?;
        }
        if !self.listeners.is_empty() {
            write!(f, " listener={}", self.listeners.join("|"))?;
        }
        if let Some(clients) = &self.clients {
            write!(f, " client={clients}")?;
        }
        if let Some(version) = &self.version {
            write!(f, " {version}")?;
        }
        self.fields.iter().try_for_each(|test| write!(f, " {test}"))
    }
}
