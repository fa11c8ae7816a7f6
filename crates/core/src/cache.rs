//! The shape of a cache policy. The gateway asks it; it never touches the store itself.

use std::time::Duration;

use pingora_http::ResponseHeader;

use crate::Cx;

/// What one route wants cached, and for how long (RFC 9111). At most one plugin of a route may have one.
pub trait CachePolicy: Send + Sync {
    /// Whether this request may be answered from the cache, and by which key.
    fn lookup(&self, cx: &Cx<'_>) -> Lookup;

    /// Whether this answer of the upstream may be stored. Runs after `upstream_response`, before `response`.
    fn admit(&self, cx: &Cx<'_>, response: &ResponseHeader) -> Option<Freshness>;
}

/// What a cache is to do with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// Straight to the upstream; the answer is not stored.
    Bypass,
    /// Look under this key, and store under it.
    Key(CacheKey),
}

/// What an answer is stored under. Each part is length-prefixed, so that no two different keys read the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct CacheKey(Vec<u8>);

impl CacheKey {
    /// A key with nothing in it yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a part: scheme, host, path, query, a header's value, an identity.
    #[must_use]
    pub fn part(mut self, part: &[u8]) -> Self {
        self.0.extend_from_slice(&(part.len() as u64).to_be_bytes());
        self.0.extend_from_slice(part);
        self
    }

    /// The whole key.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// How long a stored answer may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// Used without asking.
    pub fresh: Duration,
    /// Then used while a new one is fetched (RFC 5861).
    pub stale_while_revalidate: Duration,
    /// Used when the upstream fails (RFC 5861).
    pub stale_if_error: Duration,
}

#[cfg(test)]
mod tests {
    use super::CacheKey;

    #[test]
    fn parts_never_run_together() {
        assert_ne!(CacheKey::new().part(b"ab").part(b"c"), CacheKey::new().part(b"a").part(b"bc"));
    }
}
