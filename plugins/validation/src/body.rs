//! What a request's body must be: by its head first, then by what is in it.

use std::sync::Arc;

use tidegate_core::{Bytes, HeaderValue, Method, RequestHead, StatusCode, header};

use crate::fault::{Fault, Reason, Refusal};
use crate::json;
use crate::schema::Schema;

/// What bodies may be.
#[derive(Debug)]
pub(crate) enum BodyRules {
    /// There may be none.
    None,
    /// One of these types.
    Some { types: Vec<(MediaRange, Check)>, needed: Needed },
}

/// What is looked at in a body of a type.
#[derive(Debug, Clone)]
pub(crate) enum Check {
    /// It is JSON, and matches the schema if there is one.
    Json(Option<Arc<Schema>>),
    /// Nothing.
    Opaque,
}

/// Whether there must be a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needed {
    Always,
    /// With POST, PUT and PATCH.
    Usually,
    Never,
}

/// What is to be done with a body.
#[derive(Debug, Clone)]
pub(crate) enum Plan {
    /// There is none, or nobody looks at it.
    Nothing,
    /// It is read as JSON and held against the schema.
    Json { schema: Option<Arc<Schema>>, needed: bool, length: Option<u64> },
}

/// How bodies are read, and faults told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) longest: usize,
    pub(crate) deepest: usize,
    pub(crate) most_faults: usize,
    pub(crate) status: StatusCode,
}

impl BodyRules {
    /// What to do with a body, by the request's head. `empty` is whether the head says that there is none.
    pub(crate) fn plan(&self, head: &RequestHead<'_>, empty: bool, limits: &Limits) -> Result<Plan, Refusal> {
        let length = head.header(&header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
        let (types, needed) = match self {
            Self::None if empty => return Ok(Plan::Nothing),
            Self::None => return Err(limits.refuse(&[Fault::body("there must be none")])),
            Self::Some { types, needed } => (types, needed.by(head.method)),
        };
        if empty {
            return if needed { Err(limits.missing()) } else { Ok(Plan::Nothing) };
        }
        unencoded(head)?;
        match check_of(types, head)? {
            Check::Opaque => Ok(Plan::Nothing),
            Check::Json(_) if length.is_some_and(|length| length > limits.longest as u64) => Err(limits.too_large()),
            Check::Json(schema) => Ok(Plan::Json { schema: schema.clone(), needed, length }),
        }
    }
}

impl Limits {
    /// Whether a body is as it must be.
    pub(crate) fn judge(&self, body: &Bytes, schema: Option<&Schema>, needed: bool) -> Result<(), Refusal> {
        if body.is_empty() {
            return if needed { Err(self.missing()) } else { Ok(()) };
        }
        let value = json::parse(body, self.deepest).map_err(|fault| self.refuse(&[fault]))?;
        let Some(schema) = schema else { return Ok(()) };
        match schema.faults(&value, body.len(), self.most_faults) {
            faults if faults.is_empty() => Ok(()),
            faults => Err(self.refuse(&faults)),
        }
    }

    pub(crate) fn refuse(&self, faults: &[Fault]) -> Refusal {
        Refusal::faults(self.status, faults.get(..self.most_faults).unwrap_or(faults))
    }

