//! Tokens that were found good, remembered by their hash.

use std::time::SystemTime;

use crate::verdict::Proved;

/// Good tokens, of all providers, bounded.
pub(crate) struct TokenCache {}

impl TokenCache {
    pub(crate) fn new(_entries: usize, _max_age: std::time::Duration) -> Self {
        Self {}
    }

    /// What the token of `provider` proved, if it is remembered and hasn't expired. Allocates nothing.
    pub(crate) fn get(&self, _provider: &ProviderId, _token: &str, _now: SystemTime) -> Option<Proved> {
        None
    }

    /// Remembers it, until it expires at the latest.
    pub(crate) fn put(&self, _provider: &ProviderId, _token: &str, _proved: &Proved, _now: SystemTime) {}
}

/// Which provider, as it is configured: one that is configured otherwise after a reload doesn't find what the old one
/// has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ProviderId(pub(crate) u64);
