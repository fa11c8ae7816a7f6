//! ID tokens of a provider that people log in with (OpenID Connect Core 1.0 section 3.1.3.7), and what that provider says
//! of itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Map, Value};
use tidegate_core::{BuildCx, ConfigErrors};

use super::algorithm::Algorithms;
use super::checks::{Audience, Checks};
use super::claim::date;
use super::form::Space;
use super::source::{First, KeySource, Origin, Remote};
use super::verify::{Fault, Token};
use crate::config;
use crate::config::Algorithm;
use crate::id::Millis;
use crate::verdict::{Reason, Refusal};

/// By how much the clocks of provider and gateway may differ, in milliseconds.
const LEEWAY: u64 = 30_000;

/// Whose ID tokens, and for whom.
pub(crate) struct Relying<'a> {
    /// What logs and metrics call the provider.
    pub(crate) name: &'a str,
    pub(crate) issuer: &'a str,
    pub(crate) client: &'a str,
    /// Every asymmetric one, if there is none here.
    pub(crate) algorithms: &'a [Algorithm],
    /// Claims that must be just this.
    pub(crate) claims: &'a BTreeMap<String, Value>,
    /// How long ago somebody may have logged in there when they were sent, in seconds.
    pub(crate) max_age: Option<u32>,
    pub(crate) fetch: &'a config::KeySource,
}

/// What an ID token must belong to.
pub(crate) struct Sent<'a> {
    pub(crate) nonce: &'a str,
    /// When it was asked for.
    pub(crate) asked: Millis,
    /// What came with it.
    pub(crate) access_token: Option<&'a str>,
}

/// Checks the ID tokens of one provider.
pub(crate) struct IdTokens {
    checks: Checks,
    client: Box<str>,
    max_age: Option<u32>,
    source: Arc<Remote>,
}

/// What a good token says, and what it is signed with.
type Found = Result<(Map<String, Value>, Algorithm), Fault>;

/// Why a token doesn't say who somebody is.
#[derive(Debug)]
pub(crate) enum Unproved {
    Refused(Refusal),
    /// There are no keys to check it with.
    Unavailable(String),
}

impl IdTokens {
    /// Asks nobody before somebody logs in. Errors are relative to the provider's section.
    pub(crate) fn open(relying: &Relying<'_>, cx: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let origin = errors.collect(Origin::issuer(relying.issuer).map_err(|e| e.under(&"issuer".into())));
        let source = Remote::open(relying.name, origin, (relying.fetch, First::WhenAsked), cx);
        let source = errors.collect(source.map_err(|e| e.under(&"fetch".into()))).flatten();
        let Some(source) = source else { return Err(errors) };
        let (client, max_age) = (relying.client.into(), relying.max_age);
        errors.into_result(Self { checks: checks(relying), client, max_age, source })
    }

    /// What the provider says of itself (OpenID Connect Discovery 1.0 section 3); the error is why that is not known.
    pub(crate) async fn metadata(&self) -> Result<Arc<Map<String, Value>>, String> {
        if let Some(known) = self.source.metadata() {
            return Ok(known);
        }
        self.source.renew().await?;
        self.source.metadata().ok_or_else(|| "it says nothing of itself".to_owned())
    }

    /// The claims of a token that is good, and that belongs to what was `sent`.
    pub(crate) async fn check(
        &self,
        text: &str,
        sent: &Sent<'_>,
        now: SystemTime,
    ) -> Result<Map<String, Value>, Unproved> {
        let (claims, algorithm) = match self.verified(text, now) {
            // The key may be a new one.
            None | Some(Err(Fault::UnknownKey(_))) => {
                let renewed = self.source.renew().await;
                let found = self.verified(text, now);
                found.ok_or_else(|| Unproved::Unavailable(renewed.err().unwrap_or_default()))?
            }
            Some(found) => found,
        }?;
        self.belongs(&claims, sent, algorithm).map_err(Unproved::Refused)?;
        self.is_recent(&claims, sent.asked, now).map_err(Unproved::Refused)?;
        Ok(claims)
    }

    /// `None` if there are no keys.
    fn verified(&self, text: &str, now: SystemTime) -> Option<Found> {
        let mut space = Space::new();
        let token = match Token::read(text, &self.checks, &mut space) {
            Ok(token) => token,
            Err(fault) => return Some(Err(fault)),
        };
        let (keys, algorithm) = (self.source.keys()?, token.algorithm());
        let proved = token.verify(&keys, &self.checks, now);
        Some(proved.map(|proved| (proved.identity.claims().clone(), algorithm)))
    }

