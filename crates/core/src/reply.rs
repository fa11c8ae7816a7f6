//! An answer made by the gateway.

use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::Result;

/// A body that is made while it is sent.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send + Sync>>;

/// What an answer carries.
pub enum Body {
    /// Nothing.
    Empty,
    /// These bytes.
    Bytes(Bytes),
    /// Bytes as they come; chunked unless the reply has a `Content-Length`.
    Stream(BodyStream),
    /// An error, written in the configured format (RFC 9457 by default) with the request id.
    Problem {
        /// A short name that stays the same: the label in metrics and logs, and `code` in the body.
        code: &'static str,
        /// What went wrong, for the person at the other end. Never an upstream's address or text.
        detail: Cow<'static, str>,
        /// What kind of problem it is, where that is registered or documented.
        kind: Option<Box<ProblemKind>>,
    },
}

/// A kind of problem that programs know by its URI (RFC 9457 section 3.1.1), with members of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct ProblemKind {
    /// `type`.
    pub uri: &'static str,
    /// What is said beside the standard members. Names must not be those of standard members.
    pub members: serde_json::Map<String, serde_json::Value>,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Empty => f.write_str("Empty"),
            Body::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Body::Stream(_) => f.write_str("Stream"),
            Body::Problem { code, .. } => write!(f, "Problem({code})"),
        }
    }
}

/// An answer made by the gateway. It takes the same way out as a proxied one: every plugin's `response` sees it.
#[derive(Debug)]
pub struct Reply(Box<Parts>);

#[derive(Debug)]
struct Parts {
    status: StatusCode,
    headers: HeaderMap,
    body: Body,
    close: bool,
}

impl Reply {
    /// An answer with no body.
    pub fn new(status: StatusCode) -> Self {
        Self(Box::new(Parts { status, headers: HeaderMap::new(), body: Body::Empty, close: false }))
    }

    /// 200 with a text.
    pub fn text(text: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK)
            .header(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))
            .body(Body::Bytes(text.into()))
    }

    /// 200 with JSON.
    pub fn json(value: &serde_json::Value) -> Self {
        Self::new(StatusCode::OK)
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(Body::Bytes(Bytes::from(value.to_string())))
    }

    /// An error in the gateway's one shape (RFC 9457).
    pub fn problem(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(status).body(Body::Problem { code, detail: detail.into(), kind: None })
    }

    /// 400.
    pub fn bad_request(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::problem(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 401. The plugin adds `WWW-Authenticate` (RFC 9110 section 11.6.1).
    pub fn unauthorized(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::problem(StatusCode::UNAUTHORIZED, code, detail)
    }

    /// 403: we know who is asking, and they may not.
    pub fn forbidden(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::problem(StatusCode::FORBIDDEN, code, detail)
    }

    /// 404.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::problem(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// 429 with `Retry-After` in whole seconds, rounded up (RFC 9110 section 10.2.3).
    pub fn too_many_requests(wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self::problem(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "too many requests, try again later")
            .header(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    }

    /// 503: not now, and it isn't the client's fault.
    pub fn unavailable(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::problem(StatusCode::SERVICE_UNAVAILABLE, code, detail)
    }

    /// A redirect to `location`.
    pub fn redirect(status: StatusCode, location: HeaderValue) -> Self {
        Self::new(status).header(header::LOCATION, location)
    }

    /// The same answer with one more header field, in place of those of that name.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// The same answer with one more header field, beside those of that name.
    #[must_use]
    pub fn append(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.append(name, value);
        self
    }

    /// The same answer with this body.
    #[must_use]
    pub fn body(mut self, body: Body) -> Self {
        self.0.body = body;
        self
    }

    /// The same answer with another status.
    #[must_use]
    pub fn status_code(mut self, status: StatusCode) -> Self {
        self.0.status = status;
        self
    }

    /// The same answer, after which the connection is closed.
    #[must_use]
    pub fn close(mut self) -> Self {
        self.0.close = true;
        self
    }

    /// The same error, of this kind. Changes nothing in an answer that is no error.
    #[must_use]
    pub fn kind(mut self, of: ProblemKind) -> Self {
        if let Body::Problem { kind, .. } = &mut self.0.body {
            *kind = Some(Box::new(of));
        }
        self
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Its header fields, without those that the gateway adds.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// Whether the connection is closed after it.
    pub fn closes(&self) -> bool {
        self.0.close
    }

    /// The stable name of what went wrong; `None` for an answer that is no error.
    pub fn code(&self) -> Option<&'static str> {
        match self.0.body {
            Body::Problem { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Status, header fields and body.
    pub fn into_parts(self) -> (StatusCode, HeaderMap, Body) {
        (self.0.status, self.0.headers, self.0.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_rounded_up_and_never_zero() {
        for (wait, seconds) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (90_000, "90")] {
            let reply = Reply::too_many_requests(Duration::from_millis(wait));
            assert_eq!(reply.headers()["retry-after"], seconds);
        }
    }
}
