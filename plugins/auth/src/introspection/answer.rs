//! What the issuer's answer must say.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Map, Value};
use tidegate_core::facts::{IdentityParts, Proof};
use tidegate_core::{ConfigError, ConfigErrors, ConfigPath};

use super::Known;
use crate::config::Introspection as Config;
use crate::id::Millis;
use crate::verdict::{Mark, Name, Proved, Reason};

/// By how much the issuer's clock may be ahead of this one.
const AHEAD: Duration = Duration::from_secs(30);
/// The longest subject. It stands in logs and fields.
const LONGEST_SUBJECT: usize = 256;

/// What an answer must say, and what is taken from it.
pub(super) struct Checks {
    provider: Box<str>,
    issuer: Option<Box<str>>,
    audience: Box<[Box<str>]>,
    subject: Box<str>,
    roles: Box<[Box<str>]>,
    scopes: Box<[Box<str>]>,
}

/// Why a token is no good.
type No = (Reason, &'static str);

impl Checks {
    pub(super) fn build(config: &Config, name: &str) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let mut member = |at: ConfigPath, name: &str| {
            if name.split('.').any(str::is_empty) {
                errors.push(ConfigError::at(at, "a member without a name"));
            }
        };
        member("subject".into(), &config.subject);
        for (field, names) in [("roles", &config.roles), ("scopes", &config.scopes)] {
            names.iter().enumerate().for_each(|(at, name)| member(ConfigPath::from(field).index(at), name));
        }
        let boxed = |names: &[String]| names.iter().map(|name| name.as_str().into()).collect();
        errors.into_result(Self {
            provider: name.into(),
            issuer: config.issuer.as_deref().map(Into::into),
            audience: boxed(&config.audience),
            subject: config.subject.as_str().into(),
            roles: boxed(&config.roles),
            scopes: boxed(&config.scopes),
        })
    }

    /// What is known of a token by this answer.
    pub(super) fn read(&self, answer: &Response<Bytes>, token: &str, now: SystemTime) -> Known {
        if answer.status() != StatusCode::OK {
            return Known::Failed(format!("it answers {}", answer.status().as_u16()).into());
        }
        let Ok(Value::Object(claims)) = serde_json::from_slice(answer.body()) else {
            return Known::Failed("its answer is no JSON object".into());
        };
        match claims.get("active") {
            Some(Value::Bool(true)) => {}
            Some(Value::Bool(false)) => return Known::Refused(Reason::Inactive, "its issuer says so"),
            // A token is good only where an issuer says so in just these words.
            _ => return Known::Failed("its answer doesn't say whether the token is active".into()),
        }
        match self.proved(claims, token, now) {
            Ok(proved) => Known::Proved(proved),
            Err((reason, detail)) => Known::Refused(reason, detail),
        }
    }

    fn proved(&self, mut claims: Map<String, Value>, token: &str, now: SystemTime) -> Result<Proved, No> {
        is_access_token(&claims)?;
        let expires = time(&claims, "exp")?;
        if expires.is_some_and(|expires| expires <= now) {
            return Err((Reason::Expired, ""));
        }
        let soon = now.checked_add(AHEAD).unwrap_or(now);
        if time(&claims, "nbf")?.is_some_and(|begins| begins > soon) {
            return Err((Reason::NotYetValid, ""));
        }
        self.issued_by(&claims)?;
        self.meant_for(&claims)?;
        let subject = subject(claim(&claims, &self.subject))?;
        let issuer = claims.get("iss").and_then(Value::as_str);
        let jti = claims.get("jti").and_then(Value::as_str);
        let mark = Mark {
            token: jti.map_or_else(|| unnamed(token), |jti| Name::of_jti(issuer, jti)),
            subject: Name::of_subject(issuer, &subject),
            session: None,
            issued: time(&claims, "iat")?.map_or(0, seconds),
            expires: expires.map_or(u64::MAX, seconds),
        };
        claims.remove("active");
        let parts = IdentityParts {
            subject,
            provider: self.provider.clone(),
            proof: Proof::Introspection,
            roles: words(&claims, &self.roles)?,
            scopes: words(&claims, &self.scopes)?,
            expires,
            claims,
        };
        Ok(Proved { identity: parts.into(), mark: Some(mark) })
    }

    fn issued_by(&self, claims: &Map<String, Value>) -> Result<(), No> {
        let Some(issuer) = &self.issuer else { return Ok(()) };
        let is = claims.get("iss").and_then(Value::as_str) == Some(issuer);
        is.then_some(()).ok_or((Reason::Issuer, ""))
    }

    fn meant_for(&self, claims: &Map<String, Value>) -> Result<(), No> {
        if self.audience.is_empty() {
            return Ok(());
        }
        let ours = |audience: &str| self.audience.iter().any(|ours| **ours == *audience);
        let is = match claims.get("aud") {
            Some(Value::String(audience)) => ours(audience),
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).any(ours),
            _ => false,
        };
        is.then_some(()).ok_or((Reason::Audience, ""))
    }
}

