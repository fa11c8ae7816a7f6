//! Hashes by which things are remembered.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};

/// A hash with a key that this process made for itself: nobody outside can say which texts meet in it, and what is
/// remembered by it can't be turned back into a token.
///
/// SipHash-1-3 with 128 bits: finding two texts that meet is no easier than guessing 128 bits while the hashes stay in
/// here (Dobraunig, Mendel, Schläffer: Differential Cryptanalysis of SipHash, 2014).
pub(crate) struct Keyed(SipHasher13);

impl Keyed {
    pub(crate) fn new() -> Self {
        let mut key = [0; 16];
        crate::id::fill_random(&mut key);
        Self(SipHasher13::new_with_key(&key))
    }

    /// Of a text, within what it belongs to. Allocates nothing.
    pub(crate) fn hash(&self, within: u64, text: &[u8]) -> u128 {
        let mut hasher = self.0;
        hasher.write_u64(within);
        hasher.write(text);
        hasher.finish128().as_u128()
    }

    /// To be given several parts; [`Hasher128::finish128`] is the hash.
    pub(crate) fn hasher(&self) -> SipHasher13 {
        self.0
    }
}

/// Nothing of the key is printed.
impl std::fmt::Debug for Keyed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_differ_by_text_by_what_it_belongs_to_and_by_process() {
        let (one, other) = (Keyed::new(), Keyed::new());
        assert_eq!(one.hash(1, b"token"), one.hash(1, b"token"));
        assert_ne!(one.hash(1, b"token"), one.hash(1, b"tokem"));
        assert_ne!(one.hash(1, b"token"), one.hash(2, b"token"));
        assert_ne!(one.hash(1, b"token"), other.hash(1, b"token"));
    }
}
