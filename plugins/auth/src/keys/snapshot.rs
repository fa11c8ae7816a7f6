//! Keys as they are used: read once, until they change.

use std::sync::Arc;

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use tidegate_core::Bytes;

use super::key::SigningKey;
use super::set::KeySet;
use crate::id::Millis;
use crate::jwt::Keys;

/// All keys of one set.
pub(super) struct Snapshot {
    pub(super) set: KeySet,
    /// In the order in which they sign, with the time since when.
    keys: Vec<(Millis, SigningKey)>,
    secret: hmac::Key,
    pub(super) jwks: Bytes,
    pub(super) verifying: Arc<Keys>,
}

impl Snapshot {
    pub(super) fn new(set: &KeySet) -> Result<Self, String> {
        let mut keys = Vec::with_capacity(set.keys.len());
        for key in &set.keys {
            let private = key.private().ok_or("a key is not base64")?;
            let read = SigningKey::read(key.algorithm.into(), &private).ok_or("a key is none of its algorithm")?;
            keys.push((key.from(), read));
        }
        let public: Vec<&Value> = keys.iter().map(|(_, key)| key.public()).collect();
        let jwks = Bytes::from(json!({ "keys": public }).to_string());
        let verifying = Arc::new(Keys::from_jwks(&jwks)?);
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &set.secret().ok_or("its secret is none")?);
        Ok(Self { set: set.clone(), keys, secret, jwks, verifying })
    }

    /// The key that signs now. The clock may go back: the first one signs then.
    pub(super) fn signer(&self, now: Millis) -> Option<&SigningKey> {
        let begun = self.keys.iter().rev().find(|(from, _)| *from <= now);
        begun.or(self.keys.first()).map(|(_, key)| key)
    }

    pub(super) fn mac(&self, purpose: &str, data: &[u8]) -> [u8; 32] {
        let mut mac = hmac::Context::with_key(&self.secret);
        // With its length, so that no purpose and data meet another.
        mac.update(&(purpose.len() as u64).to_be_bytes());
        mac.update(purpose.as_bytes());
        mac.update(data);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(mac.sign().as_ref());
        bytes
    }
}
