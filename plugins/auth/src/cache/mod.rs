//! Tokens that were found good, remembered by their hash.

mod keyed;
mod remembered;

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use tidegate_core::prometheus::{IntCounter, IntGauge};

use crate::verdict::Proved;

pub(crate) use keyed::Keyed;
pub(crate) use remembered::{Put, Remembered};

/// Good tokens, of all providers, bounded. Neither the tokens nor anything that they could be made from is kept.
pub(crate) struct TokenCache {
    /// The most that are remembered; 0: none.
    most: usize,
    max_age: Duration,
    key: Keyed,
    tokens: Remembered<Proved>,
    len: AtomicI64,
    counts: Option<CacheCounts>,
}

/// What operators see of the cache.
#[derive(Debug, Clone)]
pub(crate) struct CacheCounts {
    /// Tokens that are remembered.
    pub(crate) entries: IntGauge,
    /// Tokens that were asked for and not remembered.
    pub(crate) misses: IntCounter,
    /// Tokens that gave way to others.
    pub(crate) evicted: IntCounter,
}

impl TokenCache {
    pub(crate) fn new(entries: usize, max_age: Duration) -> Self {
        let (key, tokens) = (Keyed::new(), Remembered::new(entries));
        Self { most: entries, max_age, key, tokens, len: AtomicI64::new(0), counts: None }
    }

    /// The same, counted.
    pub(crate) fn counted(self, counts: CacheCounts) -> Self {
        Self { counts: Some(counts), ..self }
    }

    /// What the token of `provider` proved, if it is remembered and hasn't expired. Allocates nothing.
    pub(crate) fn get(&self, provider: &ProviderId, token: &str, now: SystemTime) -> Option<Proved> {
        if self.most == 0 {
            return None;
        }
        let found = self.tokens.get(self.key.hash(provider.0, token.as_bytes()), now);
        if let (None, Some(counts)) = (&found, &self.counts) {
            counts.misses.inc();
        }
        found
    }

    /// Remembers it, until it expires at the latest.
    pub(crate) fn put(&self, provider: &ProviderId, token: &str, proved: &Proved, now: SystemTime) {
        let until = self.until(proved, now);
        if self.most == 0 || until <= now {
            return;
        }
        let key = self.key.hash(provider.0, token.as_bytes());
        let put = self.tokens.put(key, proved.clone(), until, now);
        let Some(counts) = &self.counts else { return };
        match put {
            Put::New => counts.entries.set(self.len.fetch_add(1, Relaxed) + 1),
            Put::Instead => counts.evicted.inc(),
            Put::Again | Put::Nowhere => {}
        }
    }

    /// How many are remembered, and how many may be.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.tokens.len(), self.most)
    }

    fn until(&self, proved: &Proved, now: SystemTime) -> SystemTime {
        let oldest = now.checked_add(self.max_age).unwrap_or(now);
        let marked = proved.mark.map(|mark| Duration::from_secs(mark.expires));
        let marked = marked.and_then(|expires| SystemTime::UNIX_EPOCH.checked_add(expires));
        [proved.identity.expires(), marked].into_iter().flatten().fold(oldest, SystemTime::min)
    }
}

/// Which provider, as it is configured: one that is configured otherwise after a reload doesn't find what the old one
/// has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ProviderId(pub(crate) u64);

#[cfg(test)]
mod tests {
    use serde_json::Map;
    use tidegate_core::facts::{Identity, IdentityParts};

    use super::*;
    use crate::verdict::{Mark, Name};

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;
    const P: ProviderId = ProviderId(7);

    fn at(seconds: u64) -> SystemTime {
        NOW + Duration::from_secs(seconds)
    }

    fn proved(expires: u64) -> Proved {
        let parts = IdentityParts { subject: "u1".into(), expires: Some(at(expires)), ..IdentityParts::default() };
        Proved { identity: parts.into(), mark: None }
    }

    #[test]
    fn a_token_is_remembered_until_it_expires_or_is_too_old() {
        let cache = TokenCache::new(100, Duration::from_secs(60));
        cache.put(&P, "short", &proved(10), NOW);
        cache.put(&P, "long", &proved(1000), NOW);
        let there = |token, seconds| cache.get(&P, token, at(seconds)).is_some();
        assert!(there("short", 9) && !there("short", 10));
        assert!(there("long", 59) && !there("long", 60));
    }

    #[test]
    fn what_its_mark_says_of_its_end_counts_as_well() {
        let cache = TokenCache::new(100, Duration::from_secs(60));
        let (token, subject) = (Name::of_jti(None, "1"), Name::of_subject(None, "u"));
        let mark = Some(Mark { token, subject, session: None, issued: 0, expires: 5 });
        let identity = Identity::new("u", "jwt", Map::new());
        cache.put(&P, "t", &Proved { identity, mark }, NOW);
        assert!(cache.get(&P, "t", at(4)).is_some_and(|proved| proved.mark == mark));
        assert!(cache.get(&P, "t", at(5)).is_none());
    }

    #[test]
    fn another_provider_and_another_token_find_nothing() {
        let cache = TokenCache::new(100, Duration::from_secs(60));
        cache.put(&P, "token", &proved(10), NOW);
        assert!(cache.get(&ProviderId(8), "token", NOW).is_none());
        assert!(cache.get(&P, "tokeN", NOW).is_none());
    }

    #[test]
    fn without_entries_nothing_is_remembered_and_nothing_without_an_age() {
        for cache in [TokenCache::new(0, Duration::from_secs(60)), TokenCache::new(9, Duration::ZERO)] {
            cache.put(&P, "token", &proved(10), NOW);
            assert!(cache.get(&P, "token", NOW).is_none());
            assert_eq!(cache.size().0, 0);
        }
    }
}
