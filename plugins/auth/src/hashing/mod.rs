//! Passwords are hashed on threads of their own: few at a time, with a short queue, so that logins delay nothing else.

mod argon2_text;
mod bcrypt_text;
mod kind;
mod metrics;
mod pool;

use std::num::NonZeroUsize;
use std::sync::Arc;

use tidegate_core::{BuildCx, Clock, ConfigError, ConfigErrors, ConfigPath};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

pub(crate) use argon2_text::Effort;
pub(crate) use kind::{Kind, Seen, Work};
pub(crate) use pool::Busy;

use crate::config::service::{Argon2id, PasswordAlgorithm, PasswordRules};
use crate::id::Millis;
use metrics::HashMetrics;
use pool::Pool;

/// The longest password, in bytes: bcrypt looks at no more.
pub(crate) const LONGEST: usize = 72;

/// The costs that a configuration may choose.
const COSTS: std::ops::RangeInclusive<u32> = 10..=16;

/// Hashes and compares passwords.
pub(crate) struct Hashing {
    pool: Arc<Pool>,
    /// Of new hashes.
    kind: Kind,
    /// Of those that there are. What one comparison takes at least, whatever hash it is with.
    seen: Arc<Seen>,
    clock: Clock,
}

impl Hashing {
    /// The threads that `password` asks for; those of the configuration before, if it asked for the same. They are
    /// started when the first password comes. `place`: where the accounts are. Errors are relative to `service.password`.
    pub(crate) fn build(
        password: &PasswordRules,
        place: &str,
        cx: &mut BuildCx<'_>,
    ) -> Result<Arc<Self>, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let kind = errors.collect(kind(password));
        if password.workers.is_some_and(|workers| !(1..=256).contains(&workers)) {
            errors.push(ConfigError::at("workers", "must be between 1 and 256"));
        }
        if password.queue > 100_000 {
            errors.push(ConfigError::at("queue", "must be at most 100000"));
        }
        let metrics = errors.collect(HashMetrics::new(cx.metrics()));
        let workers = password.workers.map_or_else(half, |workers| workers as usize);
        let queue = password.queue as usize;
        let (Some(metrics), Some(kind), true) = (metrics, kind, errors.is_empty()) else { return Err(errors) };
        let clock = cx.clock().clone();
        let making = clock.clone();
        let pool = cx.retain(&format!("hashing {workers} {queue}"), || Pool::new(workers, queue, metrics, making));
        let seen = cx.retain(&["hashes ", place].concat(), Seen::default);
        seen.note(kind, Millis::of(clock.wall()));
        Ok(Arc::new(Self { pool, kind, seen, clock }))
    }

    /// With so many threads and places in the queue.
    #[cfg(test)]
    pub(crate) fn new(workers: usize, queue: usize) -> Self {
        let (metrics, clock) = (HashMetrics::new(&tidegate_core::Metrics::new()), Clock::system());
        let metrics = metrics.expect("nobody else makes metrics there");
        let pool = Arc::new(Pool::new(workers, queue, metrics, clock.clone()));
        Self { pool, kind: Kind::Bcrypt(4), seen: Arc::default(), clock }
    }

    /// Whether `password` is the one that `hash` was made of, in its [`normal`] form. A hash that is none is like a wrong
    /// password. Whatever is wrong takes as long as with any hash that accounts have: those of the configuration, and of
    /// others that were seen. Nobody learns which accounts are old.
    pub(crate) async fn verify(&self, password: &str, hash: &str) -> Result<bool, Busy> {
        let now = Millis::of(self.clock.wall());
        if let Some(kind) = Kind::of(hash) {
            self.seen.note(kind, now);
        }
        let kinds = self.seen.kinds(now).into_iter().map(|(kind, _)| kind);
        self.verify_with(password, hash, Work::of(kinds).with(self.kind)).await
    }

    /// The same, with the least that it takes given.
    pub(crate) async fn verify_with(&self, password: &str, hash: &str, work: Work) -> Result<bool, Busy> {
        let password = normal(password);
        let hash = hash.to_owned();
        self.pool.run(move || kind::compare(password.as_bytes(), &hash, &work).right).await
    }

    /// The hash of a password of at most 72 bytes in its [`normal`] form, none of them zero. Others have no hash (bcrypt
    /// would see the beginning alone): it is one that nothing matches.
    pub(crate) async fn hash(&self, password: &str) -> Result<String, Busy> {
        let (password, kind) = (normal(password), self.kind);
        let salt = crate::id::Id::random().0;
        self.pool.run(move || kind.hash(password.as_bytes(), salt)).await
    }

    /// A hash that no password matches, and that takes as long to compare with as any: for names that nobody has.
    pub(crate) fn dummy(&self) -> String {
        self.kind.dummy()
    }

    /// Whether a new hash is to take the place of this one: it was made in another way than they are now, or for less.
    pub(crate) fn is_outdated(&self, hash: &str) -> bool {
        Kind::of(hash).is_some_and(|kind| kind.gives_way_to(self.kind))
    }

    /// Which kinds accounts have.
    pub(crate) fn seen(&self) -> &Arc<Seen> {
        &self.seen
    }

    #[cfg(test)]
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }
}

