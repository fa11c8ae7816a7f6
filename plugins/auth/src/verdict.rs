//! What a provider finds, and why it refuses.

use std::borrow::Cow;
use std::time::SystemTime;

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue};
use tidegate_core::facts::Identity;
use tidegate_core::{Connection, RequestHead, RequestHeader};

use crate::id::Id;
use crate::store::Revoked;

/// A request, as far as a provider sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) head: RequestHead<'a>,
    pub(crate) connection: &'a Connection,
    pub(crate) now: SystemTime,
}

/// Proves who is asking.
#[async_trait]
pub(crate) trait Authenticator: Send + Sync {
    /// Its name in the configuration.
    fn name(&self) -> &str;

    /// What can be said without waiting for anybody, which is the rule on the path of a request and allocates nothing
    /// for what is remembered. `None`: [`Authenticator::authenticate`] has to be asked.
    fn at_once(&self, asking: &Asking<'_>) -> Option<Verdict>;

    /// What a provider finds that has to wait: for keys, for another service, for a password to be hashed.
    async fn authenticate(&self, asking: &Asking<'_>) -> Verdict;

    /// Takes the credential out of what the upstream gets, if the configuration says so.
    fn strip(&self, _head: &mut RequestHeader) {}

    /// Adds what upstreams are told of the proof itself (`Client-Cert`), after the client's own was removed.
    fn tell(&self, _connection: &Connection, _head: &mut RequestHeader) {}

    /// Fields of clients that could be taken for what this provider says. They are removed on every route.
    fn spoofable(&self) -> &[http::HeaderName] {
        &[]
    }

    /// For `WWW-Authenticate`: how one can prove oneself here. `Bearer`, `Basic`, or nothing.
    fn scheme(&self) -> Option<Scheme> {
        None
    }

    /// What operators can know of it: how old its keys are, when each was used last. Never a secret.
    fn state(&self) -> Option<serde_json::Value> {
        None
    }
}

/// How a client can be asked for a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// RFC 6750.
    Bearer,
    /// RFC 7617.
    Basic,
}

/// What a provider found.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Nothing that it is for.
    Nothing,
    /// Something that looks like another provider's: no token of this form, or of another issuer. The next one is asked;
    /// if nobody takes it, the first of these refusals is the answer: what was sent proves nothing.
    NotMine(Refusal),
    /// Somebody.
    Proved(Proved),
    /// Something that proves nothing.
    Refused(Refusal),
    /// Whoever has to be asked did not answer: 503.
    Failed(Failure),
}

/// Somebody, and by what they can be refused later.
#[derive(Debug, Clone)]
pub(crate) struct Proved {
    pub(crate) identity: Identity,
    /// `None` for proofs that can't be revoked here: a certificate, a password.
    pub(crate) mark: Option<Mark>,
}

/// By what a token can be revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Of its `jti`, or of the token itself where it has none.
    pub(crate) token: Name,
    /// Of its subject.
    pub(crate) subject: Name,
    /// The login that it came from, for tokens of the token service.
    pub(crate) session: Option<Id>,
    /// `iat`, in seconds since 1970; 0 where it has none.
    pub(crate) issued: u64,
    /// Until when it is taken, in seconds since 1970: `exp`, and by how much clocks may differ. A revocation is kept as
    /// long.
    pub(crate) expires: u64,
}

/// What a token or a subject is called. Issuers name theirs as they like: `jti` and `sub` say who only beside `iss` (RFC
/// 7519 section 4.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name {
    /// Among those of its issuer.
    pub(crate) own: Id,
    /// The same, of whatever issuer: what operators revoke who don't say of which.
    pub(crate) any: Id,
}

impl Name {
    /// Of a token with this `jti`.
    pub(crate) fn of_jti(issuer: Option<&str>, jti: &str) -> Self {
        Self::of("jti", issuer, jti)
    }

    /// Of all tokens of a subject.
    pub(crate) fn of_subject(issuer: Option<&str>, subject: &str) -> Self {
        Self::of("sub", issuer, subject)
    }

    /// Of a token without `jti`. `signed` is what the signature is of, header and claims: an ECDSA signature can be
    /// changed into another good one by whoever has it.
    pub(crate) fn of_token(signed: &str) -> Self {
        Self::only(Id::hash(&[b"token", signed.as_bytes()]))
    }

    /// Of what has a name that nothing else has.
    pub(crate) fn only(id: Id) -> Self {
        Self { own: id, any: id }
    }

    fn of(kind: &str, issuer: Option<&str>, name: &str) -> Self {
        let any = Id::hash(&[kind.as_bytes(), name.as_bytes()]);
        let own = issuer.map(|issuer| Id::hash(&[kind.as_bytes(), issuer.as_bytes(), name.as_bytes()]));
        Self { own: own.unwrap_or(any), any }
    }

