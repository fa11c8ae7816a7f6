//! Signed tokens: their form, their keys, their claims.

mod algorithm;
mod checks;
mod claim;
mod form;
mod id_token;
mod json;
mod jwk;
mod key;
mod keys;
mod lint;
mod pem;
mod provider;
#[cfg(test)]
mod rfc_tests;
mod setup;
mod source;
mod verify;
#[cfg(test)]
mod wycheproof_tests;

#[doc(hidden)]
pub mod bench;

pub(crate) use claim::{find as find_claim, words as claim_words};
pub(crate) use id_token::{IdTokens, Relying, Sent, Unproved};
pub(crate) use json::object;
pub(crate) use keys::Keys;
pub(crate) use lint::{is_in_the_clear, warnings};
pub(crate) use setup::{build, own};
pub(crate) use source::KeySource;

/// Whether a text has the form of a token. For the fuzzer: it panics for none, and what it takes was written in the only
/// way there is.
#[doc(hidden)]
pub fn has_token_form(text: &str) -> bool {
    let Ok(parts) = form::Parts::split(text) else { return false };
    parts.head(&mut form::Space::new()).is_ok() && parts.claims().is_ok()
}

/// How many keys of a set can be used; `None` if it is no set. For the fuzzer.
#[doc(hidden)]
pub fn usable_keys(text: &[u8]) -> Option<usize> {
    Keys::from_jwks(text).ok().map(|keys| keys.len())
}
