//! What a cache asks of a plugin: which requests may be answered from it, what is stored, and for how long. The gateway
//! runs Pingora's state machine and asks; the plugin decides, and owns the store.

mod slice;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use pingora_http::ResponseHeader;
use smallvec::SmallVec;

pub use self::slice::{Slice, are_same_version, has_strong_validator};
use crate::facts::Facts;
use crate::{Cx, RequestHead};

/// Pingora's cache as far as a store has to know it. Its interface moves with each of Pingora's versions.
pub mod engine {
    pub use pingora_cache::key::{CacheHashKey, CompactCacheKey, HashBinary};
    pub use pingora_cache::lock::{CacheKeyLockImpl, CacheLock};
    pub use pingora_cache::predictor::{CacheablePredictor, Predictor};
    pub use pingora_cache::storage::{
        HandleHit, HandleMiss, HitHandler, MissFinishType, MissHandler, PurgeOutcome, PurgeTarget, Storage,
    };
    pub use pingora_cache::trace::SpanHandle;
    pub use pingora_cache::{CacheKey, CacheMeta, NoCacheReason, PurgeType};
    pub use pingora_error::{Error, ErrorType, Result};
}

/// What one route wants cached, and for how long (RFC 9111). At most one plugin of a route may have one.
pub trait CachePolicy: Send + Sync {
    /// Where this route's answers are kept.
    fn zone(&self) -> Zone;

