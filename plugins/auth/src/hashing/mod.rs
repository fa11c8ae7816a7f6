//! Passwords are hashed on threads of their own: few at a time, with a short queue, so that logins delay nothing else.

mod bcrypt_text;
mod metrics;
mod pool;

use std::num::NonZeroUsize;
use std::sync::Arc;

use tidegate_core::{BuildCx, ConfigError, ConfigErrors};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

pub(crate) use bcrypt_text::{cost_of, dummy};
pub(crate) use pool::Busy;

use crate::config::service::PasswordRules;
use metrics::HashMetrics;
use pool::Pool;

/// The longest password, in bytes: bcrypt looks at no more.
pub(crate) const LONGEST: usize = 72;

/// The costs that a configuration may choose.
const COSTS: std::ops::RangeInclusive<u32> = 10..=16;

/// Hashes and compares passwords with bcrypt.
pub(crate) struct Hashing {
    pool: Arc<Pool>,
    /// What one comparison takes at least, whatever the hash was made with.
    cost: u32,
}

impl Hashing {
    /// The threads that `password` asks for; those of the configuration before, if it asked for the same. They are
    /// started when the first password comes. Errors are relative to `service.password`.
    pub(crate) fn build(password: &PasswordRules, cx: &mut BuildCx<'_>) -> Result<Arc<Self>, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        if !COSTS.contains(&password.cost) {
            errors.push(ConfigError::at("cost", format!("{} is not between 10 and 16", password.cost)));
        }
        if password.workers.is_some_and(|workers| !(1..=256).contains(&workers)) {
            errors.push(ConfigError::at("workers", "must be between 1 and 256"));
        }
        if password.queue > 100_000 {
            errors.push(ConfigError::at("queue", "must be at most 100000"));
        }
        let metrics = errors.collect(HashMetrics::new(cx.metrics()));
        let workers = password.workers.map_or_else(half, |workers| workers as usize);
        let queue = password.queue as usize;
        let Some(metrics) = metrics.filter(|_| errors.is_empty()) else { return Err(errors) };
        let clock = cx.clock().clone();
        let pool = cx.retain(&format!("hashing {workers} {queue}"), || Pool::new(workers, queue, metrics, clock));
        Ok(Arc::new(Self { pool, cost: password.cost }))
    }

    /// With so many threads and places in the queue.
    #[cfg(test)]
    pub(crate) fn new(workers: usize, queue: usize) -> Self {
        let metrics = HashMetrics::new(&tidegate_core::Metrics::new()).expect("nobody else makes metrics there");
        let pool = Arc::new(Pool::new(workers, queue, metrics, tidegate_core::Clock::system()));
        Self { pool, cost: 12 }
    }

    /// Whether `password` is the one that `hash` was made of, in its [`normal`] form. A hash that is none is like a wrong password, and takes as
    /// long; so does one that was made at a lower cost than is configured: nobody learns which accounts are old.
    pub(crate) async fn verify(&self, password: &str, hash: &str) -> Result<bool, Busy> {
        self.verify_at(password, hash, self.cost).await
    }

    /// The same, with the least that it takes given as a cost.
    pub(crate) async fn verify_at(&self, password: &str, hash: &str, cost: u32) -> Result<bool, Busy> {
        let password = normal(password);
        let hash = hash.to_owned();
        self.pool.run(move || bcrypt_text::compare(password.as_bytes(), &hash, cost).right).await
    }

    /// The hash of a password of at most 72 bytes in its [`normal`] form, none of them zero. Others have no hash (bcrypt would see the beginning
    /// alone): it is one that nothing matches.
    pub(crate) async fn hash(&self, password: &str, cost: u32) -> Result<String, Busy> {
        let password = normal(password);
        let salt = crate::id::Id::random().0;
        self.pool.run(move || bcrypt_text::hash(password.as_bytes(), cost, salt)).await
    }

    /// A hash that no password matches, and that takes as long to compare with as one of this configuration: for names
    /// that nobody has.
    pub(crate) fn dummy(&self) -> String {
        dummy(self.cost)
    }

    #[cfg(test)]
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }
}

/// A password in the form that is hashed: the same letters in the same bytes, whatever keyboard they come from (NFC, as
/// RFC 8265 section 4.2.1 and RFC 7617 section 2.1 have it).
pub(crate) fn normal(password: &str) -> Zeroizing<String> {
    // Room for all of it at once: no copies are left behind.
    let mut normal = Zeroizing::new(String::with_capacity(password.len() * 3));
    normal.extend(password.nfc());
    normal
}

/// Half of the processors, so that requests have the other half whatever happens at the login.
fn half() -> usize {
    (std::thread::available_parallelism().map_or(1, NonZeroUsize::get) / 2).max(1)
}

#[cfg(test)]
mod tests;
