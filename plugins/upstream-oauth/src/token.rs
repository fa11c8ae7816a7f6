//! A token, and the answer it comes in (RFC 6749 sections 5.1 and 5.2).

use std::fmt;
use std::time::{Duration, Instant};

use http::{HeaderValue, Response, StatusCode};
use serde_json::{Map, Value};
use tidegate_core::Bytes;

/// The longest token: it has to fit into a header field.
const LONGEST: usize = 8 * 1024;
/// No token is taken to live longer.
const LONGEST_LIFE: Duration = Duration::from_secs(365 * 24 * 3600);

/// A token, and for how long it is good.
pub(crate) struct Token {
    text: Box<str>,
    /// As nearly every route sends it, made once.
    bearer: HeaderValue,
    /// When it was asked for: its life is counted from there, since the server counts from somewhere after.
    pub(crate) fetched: Instant,
    pub(crate) expires: Instant,
}

impl Token {
    pub(crate) fn new(text: &str, fetched: Instant, life: Duration) -> Result<Self, Bad> {
        let bearer = field(&["Bearer ", text].concat()).ok_or(Bad::Token)?;
        let expires = fetched.checked_add(life.min(LONGEST_LIFE)).ok_or(Bad::Lifetime)?;
        Ok(Self { text: text.into(), bearer, fetched, expires })
    }

    /// The field's value with this word before the token.
    pub(crate) fn value(&self, prefix: &str) -> Option<HeaderValue> {
        match prefix {
            "Bearer" => Some(self.bearer.clone()),
            "" => field(&self.text),
            other => field(&[other, " ", &self.text].concat()),
        }
    }

    pub(crate) fn is_valid(&self, now: Instant) -> bool {
        now < self.expires
    }

    /// One that has ended before it came is of no use, and is a failure: whoever waits would ask for the next at once,
    /// and so on as fast as the server can answer.
    pub(crate) fn in_time(self, now: Instant) -> Result<Self, Bad> {
        if self.is_valid(now) { Ok(self) } else { Err(Bad::Late) }
    }

