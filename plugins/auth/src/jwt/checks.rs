//! What the claims of a token must say (RFC 7519 section 4.1, RFC 8725 section 3), and who it says is asking.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use tidegate_core::facts::{Identity, IdentityParts, Proof};

use super::algorithm::Algorithms;
use super::claim::{self, LAST_SECOND};
use crate::id::{Id, Millis};
use crate::verdict::{Mark, Name, Proved, Reason, Refusal};

/// The longest subject, in bytes.
const LONGEST_SUBJECT: usize = 1024;

/// What a provider wants its tokens to be.
#[derive(Debug)]
pub(crate) struct Checks {
    /// The provider's name.
    pub(super) provider: Box<str>,
    pub(super) algorithms: Algorithms,
    pub(super) issuer: Option<Box<str>>,
    pub(super) audience: Audience,
    /// What `typ` may be, an empty word for not at all; `None` for what a token may be called where nothing is said:
    /// `JWT`, `at+jwt`, or not at all.
    pub(super) typ: Option<Box<[Box<str>]>>,
    pub(super) require: Box<[Box<str>]>,
    pub(super) equal: Box<[(Box<str>, Value)]>,
    /// How long after `exp` a token is still good, in milliseconds.
    pub(super) late: u64,
    /// How long before `nbf` and `iat` it already is.
    pub(super) early: u64,
    pub(super) max_lifetime: Option<u64>,
    pub(super) subject: Box<str>,
    pub(super) roles: Box<[Box<str>]>,
    pub(super) scopes: Box<[Box<str>]>,
    /// Whether `sid` is a session of the token service.
    pub(super) sessions: bool,
}

/// Whom a token must be for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Nobody in particular: one that says whom it is for is for somebody else.
    Nobody,
    OneOf(Box<[Box<str>]>),
    Any,
}

/// The times that a token says, in milliseconds since 1970.
struct Times {
    exp: Option<u64>,
    iat: Option<u64>,
}

impl Checks {
    /// Whether a token of this issuer can be this provider's.
    pub(super) fn is_of_issuer(&self, claims: &Map<String, Value>) -> bool {
        match &self.issuer {
            Some(issuer) => claims.get("iss").and_then(Value::as_str) == Some(issuer),
            None => true,
        }
    }

    /// `typ` of the header (RFC 8725 section 3.11), in any case, `application/` left out (RFC 7515 section 4.1.9).
    pub(super) fn check_type(&self, typ: Option<&str>) -> Result<(), Refusal> {
        const USUAL: [&str; 2] = ["JWT", "at+jwt"];
        const PREFIX: &str = "application/";
        let typ = typ.map(|typ| match typ.get(..PREFIX.len()) {
            Some(start) if start.eq_ignore_ascii_case(PREFIX) => &typ[PREFIX.len()..],
            _ => typ,
        });
        let good = match (&self.typ, typ) {
            (None, None) => true,
            (None, Some(typ)) => USUAL.iter().any(|usual| usual.eq_ignore_ascii_case(typ)),
            (Some(list), None) => list.iter().any(|other| other.is_empty()),
            (Some(list), Some(typ)) => list.iter().any(|other| other.eq_ignore_ascii_case(typ)),
        };
        if good { Ok(()) } else { Err(refusal(Reason::Type, "its `typ` is another")) }
    }

    /// Checks the claims of a token whose signature is good, and says who is asking. `signed` is what it is of.
    pub(super) fn prove(&self, claims: Map<String, Value>, signed: &str, now: SystemTime) -> Result<Proved, Refusal> {
        let times = self.check_times(&claims, Millis::of(now).0)?;
        self.check_audience(claims.get("aud"))?;
        self.check_others(&claims)?;
        let subject = self.subject(&claims)?;
        let issuer = claims.get("iss").and_then(Value::as_str);
        let token = match claims.get("jti") {
            None => Name::of_token(signed),
            Some(Value::String(jti)) => Name::of_jti(issuer, jti),
            Some(_) => return Err(refusal(Reason::Claims, "its `jti` is no text")),
        };
        let session = claims.get("sid").filter(|_| self.sessions).and_then(Value::as_str).and_then(Id::parse);
        let mark = Mark {
            token,
            subject: Name::of_subject(issuer, &subject),
            session,
            issued: times.iat.unwrap_or(0) / 1000,
            expires: times.exp.map_or(LAST_SECOND, |exp| exp.saturating_add(self.late).div_ceil(1000)),
        };
        let parts = IdentityParts {
            subject: subject.into(),
            provider: self.provider.clone(),
            proof: Proof::Jwt,
            roles: self.words(&claims, &self.roles),
            scopes: self.words(&claims, &self.scopes),
            expires: times.exp.and_then(|exp| UNIX_EPOCH.checked_add(Duration::from_millis(exp))),
            claims,
        };
        Ok(Proved { identity: Identity::from(parts), mark: Some(mark) })
    }