/// How new hashes are made. Errors are relative to `service.password`.
fn kind(password: &PasswordRules) -> Result<Kind, ConfigErrors> {
    let mut errors = ConfigErrors::new();
    if password.cost.is_some_and(|cost| !COSTS.contains(&cost)) {
        let message = format!("{} is not between 10 and 16", password.cost.unwrap_or_default());
        errors.push(ConfigError::at("cost", message));
    }
    match password.algorithm {
        PasswordAlgorithm::Bcrypt => {
            if password.argon2id.is_some() {
                let error = ConfigError::at("argon2id", "it says nothing about bcrypt");
                errors.push(error.help("add `algorithm: argon2id`, or remove it"));
            }
            errors.into_result(Kind::Bcrypt(password.cost.unwrap_or(USUAL_COST)))
        }
        PasswordAlgorithm::Argon2id => {
            if password.cost.is_some() {
                let error = ConfigError::at("cost", "it says nothing about argon2id");
                errors.push(error.help("remove it: `argon2id: { memory: 19MiB, passes: 2 }` says what a hash costs"));
            }
            match errors.collect(effort(password.argon2id.unwrap_or_default())) {
                Some(effort) => errors.into_result(Kind::Argon2id(effort)),
                None => Err(errors),
            }
        }
    }
}

/// Errors are relative to `service.password`.
fn effort(config: Argon2id) -> Result<Effort, ConfigErrors> {
    let memory = u32::try_from(config.memory.bytes() / 1024).unwrap_or(u32::MAX);
    let effort = Effort { memory, passes: config.passes, lanes: config.lanes };
    let at = |key: &str| ConfigPath::from("argon2id").key(key);
    let mut errors = ConfigErrors::new();
    if !(LEAST_MEMORY..=MOST_MEMORY).contains(&memory) {
        errors.push(
            ConfigError::at(at("memory"), "must be from 7MiB to 256MiB").help("each thread that hashes takes it"),
        );
    }
    if !(1..=16).contains(&config.passes) {
        errors.push(ConfigError::at(at("passes"), "must be between 1 and 16"));
    }
    if !(1..=4).contains(&config.lanes) {
        errors.push(ConfigError::at(at("lanes"), "must be between 1 and 4"));
    }
    // OWASP's choices, which are equally strong (Password Storage Cheat Sheet).
    let least = match config.passes {
        0 | 1 => 46,
        2 => 19,
        3 => 12,
        4 => 9,
        _ => 7,
    };
    if errors.is_empty() && memory < least * 1024 {
        let error = ConfigError::at("argon2id", "it is weaker than what OWASP takes for the least");
        errors.push(error.help("such as memory: 19MiB with passes: 2, or 46MiB with 1, or 7MiB with 5"));
    }
    errors.into_result(effort)
}

/// bcrypt's, unless it is said.
const USUAL_COST: u32 = 12;
/// In KiB.
const LEAST_MEMORY: u32 = 7 * 1024;
const MOST_MEMORY: u32 = 256 * 1024;

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
#[cfg(test)]
mod timing_tests;
