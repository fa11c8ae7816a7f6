//! One token, from text to identity. In this order: form, issuer, algorithm, key, signature, claims. Nobody is asked
//! anything on the way, and nothing is believed before the signature.

use std::time::SystemTime;

use serde_json::{Map, Value};

use super::checks::Checks;
use super::form::{FormError, Head, Parts, Space};
use super::keys::Keys;
use crate::config::Algorithm;
use crate::verdict::{Proved, Reason, Refusal};

/// Why a token proves nothing.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It isn't this provider's: no token of this form, or of another issuer.
    NotMine(Refusal),
    Refused(Refusal),
    /// There is no key of its `kid`: newer ones may have it.
    UnknownKey(Refusal),
}

/// A token that has the right form and the right issuer, as it says.
pub(super) struct Token<'a> {
    parts: Parts<'a>,
    head: Head<'a>,
    claims: Map<String, Value>,
    algorithm: Algorithm,
}

impl<'a> Token<'a> {
    /// Reads a token; `space` is where its header goes.
    pub(super) fn read(text: &'a str, checks: &Checks, space: &'a mut Space) -> Result<Self, Fault> {
        let parts = Parts::split(text)?;
        let head = parts.head(space)?;
        let claims = parts.claims()?;
        if !checks.is_of_issuer(&claims) {
            return Err(Fault::NotMine(Refusal::new(Reason::Issuer, "its `iss` is another")));
        }
        let allowed = Algorithm::parse(&head.alg).filter(|algorithm| checks.algorithms.has(*algorithm));
        let Some(algorithm) = allowed else {
            return Err(Fault::Refused(Refusal::new(Reason::Algorithm, "its `alg` is not taken here")));
        };
        if parts.signature.is_empty() {
            return Err(Fault::Refused(Refusal::new(Reason::Signature, "it is not signed")));
        }
        Ok(Self { parts, head, claims, algorithm })
    }

    /// What it is signed with, as it says.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Checks its signature, and then all that it says.
    pub(super) fn verify(self, keys: &Keys, checks: &Checks, now: SystemTime) -> Result<Proved, Fault> {
        self.check_signature(keys)?;
        checks
            .check_type(self.head.typ.as_deref())
            .and_then(|()| checks.prove(self.claims, self.parts.signed, now))
            .map_err(Fault::Refused)
    }

    fn check_signature(&self, keys: &Keys) -> Result<(), Fault> {
        let candidates = keys.candidates(self.head.kid.as_deref(), self.algorithm)?;
        for key in candidates {
            match key.verify(self.algorithm, self.parts.signed, self.parts.signature) {
                Some(true) => return Ok(()),
                Some(false) => {}
                None => return Err(FormError::Broken("its signature is no base64url").into()),
            }
        }
        Err(Fault::Refused(Refusal::new(Reason::Signature, "")))
    }
}

/// Checks a token with these keys.
pub(crate) fn verify(text: &str, keys: &Keys, checks: &Checks, now: SystemTime) -> Result<Proved, Fault> {
    Token::read(text, checks, &mut Space::new())?.verify(keys, checks, now)
}

impl From<FormError> for Fault {
    fn from(error: FormError) -> Self {
        match error {
            FormError::Other(why) => Fault::NotMine(Refusal::new(Reason::Malformed, why)),
            FormError::Broken(why) => Fault::Refused(Refusal::new(Reason::Malformed, why)),
        }
    }
}

/// A key that isn't known may be known soon; one for other algorithms stays one.
impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal.reason {
            Reason::UnknownKey => Fault::UnknownKey(refusal),
            _ => Fault::Refused(refusal),
        }
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
pub(super) mod tests;
