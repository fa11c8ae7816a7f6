//! Pingora's cache, driven by a route's policy: what the state machine asks is asked of the plugin here.

mod admit;
mod conditional;
mod enable;
mod hit;
mod refresh;
mod result;
mod send;

use http::HeaderMap;
use tidegate_core::cache::CacheKey;

pub(crate) use self::admit::{admit, confirmed, sent, variance};
pub(crate) use self::conditional::{not_modified, range};
pub(crate) use self::enable::{enable, key, only_stored};
pub(crate) use self::hit::{judge, may_be_stale};
pub(crate) use self::refresh::{Refresh, take as take_refresh};
pub(crate) use self::result::{failed, settle};
pub(crate) use self::send::at_once;

/// One request's way through the cache.
#[derive(Default)]
pub(crate) struct Trip {
    /// What it asks the store for; `None` where it doesn't.
    key: Option<CacheKey>,
    /// Whether an answer that isn't stored is none.
    only_stored: bool,
    /// Whether what was found may be sent if the upstream fails.
    stale_if_error: bool,
    /// Whether something is stored of which this request wants another variant.
    varies: bool,
    /// The fields that the upstream got: what `Vary` is about.
    sent: Option<Box<HeaderMap>>,
    /// The fields of a 304 to a question of ours.
    confirmed: Option<Box<HeaderMap>>,
    /// Whether this is a background request that has a stored answer renewed: nobody waits for it.
    pub(crate) renews: bool,
}

impl Trip {
    /// Of a request that renews what is stored under `key`.
    pub(crate) fn renewing(key: CacheKey) -> Self {
        Self { key: Some(key), renews: true, ..Self::default() }
    }

    /// Whether the store is asked, and may get the answer.
    pub(crate) fn is_on(&self) -> bool {
        self.key.is_some()
    }
}