    fn ids(self) -> impl Iterator<Item = Id> {
        std::iter::once(self.own).chain((self.any != self.own).then_some(self.any))
    }
}

impl Mark {
    /// All that it can be revoked by.
    pub(crate) fn names(&self) -> impl Iterator<Item = Revoked> {
        let (tokens, subjects) = (self.token.ids().map(Revoked::Token), self.subject.ids().map(Revoked::Subject));
        tokens.chain(subjects).chain(self.session.map(Revoked::Session))
    }
}

/// Why something proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub(crate) enum Reason {
    /// Nothing was there, where something must be.
    Missing,
    /// More than one credential.
    Ambiguous,
    /// No token at all: too long, not three parts, no base64url, no JSON, a claim twice.
    Malformed,
    /// `alg` is none that the key is for.
    Algorithm,
    /// No key of that `kid`.
    UnknownKey,
    Signature,
    Expired,
    NotYetValid,
    /// Longer than it may live, or issued in the future.
    Lifetime,
    Issuer,
    Audience,
    /// `typ` of the head, or a claim that must be something else: a refresh token where an access token belongs.
    Type,
    /// A claim is missing or wrong.
    Claims,
    Revoked,
    /// Its issuer says that it is no good.
    Inactive,
    /// A name, key or certificate that nobody knows, or a wrong password.
    Unknown,
    /// Another service said no.
    Declined,
    /// It came by a cookie, would change something, and doesn't repeat the CSRF cookie: 403, not 401.
    Csrf,
}

impl Reason {
    /// All of them, each at the place of its number.
    pub(crate) const ALL: [Self; 18] = [
        Self::Missing,
        Self::Ambiguous,
        Self::Malformed,
        Self::Algorithm,
        Self::UnknownKey,
        Self::Signature,
        Self::Expired,
        Self::NotYetValid,
        Self::Lifetime,
        Self::Issuer,
        Self::Audience,
        Self::Type,
        Self::Claims,
        Self::Revoked,
        Self::Inactive,
        Self::Unknown,
        Self::Declined,
        Self::Csrf,
    ];

    /// As logs and metrics have it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Reason::Missing => "missing",
            Reason::Ambiguous => "ambiguous",
            Reason::Malformed => "malformed",
            Reason::Algorithm => "algorithm",
            Reason::UnknownKey => "unknown_key",
            Reason::Signature => "signature",
            Reason::Expired => "expired",
            Reason::NotYetValid => "not_yet_valid",
            Reason::Lifetime => "lifetime",
            Reason::Issuer => "issuer",
            Reason::Audience => "audience",
            Reason::Type => "type",
            Reason::Claims => "claims",
            Reason::Revoked => "revoked",
            Reason::Inactive => "inactive",
            Reason::Unknown => "unknown",
            Reason::Declined => "declined",
            Reason::Csrf => "csrf",
        }
    }
}

/// Something that proves nothing.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    /// For the log: more than the client is told. Never a secret, never the token.
    pub(crate) detail: Cow<'static, str>,
    /// What another service wants the client to be told instead.
    pub(crate) answer: Option<Box<Answer>>,
}

/// What another service answered instead of letting a request through.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: http::StatusCode,
    pub(crate) headers: HeaderMap<HeaderValue>,
}

impl Refusal {
    pub(crate) fn new(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, detail: detail.into(), answer: None }
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::new(reason, "")
    }
}

/// Whoever has to be asked did not answer.
#[derive(Debug)]
pub(crate) struct Failure {
    /// For metrics and as `code`: `keys_unavailable`, `introspection_unavailable`, `store_unavailable`, `busy`.
    pub(crate) code: &'static str,
    /// For the log.
    pub(crate) detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_two_issuers_are_two_and_have_one_in_common() {
        let (a, b) = (Name::of_jti(Some("a"), "1"), Name::of_jti(Some("b"), "1"));
        assert!(a.own != b.own && a.any == b.any);
        assert_eq!(Name::of_jti(None, "1"), Name::only(a.any));
        assert_ne!(Name::of_subject(Some("a"), "1").own, a.own);
        let mark = Mark { token: a, subject: Name::of_subject(None, "u"), session: None, issued: 0, expires: 0 };
        assert_eq!(mark.names().count(), 3);
    }

    #[test]
    fn reasons_have_places_of_their_own_and_names_of_their_own() {
        for (place, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place, "{reason:?}");
        }
        let names: std::collections::BTreeSet<_> = Reason::ALL.into_iter().map(Reason::as_str).collect();
        assert_eq!(names.len(), Reason::ALL.len());
    }
}