    pub(crate) fn life(&self) -> Duration {
        self.expires.saturating_duration_since(self.fetched)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

fn field(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Why an answer holds no token that can be used. Says nothing of a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Bad {
    #[error("it answers {0}")]
    Status(u16),
    #[error("it answers {0}: {1}")]
    Refused(u16, Box<str>),
    #[error("its answer is no JSON object")]
    NotJson,
    #[error("its answer has no access_token that can be sent")]
    Token,
    #[error("its token is not of the type Bearer")]
    Type,
    #[error("expires_in of its answer is no number of seconds above 0")]
    Lifetime,
    #[error("its token had ended before it came")]
    Late,
}

/// The token of an answer to what was asked at `asked`. `lifetime` is for an answer that says none.
pub(crate) fn read(answer: &Response<Bytes>, asked: Instant, lifetime: Duration) -> Result<Token, Bad> {
    let members = match serde_json::from_slice(answer.body()) {
        Ok(Value::Object(members)) => Some(members),
        _ => None,
    };
    if answer.status() != StatusCode::OK {
        return Err(refused(answer.status().as_u16(), members.as_ref()));
    }
    let members = members.ok_or(Bad::NotJson)?;
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let token = text("access_token").filter(|token| can_be_sent(token)).ok_or(Bad::Token)?;
    // Case does not count (RFC 6749 section 5.1); a token of another type needs more than to be shown (section 7.1).
    if !text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("Bearer")) {
        return Err(Bad::Type);
    }
    Token::new(token, asked, life(members.get("expires_in"), lifetime)?)
}

/// No spaces and nothing that isn't ASCII (RFC 6749 appendix A.12): it stands in a field.
fn can_be_sent(token: &str) -> bool {
    (1..=LONGEST).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Some servers write the number as a text.
fn life(says: Option<&Value>, otherwise: Duration) -> Result<Duration, Bad> {
    let seconds = match says {
        None | Some(Value::Null) => return Ok(otherwise),
        Some(Value::String(text)) => text.parse().ok(),
        Some(value) => value.as_f64(),
    };
    let seconds = seconds.filter(|seconds: &f64| *seconds > 0.0).ok_or(Bad::Lifetime)?;
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_LIFE))
}

/// The error's name is one of the RFC's, or another short word; what else the answer says stays there.
fn refused(status: u16, members: Option<&Map<String, Value>>) -> Bad {
    let name = members.and_then(|members| members.get("error")?.as_str());
    let is_word = |name: &&str| {
        (1..=64).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
    };
    name.filter(is_word).map_or(Bad::Status(status), |name| Bad::Refused(status, name.into()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LIFETIME: Duration = Duration::from_secs(300);

    fn read_as(status: u16, body: &str) -> Result<Token, Bad> {
        let mut answer = Response::new(Bytes::from(body.to_owned()));
        *answer.status_mut() = StatusCode::from_u16(status).expect("a status");
        read(&answer, Instant::now(), LIFETIME)
    }

    fn with(changes: Value) -> Result<Token, Bad> {
        let mut answer =
            json!({ "access_token": "2YotnFZFEjr1zCsicMWpAA", "token_type": "example", "expires_in": 3600 });
        let (Some(members), Value::Object(changes)) = (answer.as_object_mut(), changes) else { panic!("objects") };
        members.insert("token_type".into(), "Bearer".into());
        members.extend(changes);
        read_as(200, &answer.to_string())
    }

    #[test]
    fn a_token_is_read_with_its_life() {
        for (changes, seconds) in [
            (json!({}), 3600),
            (json!({ "token_type": "bEARER" }), 3600),
            (json!({ "expires_in": "60" }), 60),
            (json!({ "expires_in": 60.5 }), 60),
            (json!({ "expires_in": null }), 300),
            (json!({ "expires_in": 1e300 }), LONGEST_LIFE.as_secs()),
            (json!({ "expires_in": u64::MAX }), LONGEST_LIFE.as_secs()),
        ] {
            let token = with(changes.clone()).unwrap_or_else(|bad| panic!("{changes}: {bad}"));
            assert_eq!(token.life().as_secs(), seconds, "{changes}");
        }
        let token = read_as(200, r#"{"access_token":"a","token_type":"bearer"}"#).expect("a token");
        assert_eq!(token.life(), LIFETIME);
        let value = |prefix| token.value(prefix).expect("a value");
        assert_eq!(
            (value("Bearer"), value(""), value("Token")),
            (HeaderValue::from_static("Bearer a"), HeaderValue::from_static("a"), HeaderValue::from_static("Token a"),)
        );
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for (changes, bad) in [
            (json!({ "access_token": "" }), Bad::Token),
            (json!({ "access_token": 7 }), Bad::Token),
            (json!({ "access_token": "a b" }), Bad::Token),
            (json!({ "access_token": "a\r\nX-Admin: 1" }), Bad::Token),
            (json!({ "access_token": "ä" }), Bad::Token),
            (json!({ "access_token": "a".repeat(LONGEST + 1) }), Bad::Token),
            (json!({ "token_type": "DPoP" }), Bad::Type),
            (json!({ "token_type": null }), Bad::Type),
            (json!({ "expires_in": 0 }), Bad::Lifetime),
            (json!({ "expires_in": -1 }), Bad::Lifetime),
            (json!({ "expires_in": "soon" }), Bad::Lifetime),
            (json!({ "expires_in": "NaN" }), Bad::Lifetime),
            (json!({ "expires_in": [60] }), Bad::Lifetime),
        ] {
            assert_eq!(with(changes.clone()).map(drop), Err(bad), "{changes}");
        }
        for body in ["", "[]", "null", "<html>", "access_token=a&token_type=bearer"] {
            assert_eq!(read_as(200, body).map(drop), Err(Bad::NotJson), "{body}");
        }
    }

    #[test]
    fn an_error_is_named_and_nothing_else_of_it_is_told() {
        let body = r#"{"error":"invalid_client","error_description":"secret s3cr3t is wrong"}"#;
        assert_eq!(read_as(401, body).map(drop), Err(Bad::Refused(401, "invalid_client".into())));
        assert_eq!(read_as(400, r#"{"error":"a\nb"}"#).map(drop), Err(Bad::Status(400)));
        assert_eq!(read_as(302, "").map(drop), Err(Bad::Status(302)));
        let good = r#"{"access_token":"a","token_type":"bearer"}"#;
        assert_eq!(read_as(201, good).map(drop), Err(Bad::Status(201)));
    }

    #[test]
    fn a_token_is_never_shown() {
        let token = read_as(200, r#"{"access_token":"s3cr3t","token_type":"bearer"}"#).expect("a token");
        assert!(!format!("{token:?} {:?}", token.value("Token")).contains("s3cr3t"));
    }
}
