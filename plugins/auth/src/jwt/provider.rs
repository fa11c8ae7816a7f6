//! Tokens as proof of who is asking.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use tidegate_core::RequestHeader;

use super::checks::Checks;
use super::form::Space;
use super::source::KeySource;
use super::verify::{Fault, Token};
use crate::cache::{ProviderId, TokenCache};
use crate::credential::{Carried, Sources};
use crate::verdict::{Asking, Authenticator, Failure, Proved, Reason, Refusal, Scheme, Verdict};

/// A provider that takes signed tokens.
pub(super) struct JwtProvider {
    pub(super) checks: Checks,
    pub(super) keys: Arc<dyn KeySource>,
    pub(super) sources: Sources,
    pub(super) strip: bool,
    pub(super) cache: Arc<TokenCache>,
    /// What everything but the keys makes of it.
    pub(super) id: u64,
}

/// What can be said of a token with the keys that there are.
enum Found {
    Verdict(Verdict),
    /// There is no key for it, and there could be.
    KeyMissing(Refusal),
    /// There are no keys at all.
    NoKeys,
}

impl JwtProvider {
    fn check(&self, asking: &Asking<'_>) -> Found {
        let token = match self.sources.find(&asking.head) {
            Carried::Nothing => return Found::Verdict(Verdict::Nothing),
            Carried::One(token) => token,
            Carried::Several => {
                return Found::Verdict(Verdict::Refused(Refusal::new(Reason::Ambiguous, "more than one token")));
            }
            Carried::Broken => {
                return Found::Verdict(Verdict::NotMine(Refusal::new(Reason::Malformed, "no text that is a token")));
            }
        };
        let id = self.keys.version().map(|version| ProviderId(self.id ^ version));
        if let Some(proved) = id.and_then(|id| self.cache.get(&id, token, asking.now)) {
            return Found::Verdict(Verdict::Proved(proved));
        }
        match self.check_anew(token, asking.now) {
            Some(Ok(proved)) => {
                if let Some(id) = id {
                    self.cache.put(&id, token, &proved, asking.now);
                }
                Found::Verdict(Verdict::Proved(proved))
            }
            Some(Err(Fault::NotMine(refusal))) => Found::Verdict(Verdict::NotMine(refusal)),
            Some(Err(Fault::Refused(refusal))) => Found::Verdict(Verdict::Refused(refusal)),
            Some(Err(Fault::UnknownKey(refusal))) => Found::KeyMissing(refusal),
            None => Found::NoKeys,
        }
    }

    /// `None` if there are no keys, and the token would need one.
    fn check_anew(&self, token: &str, now: SystemTime) -> Option<Result<Proved, Fault>> {
        let mut space = Space::new();
        let read = match Token::read(token, &self.checks, &mut space) {
            Ok(read) => read,
            Err(fault) => return Some(Err(fault)),
        };
        let keys = self.keys.keys()?;
        Some(read.verify(&keys, &self.checks, now))
    }
}

#[async_trait]
impl Authenticator for JwtProvider {
    fn name(&self) -> &str {
        &self.checks.provider
    }

    fn at_once(&self, asking: &Asking<'_>) -> Option<Verdict> {
        match self.check(asking) {
            Found::Verdict(verdict) => Some(verdict),
            Found::KeyMissing(refusal) => (!self.keys.may_renew()).then_some(Verdict::Refused(refusal)),
            Found::NoKeys => None,
        }
    }

    async fn authenticate(&self, asking: &Asking<'_>) -> Verdict {
        if let Some(verdict) = self.at_once(asking) {
            return verdict;
        }
        let renewed = self.keys.renew().await;
        match self.check(asking) {
            Found::Verdict(verdict) => verdict,
            Found::KeyMissing(refusal) => Verdict::Refused(refusal),
            Found::NoKeys => {
                let detail = renewed.err().unwrap_or_else(|| "no keys".to_owned());
                Verdict::Failed(Failure { code: "keys_unavailable", detail })
            }
        }
    }

    fn strip(&self, head: &mut RequestHeader) {
        if self.strip {
            self.sources.strip(head);
        }
    }

    fn scheme(&self) -> Option<Scheme> {
        Some(Scheme::Bearer)
    }

    fn state(&self) -> Option<serde_json::Value> {
        Some(self.keys.state())
    }
}