/// An issuer answers for its refresh tokens, too, whatever it was asked for (RFC 7662 section 2.1), and for tokens
/// that are only good together with a key (RFC 9449 section 7.1): a Bearer token is neither.
fn is_access_token(claims: &Map<String, Value>) -> Result<(), No> {
    let named = ["token_type", "typ", "token_use"].into_iter().filter_map(|name| claims.get(name)?.as_str());
    for name in named {
        if name.to_ascii_lowercase().contains("refresh") {
            return Err((Reason::Type, "it is a refresh token"));
        }
        if name.eq_ignore_ascii_case("dpop") {
            return Err((Reason::Type, "it needs the proof of a key"));
        }
    }
    Ok(())
}

/// By which a token without `jti` is revoked. One in the form of a JWT may have other signatures that are good, too.
fn unnamed(token: &str) -> Name {
    let signed = token.rsplit_once('.').map(|(signed, _)| signed).filter(|signed| signed.contains('.'));
    Name::of_token(signed.unwrap_or(token))
}

/// A member by its name; dots go into objects.
fn claim<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    let mut parts = name.split('.');
    let first = claims.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

fn subject(value: Option<&Value>) -> Result<Box<str>, No> {
    let text: Box<str> = match value {
        Some(Value::String(text)) => text.as_str().into(),
        Some(Value::Number(number)) if !number.is_f64() => number.to_string().into(),
        Some(_) => return Err((Reason::Claims, "its subject is no text")),
        None => return Err((Reason::Claims, "it has no subject")),
    };
    let fits = (1..=LONGEST_SUBJECT).contains(&text.len()) && !text.chars().any(char::is_control);
    if fits { Ok(text) } else { Err((Reason::Claims, "its subject is empty, too long, or has control characters")) }
}

/// Seconds since 1970, with a fraction perhaps (RFC 7519 section 2).
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<SystemTime>, No> {
    const NO: No = (Reason::Claims, "a time in it is none");
    let seconds = match claims.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value.as_f64().filter(|seconds| seconds.is_finite()).ok_or(NO)?,
    };
    // What was before 1970 is as long ago as 1970.
    let since = Duration::try_from_secs_f64(seconds.max(0.0)).map_err(|_| NO)?;
    SystemTime::UNIX_EPOCH.checked_add(since).map(Some).ok_or(NO)
}

fn seconds(time: SystemTime) -> u64 {
    Millis::of(time).seconds()
}