    pub(crate) fn too_large(&self) -> Refusal {
        let detail = format!("the body is longer than {} bytes", self.longest);
        Refusal::whole(Reason::TooLarge, StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    }

    fn missing(&self) -> Refusal {
        self.refuse(&[Fault::body("there must be one")])
    }
}

impl Needed {
    fn by(self, method: &Method) -> bool {
        match self {
            Self::Always => true,
            Self::Usually => matches!(*method, Method::POST | Method::PUT | Method::PATCH),
            Self::Never => false,
        }
    }
}

/// What is compressed would have to be decompressed to be checked, and a few bytes of it may be a great many.
fn unencoded(head: &RequestHead<'_>) -> Result<(), Refusal> {
    let identity = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if head.headers.get_all(header::CONTENT_ENCODING).iter().all(identity) {
        return Ok(());
    }
    let refusal = unsupported(Reason::Encoding, "the body must be sent without Content-Encoding");
    let reply = refusal.reply.header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Err(Refusal { reply, ..refusal })
}

fn check_of<'r>(types: &'r [(MediaRange, Check)], head: &RequestHead<'_>) -> Result<&'r Check, Refusal> {
    let mut fields = head.headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return Err(unsupported(Reason::MediaType, "the body must have one Content-Type"));
    };
    let (essence, parameters) =
        field.to_str().map(|text| text.split_once(';').unwrap_or((text, ""))).unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    let fitting = types.iter().filter(|(range, _)| range.has(&essence));
    let Some((_, check)) = fitting.max_by_key(|(range, _)| range.exactness()) else {
        let all: Vec<&str> = types.iter().map(|(range, _)| range.as_str()).collect();
        return Err(unsupported(Reason::MediaType, format!("the body must be {}", all.join(" or "))));
    };
    // Who reads it by another charset reads something else.
    match matches!(check, Check::Json(_)) && !is_utf8(parameters) {
        true => Err(unsupported(Reason::MediaType, "the body must be UTF-8")),
        false => Ok(check),
    }
}

fn is_utf8(parameters: &str) -> bool {
    let charsets = parameters.split(';').filter_map(|parameter| parameter.split_once('='));
    let mut charsets = charsets.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    charsets.all(|(_, charset)| {
        let charset = charset.trim().trim_matches('"');
        ["utf-8", "utf8", "us-ascii"].iter().any(|fine| charset.eq_ignore_ascii_case(fine))
    })
}

fn unsupported(reason: Reason, detail: impl Into<String>) -> Refusal {
    Refusal::whole(reason, StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
}

/// A media type, or several: `text/plain`, `application/*+json`, `image/*`, `*/*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MediaRange(Box<str>);

impl MediaRange {
    /// `None` for what is no media type.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let (kind, subtype) = essence.split_once('/')?;
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+*".contains(&byte))
        };
        let stars = essence.matches('*').count();
        let star_is_whole = subtype == "*" || subtype.starts_with("*+") || !subtype.contains('*');
        let fits = is_name(kind) && is_name(subtype) && star_is_whole && (stars <= 1 || essence == "*/*");
        (fits && (!kind.contains('*') || essence == "*/*")).then(|| Self(essence.into()))
    }

    /// Whether a type is among these; it is in lower case.
    fn has(&self, essence: &str) -> bool {
        match self.0.split_once('*') {
            None => essence == &*self.0,
            Some(_) if &*self.0 == "*/*" => essence.contains('/'),
            Some((before, after)) => {
                essence.len() > before.len() + after.len() && essence.starts_with(before) && essence.ends_with(after)
            }
        }
    }

    fn exactness(&self) -> (bool, usize) {
        (!self.0.contains('*'), self.0.len())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether what has this type is JSON.
    pub(crate) fn is_json(&self) -> bool {
        &*self.0 == "application/json" || self.0.ends_with("+json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_their_types() {
        let has = |range: &str, essence: &str| MediaRange::parse(range).expect(range).has(essence);
        assert!(has("Application/JSON; charset=utf-8", "application/json"));
        assert!(
            has("application/*+json", "application/vnd.api+json") && has("*/*", "a/b") && has("image/*", "image/png")
        );
        assert!(!has("application/*+json", "application/json") && !has("application/*+json", "application/+json"));
        assert!(!has("application/json", "application/jsonp") && !has("*/*", "") && !has("image/*", "image/"));
        for bad in ["", "json", "a/", "/b", "a/b c", "*/json", "a/b*", "a/*b", "a/**"] {
            assert_eq!(MediaRange::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn another_charset_is_another_text() {
        for good in ["", "charset=UTF-8", " charset=\"utf-8\"", "boundary=x; charset=us-ascii"] {
            assert!(is_utf8(good), "{good}");
        }
        for bad in ["charset=utf-7", "charset=utf-8;charset=utf-16", " Charset = latin1"] {
            assert!(!is_utf8(bad), "{bad}");
        }
    }
}
