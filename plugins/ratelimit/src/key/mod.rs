//! Whose limit it is: the part of a request that a limit counts by.

mod asker;
mod bytes;
mod find;
mod given;
mod shown;

#[cfg(test)]
pub(crate) mod tests;

use std::fmt;

use smallvec::SmallVec;

pub(crate) use asker::Asker;
pub(crate) use bytes::Builder;
pub(crate) use find::{Found, Keys};

/// A key's bytes. Those of an address, or of an identity or field with a UUID in it, need no allocation.
pub(crate) type KeyBytes = SmallVec<[u8; 56]>;

/// One counter of one limit: which limit, and for whom.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// The limit: a hash of the policy's and the limit's name, the same in every gateway and after a reload.
    pub limit: u64,
    /// For whom, unambiguous (every part has its kind and length in front), at most [`Key::LONGEST`] bytes: longer
    /// values are in it by their SHA-256.
    pub bytes: KeyBytes,
}

impl Key {
    /// The longest a key's bytes get.
    pub(crate) const LONGEST: usize = 256;
}

/// A key may hold an API key or a session: neither is ever printed.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:016x}, {})", self.limit, self.shown())
    }
}