/// Lists, and words with spaces between, of all these members.
fn words(claims: &Map<String, Value>, names: &[Box<str>]) -> Result<Box<[Box<str>]>, No> {
    const NO: No = (Reason::Claims, "its roles or scopes are no words");
    let mut words: Vec<Box<str>> = Vec::new();
    for value in names.iter().filter_map(|name| claim(claims, name)) {
        match value {
            Value::Null => {}
            Value::String(text) => words.extend(text.split_ascii_whitespace().map(Into::into)),
            Value::Array(list) => {
                for word in list {
                    words.push(word.as_str().ok_or(NO)?.into());
                }
            }
            _ => return Err(NO),
        }
    }
    Ok(words.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ISSUER: Option<&str> = Some("https://issuer.test");
    const NOW: u64 = 1_767_225_600;

    fn checks() -> Checks {
        let config = Config {
            issuer: Some("https://issuer.test".into()),
            audience: vec!["api".into(), "web".into()],
            roles: vec!["roles".into(), "realm.roles".into()],
            ..Config::default()
        };
        Checks::build(&config, "opaque").expect("checks")
    }

    fn read(body: &str) -> Known {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
        checks().read(&Response::new(Bytes::from(body.to_owned())), "token", now)
    }

    /// A good answer, with these members in place of its own.
    fn with(changes: Value) -> Known {
        let mut answer = json!({
            "active": true, "sub": "u1", "iss": "https://issuer.test", "aud": ["x", "api"], "exp": NOW + 60,
            "nbf": NOW - 1, "iat": NOW - 1, "jti": "j1", "scope": "read write", "roles": ["admin"],
            "realm": { "roles": "a b" }, "token_type": "Bearer",
        });
        let changed = changes.as_object().cloned().expect("an object");
        let object = answer.as_object_mut().expect("an object");
        changed.into_iter().for_each(|(name, value)| {
            match value.is_null() {
                true => object.remove(&name),
                false => object.insert(name, value),
            };
        });
        read(&answer.to_string())
    }

    #[test]
    fn an_answer_says_who_and_what_for() {
        let Known::Proved(proved) = with(json!({})) else { panic!("not proved") };
        let identity = &proved.identity;
        let list = |words: &[Box<str>]| words.join(" ");
        assert_eq!((identity.subject(), identity.provider(), identity.proof()), ("u1", "opaque", Proof::Introspection));
        assert_eq!((list(identity.roles()), list(identity.scopes())), ("admin a b".into(), "read write".into()));
        assert!(identity.claim("active").is_none() && identity.claim("jti").is_some());
        let mark = proved.mark.expect("a mark");
        assert_eq!((mark.token, mark.issued, mark.expires), (Name::of_jti(ISSUER, "j1"), NOW - 1, NOW + 60));
        let Known::Proved(proved) = with(json!({ "jti": null, "exp": null, "iat": null, "sub": 7 })) else {
            panic!("not proved")
        };
        let mark = proved.mark.expect("a mark");
        assert_eq!((mark.token, mark.issued, mark.expires), (Name::of_token("token"), 0, u64::MAX));
        assert_eq!((proved.identity.subject(), mark.subject), ("7", Name::of_subject(ISSUER, "7")));
    }

    #[test]
    fn only_active_and_true_is_active() {
        assert!(matches!(with(json!({ "active": false })), Known::Refused(Reason::Inactive, _)));
        assert!(matches!(read(r#"{"active":false}"#), Known::Refused(Reason::Inactive, _)));
        for bad in ["true", "[]", "", "{}", r#"{"active":"true"}"#, r#"{"active":1}"#, r#"{"active":null}"#, "<html>"] {
            assert!(matches!(read(bad), Known::Failed(_)), "{bad}");
        }
        let mut answer = Response::new(Bytes::from_static(br#"{"active":true,"sub":"u1"}"#));
        *answer.status_mut() = StatusCode::CREATED;
        assert!(matches!(checks().read(&answer, "t", SystemTime::UNIX_EPOCH), Known::Failed(_)));
    }

    #[test]
    fn what_the_answer_says_is_checked() {
        for (changes, reason) in [
            (json!({ "exp": NOW }), Reason::Expired),
            (json!({ "exp": -1 }), Reason::Expired),
            (json!({ "exp": "tomorrow" }), Reason::Claims),
            (json!({ "exp": 1e300 }), Reason::Claims),
            (json!({ "nbf": NOW + 31 }), Reason::NotYetValid),
            (json!({ "iss": "https://issuer.test/" }), Reason::Issuer),
            (json!({ "iss": null }), Reason::Issuer),
            (json!({ "aud": "other" }), Reason::Audience),
            (json!({ "aud": ["other", 7] }), Reason::Audience),
            (json!({ "aud": null }), Reason::Audience),
            (json!({ "sub": null }), Reason::Claims),
            (json!({ "sub": "" }), Reason::Claims),
            (json!({ "sub": "a\nb" }), Reason::Claims),
            (json!({ "sub": ["u1"] }), Reason::Claims),
            (json!({ "sub": 1.5 }), Reason::Claims),
            (json!({ "sub": "x".repeat(257) }), Reason::Claims),
            (json!({ "scope": { "a": 1 } }), Reason::Claims),
            (json!({ "roles": ["a", 1] }), Reason::Claims),
            (json!({ "token_type": "refresh_token" }), Reason::Type),
            (json!({ "typ": "Refresh" }), Reason::Type),
            (json!({ "token_type": "DPoP" }), Reason::Type),
        ] {
            match with(changes.clone()) {
                Known::Refused(why, _) => assert_eq!(why, reason, "{changes}"),
                other => panic!("{changes}: {other:?}"),
            }
        }
        for good in
            [json!({ "exp": NOW + 1 }), json!({ "nbf": NOW + 30 }), json!({ "aud": "web" }), json!({ "scope": null })]
        {
            assert!(matches!(with(good.clone()), Known::Proved(_)), "{good}");
        }
    }

    #[test]
    fn members_have_names() {
        let config = Config { subject: "a..b".into(), roles: vec![String::new()], ..Config::default() };
        let errors = Checks::build(&config, "x").map(drop).expect_err("bad");
        assert_eq!(errors.to_string(), "subject: a member without a name\nroles[0]: a member without a name");
    }
}
