//! The provider for the token service's own access tokens.

use std::sync::Arc;
use std::time::Duration;

use super::{millis, provider_id};
use crate::config::{Source, Yes};
use crate::credential::Sources;
use crate::jwt::algorithm::Algorithms;
use crate::jwt::checks::{Audience, Checks};
use crate::jwt::provider::JwtProvider;
use crate::jwt::source::KeySource;
use crate::plugin::Parts;
use crate::verdict::Authenticator;

/// How long after `exp` a token is still taken: not at all. What was revoked is forgotten then.
const LATE: Duration = Duration::ZERO;
/// How far the clock of another gateway of the same keys may be ahead.
const EARLY: Duration = Duration::from_secs(30);

/// A provider for the token service's own access tokens, with each request or in a cookie of this name. A name that is
/// none for a cookie is never found.
pub(crate) fn own(
    name: &str,
    issuer: &str,
    audience: &str,
    cookie: Option<&str>,
    keys: Arc<dyn KeySource>,
    parts: &Parts,
) -> Arc<dyn Authenticator> {
    let checks = checks(name, issuer, audience);
    let bearer = [Source::Bearer(Yes)];
    let sources: Vec<_> = bearer.iter().cloned().chain(cookie.map(|name| Source::Cookie(name.to_owned()))).collect();
    let sources = Sources::of(&sources).or_else(|_| Sources::of(&bearer)).expect("a bearer token is a source");
    let id = provider_id(name, &format!("{checks:?}"));
    Arc::new(JwtProvider { checks, keys, sources, strip: false, cache: parts.cache.clone(), id })
}

fn checks(name: &str, issuer: &str, audience: &str) -> Checks {
    let words = |words: &[&str]| words.iter().map(|word| Box::from(*word)).collect();
    Checks {
        provider: name.into(),
        // The ring has no shared secrets.
        algorithms: Algorithms::ALL.without(Algorithms::HMAC),
        issuer: Some(issuer.into()),
        audience: Audience::OneOf(words(&[audience])),
        typ: Some(words(&["at+jwt"])),
        require: words(&["exp", "iat", "jti", "sub"]),
        equal: Box::new([("type".into(), "access".into())]),
        late: millis(LATE),
        early: millis(EARLY),
        max_lifetime: None,
        subject: "sub".into(),
        roles: words(&["roles"]),
        scopes: words(&["scope"]),
        sessions: true,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use jsonwebtoken::{Algorithm, EncodingKey, Header};
    use serde_json::{Value, json};

    use super::*;
    use crate::id::Id;
    use crate::jwt::key::{Material, VerifyKey};
    use crate::jwt::keys::Keys;
    use crate::jwt::verify::{Fault, verify};
    use crate::verdict::{Name, Proved, Reason};

    const ISSUER: Option<&str> = Some("https://a.test");
    const NOW: u64 = 1_767_225_600;

    /// A ring's only key, and how it signs.
    struct Ring {
        keys: Keys,
        signing: EncodingKey,
    }

    impl Ring {
        fn new() -> Self {
            let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key pair");
            let signing = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).expect("a key");
            let key = VerifyKey::new(Some("k"), Material::P256(pair.public_key_raw()), None).expect("a key");
            Self { keys: Keys::new(vec![key]), signing }
        }

        fn check(&self, typ: &str, claims: &Value, now: u64) -> Result<Proved, Reason> {
            let header =
                Header { typ: Some(typ.to_owned()), kid: Some("k".to_owned()), ..Header::new(Algorithm::ES256) };
            let token = jsonwebtoken::encode(&header, claims, &self.signing).expect("a token");
            let checks = checks("service", "https://a.test", "api");
            let now: SystemTime = UNIX_EPOCH + Duration::from_secs(now);
            verify(&token, &self.keys, &checks, now).map_err(|fault| match fault {
                Fault::NotMine(refusal) | Fault::Refused(refusal) | Fault::UnknownKey(refusal) => refusal.reason,
            })
        }
    }

    fn claims(sid: Id) -> Value {
        json!({
            "iss": "https://a.test", "aud": "api", "sub": "u1", "jti": "t1", "sid": sid.text(), "type": "access",
            "iat": NOW, "exp": NOW + 900, "roles": ["user"],
        })
    }

    #[test]
    fn an_access_token_can_be_revoked_by_itself_by_its_login_and_by_its_user() {
        let sid = Id::random();
        let proved = Ring::new().check("at+jwt", &claims(sid), NOW).expect("good");
        let mark = proved.mark.expect("it can be revoked");
        assert_eq!((mark.token, mark.subject), (Name::of_jti(ISSUER, "t1"), Name::of_subject(ISSUER, "u1")));
        assert_eq!((mark.session, mark.issued, mark.expires), (Some(sid), NOW, NOW + 900));
    }

    #[test]
    fn only_access_tokens_for_this_place_are_taken() {
        let (ring, good) = (Ring::new(), claims(Id::random()));
        let with = |name: &str, value: Value| {
            let mut claims = good.clone();
            claims[name] = value;
            ring.check("at+jwt", &claims, NOW).err()
        };
        // What the ring signs for upstreams.
        assert_eq!(ring.check("JWT", &good, NOW).err(), Some(Reason::Type));
        assert_eq!(with("type", json!("refresh")), Some(Reason::Type));
        assert_eq!(with("type", json!(null)), Some(Reason::Type));
        assert_eq!(with("aud", json!("other")), Some(Reason::Audience));
        assert_eq!(with("iss", json!("https://b.test")), Some(Reason::Issuer));
        for name in ["exp", "iat", "jti", "sub"] {
            assert_eq!(with(name, json!(null)), Some(Reason::Claims), "{name}");
        }
        assert_eq!(with("exp", json!(NOW + 1)), None);
        assert_eq!(with("exp", json!(NOW)), Some(Reason::Expired), "its revocation is forgotten then");
        assert_eq!(with("iat", json!(NOW + 30)), None, "another gateway's clock");
        assert_eq!(with("iat", json!(NOW + 31)), Some(Reason::Lifetime));
    }
}
