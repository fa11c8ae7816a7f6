//! Keys as they lie in a store that others can read: sealed.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use tidegate_core::config::Secret;

/// Seals and opens (AES-256-GCM).
pub(super) struct Seal {
    key: RandomizedNonceKey,
    /// Says which secret without saying it.
    fingerprint: String,
}

/// Also what a sealed text begins with: which way it was made.
const VERSION: &[u8] = b"tidegate keys 1\n";
const NONCE: usize = 12;

impl Seal {
    pub(super) fn new(secret: &Secret) -> Option<Self> {
        let salt = Salt::new(HKDF_SHA256, b"tidegate.auth");
        let root = salt.extract(secret.expose().as_bytes());
        let bytes = |purpose: &[u8]| {
            let mut bytes = [0; 32];
            root.expand(&[purpose], Bytes32).ok()?.fill(&mut bytes).ok()?;
            Some(bytes)
        };
        let key = RandomizedNonceKey::new(&AES_256_GCM, &bytes(b"seal keys")?).ok()?;
        Some(Self { key, fingerprint: crate::id::Id::hash(&[&bytes(b"fingerprint")?]).text() })
    }

    pub(super) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    pub(super) fn seal(&self, open: &[u8]) -> Option<Vec<u8>> {
        let mut text = open.to_vec();
        let nonce = self.key.seal_in_place_append_tag(Aad::from(VERSION), &mut text).ok()?;
        Some([VERSION, nonce.as_ref(), &text].concat())
    }

    /// `None` if it was sealed with another secret, or changed since.
    pub(super) fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let rest = sealed.strip_prefix(VERSION)?;
        let (nonce, text) = rest.split_at_checked(NONCE)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let open = self.key.open_in_place(nonce, Aad::from(VERSION), &mut text).ok()?.len();
        text.truncate(open);
        Some(text)
    }
}

struct Bytes32;

impl KeyType for Bytes32 {
    fn len(&self) -> usize {
        32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_is_opened_with_the_same_secret_and_unchanged_only() {
        let seal = |secret: &str| Seal::new(&Secret::new(secret)).expect("a secret");
        let (one, two) = (seal("one secret of at least 32 letters"), seal("two secret of at least 32 letters"));
        let sealed = one.seal(b"the keys").expect("sealed");
        assert_eq!(one.open(&sealed).as_deref(), Some(&b"the keys"[..]));
        assert_eq!(two.open(&sealed), None);
        assert_ne!(one.fingerprint(), two.fingerprint());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(one.open(&changed), None, "byte {at}");
            assert_eq!(one.open(&sealed[..at]), None, "cut at {at}");
        }
        assert_ne!(one.seal(b"the keys"), one.seal(b"the keys"), "a nonce is used once");
    }
}
