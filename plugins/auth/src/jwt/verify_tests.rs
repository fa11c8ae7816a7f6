//! Every step of a check, and that each has a reason of its own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::jwt::algorithm::Algorithms;
use crate::jwt::checks::Audience;
use crate::jwt::key::{Material, VerifyKey};
use crate::verdict::Name;

const NOW: u64 = 1_767_225_600;
const SECRET: &[u8] = b"a secret of thirty-two bytes, ok";

/// What a provider with nothing configured wants, with 30 seconds of leeway.
pub(in crate::jwt) fn checks() -> Checks {
    let words = |words: &[&str]| words.iter().map(|word| Box::from(*word)).collect::<Box<[Box<str>]>>();
    Checks {
        provider: "jwt".into(),
        algorithms: Algorithms::ALL,
        issuer: None,
        audience: Audience::Nobody,
        typ: None,
        require: words(&["exp"]),
        equal: Box::default(),
        late: 30_000,
        early: 30_000,
        max_lifetime: None,
        subject: "sub".into(),
        roles: words(&["roles", "role"]),
        scopes: words(&["scope", "scp"]),
        sessions: false,
    }
}

pub(in crate::jwt) fn reason(token: &str, keys: &Keys, checks: &Checks) -> Option<Reason> {
    match verify(token, keys, checks, at(NOW)) {
        Ok(_) => None,
        Err(Fault::NotMine(refusal) | Fault::Refused(refusal) | Fault::UnknownKey(refusal)) => Some(refusal.reason),
    }
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn keys() -> Keys {
    let only = Some([Algorithm::HS256].into_iter().collect());
    Keys::new(vec![VerifyKey::new(Some("k"), Material::Secret(SECRET), only).expect("a key")])
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token of these texts, signed with [`SECRET`] whatever its header says.
fn signed(header: &str, claims: &str) -> String {
    let text = format!("{}.{}", encode(header), encode(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), text.as_bytes());
    format!("{text}.{}", encode(tag))
}

fn token(claims: &Value) -> String {
    signed(r#"{"alg":"HS256","typ":"JWT"}"#, &claims.to_string())
}

/// Good claims with these over them; `null` takes one out.
fn claims(over: Value) -> Value {
    let mut claims = json!({"sub": "u1", "exp": NOW + 600, "iat": NOW - 10});
    let all = claims.as_object_mut().expect("an object");
    let Value::Object(over) = over else { panic!("an object") };
    for (name, value) in over {
        match value {
            Value::Null => drop(all.remove(&name)),
            value => drop(all.insert(name, value)),
        }
    }
    claims
}

fn proved(over: Value, checks: &Checks) -> Result<Proved, Reason> {
    verify(&token(&claims(over)), &keys(), checks, at(NOW)).map_err(|fault| match fault {
        Fault::NotMine(refusal) | Fault::Refused(refusal) | Fault::UnknownKey(refusal) => refusal.reason,
    })
}

fn refused(over: Value, checks: &Checks) -> Option<Reason> {
    proved(over, checks).err()
}

fn boxed(words: &[&str]) -> Box<[Box<str>]> {
    words.iter().map(|word| Box::from(*word)).collect()
}

#[test]
fn a_good_token_says_who_is_asking() {
    let over = json!({"roles": ["admin", "dev"], "role": "dev ops", "scope": "a:read b:write", "jti": "t1", "iss": "a", "n": {"m": 1}});
    let proved = proved(over, &checks()).expect("good");
    let identity = &proved.identity;
    assert_eq!((identity.subject(), identity.provider(), identity.proof().as_str()), ("u1", "jwt", "jwt"));
    assert_eq!(identity.roles().iter().map(|role| &**role).collect::<Vec<_>>(), ["admin", "dev", "ops"]);
    assert_eq!(identity.scopes().iter().map(|scope| &**scope).collect::<Vec<_>>(), ["a:read", "b:write"]);
    assert_eq!(identity.claim("n.m"), Some(&json!(1)));
    assert_eq!(identity.expires(), Some(at(NOW + 600)));
    let mark = proved.mark.expect("it can be revoked");
    assert_eq!(mark.token, Name::of_jti(Some("a"), "t1"));
    assert_eq!(mark.subject, Name::of_subject(Some("a"), "u1"));
    // As long as it is taken, leeway and all, its revocation must be kept.
    assert_eq!((mark.issued, mark.expires, mark.session), (NOW - 10, NOW + 630, None));
}

#[test]
fn a_token_without_an_id_is_known_by_what_was_signed() {
    let token = token(&claims(json!({})));
    let proved = verify(&token, &keys(), &checks(), at(NOW)).expect("good");
    let (signed, _) = token.rsplit_once('.').expect("three parts");
    assert_eq!(proved.mark.map(|mark| mark.token), Some(Name::of_token(signed)));
}

#[test]
fn each_step_that_fails_has_its_reason() {
    let good = token(&claims(json!({})));
    let header = |header: &str| signed(header, &claims(json!({})).to_string());
    let (text, signature) = good.rsplit_once('.').expect("three parts");
    let forged = format!("{text}.{}", encode([0; 32]));
    let other = format!(
        "{}.{signature}",
        signed(r#"{"alg":"HS256"}"#, r#"{"sub":"root","exp":9999999999}"#).rsplit_once('.').expect("three parts").0
    );
    for (token, expected) in [
        (good.clone(), None),
        ("opaque".to_owned(), Some(Reason::Malformed)),
        (format!("{good}="), Some(Reason::Malformed)),
        (format!("{good}."), Some(Reason::Malformed)),
        (signed(r#"{"alg":"HS256"}"#, "[]"), Some(Reason::Malformed)),
        (signed(r#"{"alg":"HS256"}"#, r#"{"sub":"a","sub":"b","exp":9999999999}"#), Some(Reason::Malformed)),
        (header(r#"{"alg":"HS256","crit":["exp"],"exp":1}"#), Some(Reason::Malformed)),
        (header(r#"{"alg":"none"}"#), Some(Reason::Algorithm)),
        (header(r#"{"alg":"hs256"}"#), Some(Reason::Algorithm)),
        (header(r#"{"alg":"HS512"}"#), Some(Reason::Algorithm)),
        (header(r#"{"alg":"RS256"}"#), Some(Reason::Algorithm)),
        (header(r#"{"alg":"HS256","kid":"other"}"#), Some(Reason::UnknownKey)),
        (header(r#"{"alg":"HS256","kid":"k"}"#), None),
        (format!("{text}."), Some(Reason::Signature)),
        (forged, Some(Reason::Signature)),
        (other, Some(Reason::Signature)),
        (header(r#"{"alg":"HS256","typ":"dpop+jwt"}"#), Some(Reason::Type)),
    ] {
        assert_eq!(reason(&token, &keys(), &checks()), expected, "{token}");
    }
}

#[test]
fn what_may_be_another_providers_is_left_to_it() {
    let own = Checks { issuer: Some("https://a.test".into()), ..checks() };
    let theirs = token(&claims(json!({"iss": "https://b.test"})));
    for foreign in
        ["opaque", "a.b.c.d.e", "6.7.8", &theirs, &token(&claims(json!({}))), &token(&claims(json!({"iss": 1})))]
    {
        assert!(matches!(verify(foreign, &keys(), &own, at(NOW)), Err(Fault::NotMine(_))), "{foreign}");
    }
    let broken = signed(r#"{"alg":"HS256","alg":"HS256"}"#, "{}");
    assert!(matches!(verify(&broken, &keys(), &own, at(NOW)), Err(Fault::Refused(_))));
    assert_eq!(refused(json!({"iss": "https://a.test"}), &own), None);
}

#[test]
fn nothing_is_believed_before_the_signature() {
    let text = format!("{}.{}", encode(r#"{"alg":"HS256"}"#), encode(claims(json!({"exp": 1})).to_string()));
    let forged = format!("{text}.{}", encode([1; 32]));
    assert_eq!(reason(&forged, &keys(), &checks()), Some(Reason::Signature));
}

#[test]
fn times_are_kept_to_the_second() {
    let late = |token: &Value, now: u64| verify(&super::tests::token(token), &keys(), &checks(), at(now)).is_ok();
    let exp = claims(json!({"exp": NOW, "iat": null}));
    assert!(late(&exp, NOW - 1) && late(&exp, NOW + 29), "within the leeway");
    assert!(!late(&exp, NOW + 30) && !late(&exp, NOW + 31));
    let nbf = claims(json!({"nbf": NOW, "iat": null}));
    assert!(!late(&nbf, NOW - 31));
    assert!(late(&nbf, NOW - 30));

    for (over, expected) in [
        (json!({"exp": NOW - 30}), Some(Reason::Expired)),
        (json!({"exp": NOW - 29}), None),
        (json!({"exp": (NOW - 30) as f64 + 0.5}), None),
        (json!({"exp": (NOW - 30) as f64 - 0.5}), Some(Reason::Expired)),
        (json!({"exp": 0}), Some(Reason::Expired)),
        (json!({"nbf": NOW + 31}), Some(Reason::NotYetValid)),
        (json!({"nbf": NOW + 30}), None),
        (json!({"iat": NOW + 31}), Some(Reason::Lifetime)),
        (json!({"iat": NOW + 30}), None),
        (json!({"exp": -1}), Some(Reason::Claims)),
        (json!({"exp": "9999999999"}), Some(Reason::Claims)),
        (json!({"exp": 1e300}), Some(Reason::Claims)),
        (json!({"nbf": []}), Some(Reason::Claims)),
        (json!({"iat": true}), Some(Reason::Claims)),
        (json!({"exp": null}), Some(Reason::Claims)),
    ] {
        assert_eq!(refused(over.clone(), &checks()), expected, "{over}");
    }
    let strict = Checks { late: 0, ..checks() };
    assert_eq!(refused(json!({"exp": NOW}), &strict), Some(Reason::Expired), "RFC 7519: on or after");
    assert_eq!(refused(json!({"exp": NOW + 1}), &strict), None);
}

#[test]
fn a_token_lives_no_longer_than_it_may() {
    let hour = Checks { max_lifetime: Some(3_600_000), require: Box::default(), ..checks() };
    for (over, expected) in [
        (json!({"iat": NOW, "exp": NOW + 3600}), None),
        (json!({"iat": NOW, "exp": NOW + 3601}), Some(Reason::Lifetime)),
        (json!({"iat": null}), Some(Reason::Lifetime)),
        (json!({"exp": null}), Some(Reason::Lifetime)),
    ] {
        assert_eq!(refused(over.clone(), &hour), expected, "{over}");
    }
    let endless = Checks { require: Box::default(), ..checks() };
    let proved = proved(json!({"exp": null}), &endless).expect("good");
    assert_eq!(proved.identity.expires(), None);
    assert_eq!(proved.mark.map(|mark| mark.expires), Some(253_402_300_799), "revocable for ever");
}

#[test]
fn a_token_for_somebody_else_is_refused() {
    let any = Checks { audience: Audience::Any, ..checks() };
    let ours = Checks { audience: Audience::OneOf(boxed(&["api", "b"])), ..checks() };
    for (aud, nobody, one_of) in [
        (Value::Null, true, false),
        (json!("api"), false, true),
        (json!(["x", "b"]), false, true),
        (json!("API"), false, false),
        (json!("api "), false, false),
        (json!([]), false, false),
        (json!(["x"]), false, false),
        (json!(["api", 1]), false, false),
        (json!({"api": 1}), false, false),
        (json!(1), false, false),
    ] {
        let with = |checks: &Checks| match refused(json!({"aud": aud.clone()}), checks) {
            None => true,
            Some(Reason::Audience) => false,
            Some(other) => panic!("{aud}: {other:?}"),
        };
        assert_eq!((with(&checks()), with(&ours), with(&any)), (nobody, one_of, true), "{aud}");
    }
}

#[test]
fn the_type_of_a_token_is_compared_as_media_types_are() {
    let own = Checks { typ: Some(boxed(&["at+jwt"])), ..checks() };
    for (typ, usual, only_own) in [
        (None, true, false),
        (Some("JWT"), true, false),
        (Some("jwt"), true, false),
        (Some("at+jwt"), true, true),
        (Some("AT+JWT"), true, true),
        (Some("application/at+jwt"), true, true),
        (Some("Application/AT+jwt"), true, true),
        (Some("logout+jwt"), false, false),
        (Some(""), false, false),
        (Some("application/"), false, false),
        (Some("applicätion/at+jwt"), false, false),
    ] {
        assert_eq!((checks().check_type(typ).is_ok(), own.check_type(typ).is_ok()), (usual, only_own), "{typ:?}");
    }
}

#[test]
fn claims_that_are_asked_for_are_there_and_as_they_are_asked_for() {
    let strict = Checks {
        require: boxed(&["exp", "email", "a.b"]),
        equal: Box::new([("type".into(), json!("access")), ("tenant.id".into(), json!(7))]),
        ..checks()
    };
    let all = json!({"email": "e", "a": {"b": 0}, "type": "access", "tenant": {"id": 7}});
    let with = |name: &str, value: Value| {
        let mut all = all.clone();
        all[name] = value;
        refused(all, &strict)
    };
    assert_eq!(refused(all.clone(), &strict), None);
    assert_eq!(with("email", Value::Null), Some(Reason::Claims));
    assert_eq!(with("a", json!({"b": null})), Some(Reason::Claims));
    assert_eq!(with("type", json!("refresh")), Some(Reason::Type));
    assert_eq!(with("type", json!(["access"])), Some(Reason::Type));
    assert_eq!(with("tenant", json!({"id": "7"})), Some(Reason::Claims));
}

#[test]
fn somebody_has_a_name() {
    for (over, subject) in [
        (json!({"sub": "ü"}), Some("ü")),
        (json!({"sub": 42}), Some("42")),
        (json!({"sub": null}), None),
        (json!({"sub": ""}), None),
        (json!({"sub": 1.5}), None),
        (json!({"sub": ["a"]}), None),
        (json!({"sub": "a\r\nX-User-ID: root"}), None),
        (json!({"sub": "a\u{0}"}), None),
        (json!({"sub": "x".repeat(1025)}), None),
    ] {
        let found = proved(over.clone(), &checks());
        assert_eq!(found.as_ref().ok().map(|proved| proved.identity.subject()), subject, "{over}");
        assert!(found.is_ok() || found.is_err_and(|reason| reason == Reason::Claims));
    }
    let nested = Checks { subject: "user.id".into(), ..checks() };
    let found = proved(json!({"user": {"id": "n1"}}), &nested).expect("good");
    assert_eq!(found.identity.subject(), "n1");
    assert_eq!(refused(json!({"jti": 1}), &checks()), Some(Reason::Claims));
}

#[test]
fn only_the_token_service_has_sessions() {
    let sid = crate::id::Id::random();
    let own = Checks { sessions: true, ..checks() };
    let session = |checks: &Checks, sid: &str| {
        proved(json!({"sid": sid}), checks).ok().and_then(|proved| proved.mark).and_then(|mark| mark.session)
    };
    assert_eq!(session(&own, &sid.text()), Some(sid));
    assert_eq!(session(&own, "other"), None);
    assert_eq!(session(&checks(), &sid.text()), None);
}

proptest! {
    #[test]
    fn a_changed_token_is_never_taken(place in any::<usize>(), byte in any::<u8>()) {
        let good = token(&claims(json!({})));
        let mut changed = good.clone().into_bytes();
        let place = place % changed.len();
        changed[place] = byte & 0x7f;
        let changed = String::from_utf8(changed).expect("ASCII");
        prop_assert_eq!(reason(&changed, &keys(), &checks()).is_none(), changed == good);
    }

    #[test]
    fn no_claims_do_more_than_be_refused(
        names in proptest::collection::vec(
            prop_oneof!["exp|nbf|iat|sub|aud|iss|jti|sid|roles|scope|type", "[a-z.]{1,6}"], 0..8,
        ),
        values in proptest::collection::vec(any::<(u8, i64, f64, String)>(), 8),
    ) {
        let value = |(kind, int, float, text): (u8, i64, f64, String)| match kind % 6 {
            0 => json!(int),
            1 => json!(float),
            2 => json!(text),
            3 => json!([text, int]),
            4 => json!({ text: float }),
            _ => json!(kind > 128),
        };
        let claims: Map<String, Value> = names.into_iter().zip(values.into_iter().map(value)).collect();
        let own = Checks { issuer: None, max_lifetime: Some(1), sessions: true, ..checks() };
        let _ = reason(&token(&Value::Object(claims.clone())), &keys(), &own);
        let _ = reason(&token(&Value::Object(claims)), &keys(), &checks());
    }
}
