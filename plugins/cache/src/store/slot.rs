//! Where in a store an answer is.

use tidegate_core::cache::engine::{CacheHashKey, HashBinary};

/// A key's hash and, where answers vary, which variant. The first answer to a key is in the slot without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Slot {
    pub(crate) key: HashBinary,
    pub(crate) variant: Option<HashBinary>,
}

impl Slot {
    /// As Pingora names it.
    pub(crate) fn of(key: &impl CacheHashKey) -> Self {
        Self { key: key.primary_bin(), variant: key.variance_bin() }
    }
}
