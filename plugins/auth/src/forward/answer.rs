//! What the service's answer means.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use serde_json::Map;
use tidegate_core::facts::{IdentityParts, Proof};
use tidegate_core::{ConfigError, ConfigErrors, ConfigPath, HeaderName};

use super::Known;
use crate::verdict::{Answer, Proved};

/// The longest text that is taken from an answer, in bytes.
const LONGEST: usize = 8 * 1024;
/// The longest subject. It stands in logs and fields.
const LONGEST_SUBJECT: usize = 256;
/// The most that a client is told in the service's words: fields, and bytes of their values.
const MOST_TOLD: (usize, usize) = (16, 16 * 1024);
/// What a client is told of a refusal.
const TOLD: [HeaderName; 3] = [header::WWW_AUTHENTICATE, header::LOCATION, header::SET_COOKIE];

/// Which fields of an answer say who.
pub(super) struct Reading {
    provider: Box<str>,
    subject: Option<HeaderName>,
    roles: Option<HeaderName>,
    scopes: Option<HeaderName>,
    claims: Box<[(Box<str>, HeaderName)]>,
}

impl Reading {
    /// Errors are relative to `identity`.
    pub(super) fn build(identity: &BTreeMap<String, String>, provider: &str) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let mut reading =
            Self { provider: provider.into(), subject: None, roles: None, scopes: None, claims: Box::default() };
        let mut claims = Vec::new();
        for (claim, text) in identity {
            let at = ConfigPath::root().key(claim);
            let Ok(name) = HeaderName::from_bytes(text.as_bytes()) else {
                errors.push(ConfigError::at(at, format!("`{}` is no name of a field", text.escape_debug())));
                continue;
            };
            match claim.as_str() {
                "subject" => reading.subject = Some(name),
                "roles" => reading.roles = Some(name),
                "scopes" => reading.scopes = Some(name),
                "" => errors.push(ConfigError::at(at, "a claim without a name").about_key()),
                claim => claims.push((claim.into(), name)),
            }
        }
        errors.into_result(Self { claims: claims.into(), ..reading })
    }

    pub(super) fn read(&self, answer: &Response<Bytes>) -> Known {
        let status = answer.status();
        let fields = answer.headers();
        match status {
            _ if status.is_success() => self.who(fields).unwrap_or_else(|why| Known::Failed(why.into())),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => refused(status, fields),
            // To where one can log in.
            StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
                if fields.contains_key(header::LOCATION) =>
            {
                refused(status, fields)
            }
            _ => Known::Failed(format!("it answers {}", status.as_u16()).into()),
        }
    }

    fn who(&self, fields: &HeaderMap) -> Result<Known, &'static str> {
        let subject = self.subject.as_ref().map(|name| one(fields, name)).transpose()?.flatten();
        let Some(subject) = subject.filter(|subject| !subject.is_empty()) else { return Ok(Known::Nobody) };
        if subject.len() > LONGEST_SUBJECT {
            return Err("the subject in its answer is too long");
        }
        let mut claims = Map::new();
        for (claim, name) in &self.claims {
            if let Some(text) = one(fields, name)? {
                claims.insert(claim.as_ref().to_owned(), text.into());
            }
        }
        let words = |name: &Option<HeaderName>| name.as_ref().map_or(Ok(Box::default()), |name| words(fields, name));
        let parts = IdentityParts {
            subject: subject.into(),
            provider: self.provider.clone(),
            proof: Proof::ForwardAuth,
            roles: words(&self.roles)?,
            scopes: words(&self.scopes)?,
            claims,
            expires: None,
        };
        Ok(Known::Proved(Proved { identity: parts.into(), mark: None }))
    }
}

/// The text of a field that stands there once at most.
fn one<'f>(fields: &'f HeaderMap, name: &HeaderName) -> Result<Option<&'f str>, &'static str> {
    let mut values = fields.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err("a field that says who stands twice in its answer");
    }
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| "a field in its answer is no text")?;
    let fits = text.len() <= LONGEST && !text.chars().any(char::is_control);
    if fits { Ok(Some(text.trim())) } else { Err("a field in its answer is too long, or has control characters") }
}

/// Words with commas or spaces between, in any number of fields.
fn words(fields: &HeaderMap, name: &HeaderName) -> Result<Box<[Box<str>]>, &'static str> {
    let mut words = Vec::new();
    let mut length = 0;
    for value in fields.get_all(name) {
        length += value.len();
        if length > LONGEST {
            return Err("a field in its answer is too long");
        }
        let text = value.to_str().map_err(|_| "a field in its answer is no text")?;
        words.extend(text.split([',', ' ', '\t']).filter(|word| !word.is_empty()).map(Into::into));
    }
    Ok(words.into())
}

fn refused(status: StatusCode, fields: &HeaderMap) -> Known {
    let mut headers = HeaderMap::new();
    let (most, mut room) = MOST_TOLD;
    for name in TOLD {
        for value in fields.get_all(&name) {
            if headers.len() < most && value.len() <= room {
                room -= value.len();
                headers.append(name.clone(), value.clone());
            }
        }
    }
    Known::Refused(Arc::new(Answer { status, headers }))
}

/// Whether an answer is for one client alone.
pub(super) fn is_personal(answer: &Answer) -> bool {
    answer.headers.contains_key(header::SET_COOKIE) || answer.headers.contains_key(header::LOCATION)
}