    /// On `exp` a token has expired (RFC 7519 section 4.1.4), so many seconds later that clocks may differ by.
    fn check_times(&self, claims: &Map<String, Value>, now: u64) -> Result<Times, Refusal> {
        let [exp, nbf, iat] = ["exp", "nbf", "iat"].map(|name| claims.get(name).map(claim::date));
        let read = |date: Option<Option<u64>>, detail| match date {
            Some(None) => Err(refusal(Reason::Claims, detail)),
            Some(date) => Ok(date),
            None => Ok(None),
        };
        let exp = read(exp, "its `exp` is no time")?;
        let nbf = read(nbf, "its `nbf` is no time")?;
        let iat = read(iat, "its `iat` is no time")?;
        if exp.is_some_and(|exp| now >= exp.saturating_add(self.late)) {
            return Err(refusal(Reason::Expired, "it has expired"));
        }
        if nbf.is_some_and(|nbf| now.saturating_add(self.early) < nbf) {
            return Err(refusal(Reason::NotYetValid, "it is not good yet"));
        }
        if iat.is_some_and(|iat| now.saturating_add(self.early) < iat) {
            return Err(refusal(Reason::Lifetime, "it was issued in the future"));
        }
        if let Some(most) = self.max_lifetime {
            let bounded = exp.zip(iat).is_some_and(|(exp, iat)| exp.saturating_sub(iat) <= most);
            if !bounded {
                return Err(refusal(Reason::Lifetime, "it is good for longer than it may be, or doesn't say how long"));
            }
        }
        Ok(Times { exp, iat })
    }

    fn check_audience(&self, aud: Option<&Value>) -> Result<(), Refusal> {
        let good = match (&self.audience, aud) {
            (Audience::Any, _) | (Audience::Nobody, None) => true,
            (Audience::Nobody, Some(_)) | (Audience::OneOf(_), None) => false,
            (Audience::OneOf(ours), Some(Value::String(aud))) => ours.iter().any(|our| **our == **aud),
            (Audience::OneOf(ours), Some(Value::Array(all))) => {
                all.iter().all(Value::is_string)
                    && all.iter().filter_map(Value::as_str).any(|aud| ours.iter().any(|our| **our == *aud))
            }
            (Audience::OneOf(_), Some(_)) => false,
        };
        if good { Ok(()) } else { Err(refusal(Reason::Audience, "it is for somebody else")) }
    }

    fn check_others(&self, claims: &Map<String, Value>) -> Result<(), Refusal> {
        for name in &self.require {
            if claim::find(claims, name).is_none_or(Value::is_null) {
                return Err(Refusal::new(Reason::Claims, Cow::Owned(format!("it has no `{name}`"))));
            }
        }
        for (name, value) in &self.equal {
            if claim::find(claims, name) != Some(value) {
                // What kind of token it is: one for another purpose is a mix-up, or an attempt.
                let kind = matches!(&**name, "type" | "typ" | "token_use" | "token_type");
                let reason = if kind { Reason::Type } else { Reason::Claims };
                return Err(Refusal::new(reason, Cow::Owned(format!("its `{name}` is another"))));
            }
        }
        Ok(())
    }

    /// Some issuers count their users: a whole number is a name, too.
    fn subject(&self, claims: &Map<String, Value>) -> Result<String, Refusal> {
        let subject = match claim::find(claims, &self.subject) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) if !number.is_f64() => number.to_string(),
            _ => String::new(),
        };
        let good = (1..=LONGEST_SUBJECT).contains(&subject.len()) && !subject.chars().any(char::is_control);
        if good { Ok(subject) } else { Err(refusal(Reason::Claims, "it doesn't say who is asking")) }
    }

    fn words(&self, claims: &Map<String, Value>, names: &[Box<str>]) -> Box<[Box<str>]> {
        let mut all: Vec<Box<str>> = Vec::new();
        for value in names.iter().filter_map(|name| claim::find(claims, name)) {
            claim::words(value, |word| {
                // Lists are short, a token bounds them.
                if !all.iter().any(|other| **other == *word) {
                    all.push(word.into());
                }
            });
        }
        all.into()
    }
}

fn refusal(reason: Reason, detail: &'static str) -> Refusal {
    Refusal::new(reason, detail)
}
