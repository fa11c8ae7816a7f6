//! What a provider finds, and why it refuses.

use std::borrow::Cow;
use std::time::SystemTime;

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue};
use tidegate_core::facts::Identity;
use tidegate_core::{Connection, RequestHead, RequestHeader};

use crate::id::Id;

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
    /// Of its `jti`, or of the token itself where it has none: [`Mark::of_jti`].
    pub(crate) token: Id,
    /// Of its subject: [`Mark::of_subject`].
    pub(crate) subject: Id,
    /// The login that it came from, for tokens of the token service.
    pub(crate) session: Option<Id>,
    /// `iat`, in seconds since 1970; 0 where it has none.
    pub(crate) issued: u64,
    /// Until when it is taken, in seconds since 1970: `exp`, and by how much clocks may differ. A revocation is kept as
    /// long.
    pub(crate) expires: u64,
}

impl Mark {
    /// By which a token with this `jti` is revoked.
    pub(crate) fn of_jti(jti: &str) -> Id {
        Id::hash(&[b"jti", jti.as_bytes()])
    }

    /// By which a token without `jti` is revoked. `signed` is what the signature is of, header and claims: an ECDSA
    /// signature can be changed into another good one by whoever has it.
    pub(crate) fn of_token(signed: &str) -> Id {
        Id::hash(&[b"token", signed.as_bytes()])
    }

    /// By which all tokens of a subject are.
    pub(crate) fn of_subject(subject: &str) -> Id {
        Id::hash(&[b"sub", subject.as_bytes()])
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
    fn reasons_have_places_of_their_own_and_names_of_their_own() {
        for (place, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place, "{reason:?}");
        }
        let names: std::collections::BTreeSet<_> = Reason::ALL.into_iter().map(Reason::as_str).collect();
        assert_eq!(names.len(), Reason::ALL.len());
    }
}
