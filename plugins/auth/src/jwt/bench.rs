//! What the benchmark of token checks needs. Not an interface.

use std::time::SystemTime;

use super::checks::{Audience, Checks};
use super::keys::Keys;
use super::verify::verify;
use crate::jwt::algorithm::Algorithms;
use crate::jwt::jwk::Origin;

/// A provider's checks with a set of keys, and no cache before them.
pub struct Uncached {
    keys: Keys,
    checks: Checks,
}

impl Uncached {
    /// The keys of a JWKS; shared secrets are taken, too. `None` if it is none.
    pub fn new(jwks: &[u8], issuer: &str, audience: &str) -> Option<Self> {
        let (keys, _) = Keys::of_set(jwks, Origin::File).ok()?;
        let words = |words: &[&str]| words.iter().map(|word| Box::from(*word)).collect();
        let checks = Checks {
            provider: "bench".into(),
            algorithms: Algorithms::ALL,
            issuer: Some(issuer.into()),
            audience: Audience::OneOf(words(&[audience])),
            typ: None,
            require: words(&["exp"]),
            equal: Box::default(),
            late: 0,
            early: 0,
            max_lifetime: None,
            subject: "sub".into(),
            roles: words(&["roles"]),
            scopes: words(&["scope"]),
            sessions: false,
        };
        Some(Self { keys, checks })
    }

    /// Whether a token is good: everything from its form to its claims.
    pub fn check(&self, token: &str, now: SystemTime) -> bool {
        verify(token, &self.keys, &self.checks, now).is_ok()
    }
}

impl std::fmt::Debug for Uncached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Uncached")
    }
}
