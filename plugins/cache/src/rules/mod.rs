//! A route's policy, checked and ready for requests.

pub(crate) mod build;
mod bypass;
mod media;
mod paths;

#[cfg(test)]
mod tests;

use std::time::Duration;

use tidegate_core::HeaderValue;
use tidegate_core::config::Percent;

pub(crate) use self::bypass::Bypass;
pub(crate) use self::media::{Types, is_stream};
use self::paths::Matcher;
use crate::config::SetCookie;
use crate::key::{KeyRule, Sharing};

/// A route's policy.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) key: KeyRule,
    pub(crate) sharing: Sharing,
    pub(crate) bypass: Bypass,
    /// `None`: all.
    status: Option<Box<[u16]>>,
    types: Option<Types>,
    times: Times,
    negative: Box<[(u16, Duration)]>,
    pub(crate) heuristic: Percent,
    pub(crate) set_cookie: SetCookie,
    pub(crate) respect_client: bool,
    rules: Box<[Rule]>,
}

/// For how long answers are fresh, and of use after that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// Where the upstream says nothing.
    pub(crate) default: Duration,
    /// Whatever it says.
    pub(crate) fixed: Option<Duration>,
    pub(crate) most: Option<Duration>,
    pub(crate) least: Option<Duration>,
    pub(crate) while_revalidate: Duration,
    pub(crate) if_error: Duration,
}

/// What differs for some requests.
#[derive(Debug)]
struct Rule {
    matcher: Matcher,
    times: Times,
    cache_control: Option<HeaderValue>,
}

impl Rules {
    /// The times for a path.
    pub(crate) fn times(&self, path: &str) -> Times {
        self.rule(path).map_or(self.times, |rule| rule.times)
    }

    /// The `Cache-Control` that clients get.
    pub(crate) fn cache_control(&self, path: &str) -> Option<&HeaderValue> {
        self.rule(path)?.cache_control.as_ref()
    }

    fn rule(&self, path: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.matcher.fits(path))
    }

    /// For how long an error is fresh of which the upstream says nothing.
    pub(crate) fn negative(&self, status: u16) -> Option<Duration> {
        self.negative.iter().find(|(known, _)| *known == status).map(|(_, ttl)| *ttl)
    }

    pub(crate) fn takes_status(&self, status: u16) -> bool {
        self.status.as_ref().is_none_or(|list| list.contains(&status))
    }

    pub(crate) fn takes_type(&self, content_type: Option<&[u8]>) -> bool {
        self.types.as_ref().is_none_or(|types| types.has(content_type))
    }
}