    /// Whether this request may be answered from the cache, and by which key. Runs when the chain has let the request
    /// through.
    fn lookup(&self, cx: &mut Cx<'_>) -> Lookup;

    /// An answer in memory that needs no more than to be sent: fresh, or stale within its time while a new one is
    /// fetched, for a request without ranges (the gateway answers 304 where the client has it). `None` sends the request
    /// through the whole of the state machine. Notes in [`Facts::cached`] how old it is.
    fn at_once(&self, cx: &mut Cx<'_>, key: &CacheKey) -> Option<AtOnce>;

    /// Which of the variants under one key this request wants: a hash of the fields that the stored answer's `Vary`
    /// names. `None` without a `Vary`.
    fn variance(&self, stored: &HeaderMap, request: &HeaderMap) -> Option<[u8; 16]>;

    /// What a stored answer is worth to this request. Notes in [`Facts::cached`] how old it is.
    fn judge(&self, cx: &mut Cx<'_>, meta: &engine::CacheMeta, body: &mut engine::HitHandler) -> Use;

    /// Whether an answer of the upstream may be stored, and for how long. Runs after `upstream_response`, before
    /// `response`.
    fn admit(&self, offer: Offer<'_>) -> Admit;

    /// How large answers are fetched and stored in slices; `None`: each as it is.
    fn slices(&self) -> Option<&dyn Slices> {
        None
    }
}

/// How answers of one route are fetched and stored in slices.
pub trait Slices: Send + Sync {
    /// How many bytes each of them has, but for the last one.
    fn size(&self) -> u64;

    /// Under which key one of them is stored, of what `key` stands for.
    fn key(&self, key: &CacheKey, slice: Slice) -> CacheKey;

    /// Slices of this request's target turned out to be of different versions: none that was asked for until `last` is
    /// used any more.
    fn outdated(&self, cx: &mut Cx<'_>, last: SystemTime);
}

/// Hears of unsafe requests, which make invalid what is stored for their targets (RFC 9111 section 4.4): on every route,
/// for the one that stores GET's answers is often another than that of POST.
pub trait Invalidates: Send + Sync {
    /// The final answer of an upstream to a request whose method is not safe, before anything else is made of it.
    fn answered(&self, cx: &mut Cx<'_>, head: &ResponseHeader);
}

/// One store, with what keeps many requests from asking for the same. All of it lives as long as the process.
#[derive(Clone, Copy)]
pub struct Zone {
    /// Where answers are kept.
    pub storage: &'static (dyn engine::Storage + Sync),
    /// Lets one of many requests for the same ask the upstream; `None`: each asks.
    pub lock: Option<&'static engine::CacheKeyLockImpl>,
    /// How long a request waits for the one that asks; then it asks too.
    pub lock_wait: Duration,
    /// Remembers what turned out not to be cacheable, so that requests for it don't wait for one another.
    pub predictor: Option<&'static (dyn engine::CacheablePredictor + Sync)>,
}

impl std::fmt::Debug for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Zone").field("lock_wait", &self.lock_wait).finish_non_exhaustive()
    }
}

/// What a cache is to do with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// Straight to the upstream; the answer is not stored. The word says why, for metrics and `Cache-Status`.
    Bypass(&'static str),
    /// The same for who wants only what is stored: the answer is 504 (`only-if-cached`).
    Nothing(&'static str),
    /// Look under this key, and store under it.
    Key(CacheKey),
    /// Look under this key; where nothing is stored that fits, the answer is 504 (`only-if-cached`).
    OnlyStored(CacheKey),
}

/// What an answer is stored under. Each part is length-prefixed, so that no two different keys read the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct CacheKey {
    parts: Vec<u8>,
    hash: [u8; 16],
}

impl CacheKey {
    /// A key with nothing in it yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A key with nothing in it yet, and room for `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { parts: Vec::with_capacity(bytes), hash: [0; 16] }
    }

    /// Adds a part: scheme, host, path, query, a header's value, an identity.
    pub fn push(&mut self, part: &[u8]) {
        self.parts.extend_from_slice(&(part.len() as u64).to_be_bytes());
        self.parts.extend_from_slice(part);
    }

    /// [`CacheKey::push`] for one after the other.
    #[must_use]
    pub fn part(mut self, part: &[u8]) -> Self {
        self.push(part);
        self
    }

    /// By which hash the store finds it. The store compares the whole key, so two keys of one hash cost a miss and
    /// no more.
    #[must_use]
    pub fn hashed(mut self, hash: impl FnOnce(&[u8]) -> [u8; 16]) -> Self {
        self.hash = hash(&self.parts);
        self
    }

    /// The whole key.
    pub fn as_bytes(&self) -> &[u8] {
        &self.parts
    }

    /// Its hash.
    pub fn hash(&self) -> [u8; 16] {
        self.hash
    }
}

/// A stored answer that is sent as it is.
#[derive(Debug)]
pub struct AtOnce {
    /// Its status.
    pub status: StatusCode,
    /// Its fields, without those of one connection.
    pub headers: HeaderMap,
    /// Its body, in pieces.
    pub body: SmallVec<[Bytes; 1]>,
    /// Whether this request is the one that has a new one fetched.
    pub refresh: bool,
}

/// What a stored answer is worth to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Send it.
    Fresh,
    /// Send it although its time is over; with `refresh`, this request is the one that has a new one fetched
    /// (RFC 5861 section 3).
    Stale {
        /// Whether to fetch.
        refresh: bool,
    },
    /// Ask the upstream whether it is still good.
    Expired {
        /// Whether it may be sent if the upstream fails (RFC 5861 section 4).
        if_error: bool,
    },
    /// It is as if it weren't there.
    Miss,
}

/// An upstream's answer that might be stored.
#[derive(Debug)]
pub struct Offer<'a> {
    /// The request as the client sent it, its path normalised.
    pub request: RequestHead<'a>,
    /// What the upstream got, where it was asked by this request: other than the client's where the gateway or a
    /// plugin changed it.
    pub sent: Option<&'a HeaderMap>,
    /// The answer's head; of a 304 to a question of ours, the stored head that it confirms.
    pub head: &'a ResponseHeader,
    /// The fields of the 304, if it was one.
    pub not_modified: Option<&'a HeaderMap>,
    /// Which slice the upstream was asked for, if for one.
    pub slice: Option<Slice>,
    /// What is known of the request, for [`Facts::cached`].
    pub facts: &'a mut Facts,
}

/// Whether an answer is stored.
#[derive(Debug)]
pub enum Admit {
    /// It is, as this says.
    Store(Box<engine::CacheMeta>),
    /// It isn't; the word says why, for metrics and `Cache-Status`.
    Refuse(&'static str),
}

#[cfg(test)]
mod tests {
    use super::CacheKey;

    #[test]
    fn parts_never_run_together() {
        assert_ne!(CacheKey::new().part(b"ab").part(b"c"), CacheKey::new().part(b"a").part(b"bc"));
    }
}
