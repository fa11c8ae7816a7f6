//! What a request says about stored answers (RFC 9111 section 5.2.1).

use tidegate_core::{HeaderMap, header};

use super::list::{Directive, Directives};
use super::response::pragma_says_no_cache;

/// What a client wants of stored answers. What it says twice or wrongly counts as what asks for the newer answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Asks {
    pub(crate) no_cache: bool,
    pub(crate) no_store: bool,
    pub(crate) only_if_cached: bool,
    pub(crate) max_age: Option<u32>,
    pub(crate) min_fresh: Option<u32>,
    /// How many seconds after its time an answer is still welcome.
    pub(crate) max_stale: Option<u32>,
    /// The same where the upstream fails (RFC 5861 section 4).
    pub(crate) stale_if_error: Option<u32>,
}

impl Asks {
    /// Of a request with these fields.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut asks = Self::default();
        let mut lines = headers.get_all(header::CACHE_CONTROL).iter().peekable();
        if lines.peek().is_none() {
            asks.no_cache = headers.contains_key(header::PRAGMA) && pragma_says_no_cache(headers);
            return asks;
        }
        lines.flat_map(|line| Directives::of(line.as_bytes())).for_each(|directive| asks.add(&directive));
        asks
    }

    fn add(&mut self, directive: &Directive<'_>) {
        let least = |said: Option<u32>, seconds: u32| Some(said.map_or(seconds, |said| said.min(seconds)));
        if directive.is("no-cache") {
            self.no_cache = true;
        } else if directive.is("no-store") {
            self.no_store = true;
        } else if directive.is("only-if-cached") {
            self.only_if_cached = true;
        } else if directive.is("max-age") {
            self.max_age = least(self.max_age, directive.seconds());
        } else if directive.is("stale-if-error") {
            self.stale_if_error = least(self.stale_if_error, directive.seconds());
        } else if directive.is("min-fresh") {
            let wants = directive.value.and_then(super::seconds::of).unwrap_or(super::seconds::MOST);
            self.min_fresh = self.min_fresh.max(Some(wants));
        } else if directive.is("max-stale") {
            // Without a number: however stale it is.
            let takes = directive.value.map_or(super::seconds::MOST, |_| directive.seconds());
            self.max_stale = least(self.max_stale, takes);
        }
    }
}