    fn belongs(&self, claims: &Map<String, Value>, sent: &Sent<'_>, algorithm: Algorithm) -> Result<(), Refusal> {
        let no = |what| Err(Refusal::new(Reason::Claims, what));
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let same = |said: &str, right: &str| verify_slices_are_equal(said.as_bytes(), right.as_bytes()).is_ok();
        if !text("nonce").is_some_and(|nonce| same(nonce, sent.nonce)) {
            return no("its `nonce` is another");
        }
        // Whoever else it is for must not have been the one that asked for it.
        let several = claims.get("aud").and_then(Value::as_array).is_some_and(|all| all.len() > 1);
        match claims.get("azp") {
            None if !several => {}
            Some(Value::String(party)) if **party == *self.client => {}
            _ => return Err(Refusal::new(Reason::Audience, "its `azp` is another")),
        }
        match (claims.get("at_hash"), sent.access_token) {
            (None, _) => Ok(()),
            (Some(Value::String(hash)), Some(token)) if same(hash, &half_hash(algorithm, token)) => Ok(()),
            (Some(_), _) => no("its `at_hash` is of another access token"),
        }
    }

    /// The browser has carried the question, and could have left out how long ago the login may be (section 3.1.2.1).
    fn is_recent(&self, claims: &Map<String, Value>, asked: Millis, now: SystemTime) -> Result<(), Refusal> {
        let Some(max_age) = self.max_age else { return Ok(()) };
        let logged_in = claims.get("auth_time").and_then(date);
        let from = asked.0.saturating_sub(u64::from(max_age) * 1000 + LEEWAY);
        let to = Millis::of(now).0.saturating_add(LEEWAY);
        match logged_in.is_some_and(|time| (from..=to).contains(&time)) {
            true => Ok(()),
            false => Err(Refusal::new(Reason::Claims, "its `auth_time` is not as `max_age` wants it")),
        }
    }
}

impl From<Fault> for Unproved {
    fn from(fault: Fault) -> Self {
        let (Fault::NotMine(refusal) | Fault::Refused(refusal) | Fault::UnknownKey(refusal)) = fault;
        Unproved::Refused(refusal)
    }
}

fn checks(relying: &Relying<'_>) -> Checks {
    let words = |words: &[&str]| words.iter().map(|word| Box::from(*word)).collect();
    let algorithms = match relying.algorithms {
        [] => Algorithms::ALL,
        some => some.iter().copied().collect(),
    };
    Checks {
        provider: relying.name.into(),
        // Keys that are fetched are no shared secrets.
        algorithms: algorithms.without(Algorithms::HMAC),
        issuer: Some(relying.issuer.into()),
        audience: Audience::OneOf(words(&[relying.client])),
        // Not an access token, which says that it is one (RFC 9068 section 2.1), nor a logout token.
        typ: Some(words(&["JWT", ""])),
        require: words(&["exp", "iat", "sub"]),
        equal: relying.claims.iter().map(|(name, value)| (name.as_str().into(), value.clone())).collect(),
        late: LEEWAY,
        early: LEEWAY,
        max_lifetime: None,
        subject: "sub".into(),
        roles: words(&[]),
        scopes: words(&[]),
        sessions: false,
    }
}

/// The left half of a hash as long as the signature's (section 3.1.3.6).
fn half_hash(algorithm: Algorithm, text: &str) -> String {
    let hash = match algorithm {
        Algorithm::HS256 | Algorithm::RS256 | Algorithm::PS256 | Algorithm::ES256 => &digest::SHA256,
        Algorithm::HS384 | Algorithm::RS384 | Algorithm::PS384 | Algorithm::ES384 => &digest::SHA384,
        // Ed25519 hashes with SHA-512 (RFC 8032 section 5.1).
        Algorithm::HS512 | Algorithm::RS512 | Algorithm::PS512 | Algorithm::ES512 | Algorithm::EdDSA => &digest::SHA512,
    };
    let whole = digest::digest(hash, text.as_bytes());
    let (half, _) = whole.as_ref().split_at(whole.as_ref().len() / 2);
    BASE64.encode(half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_hash_is_as_the_specification_s_example_has_it() {
        // OpenID Connect Core 1.0 appendix A.3.
        let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        assert_eq!(half_hash(Algorithm::RS256, token), "77QmUPtjPfzWtF2AnpK9RQ");
        assert_eq!(half_hash(Algorithm::ES384, token).len(), 32);
        assert_eq!(half_hash(Algorithm::EdDSA, token).len(), 43);
    }
}
