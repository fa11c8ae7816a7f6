//! What is wrong with a request, and how the client is told: where, and what; never the value.

use std::borrow::Cow;

use serde_json::{Map, Value};
use tidegate_core::{ProblemKind, Reply, StatusCode};

/// The longest name or pointer that is told: clients choose them.
const LONGEST: usize = 256;

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: At,
    pub(crate) detail: Cow<'static, str>,
}

/// Where a fault is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum At {
    /// In the body, by a JSON Pointer (RFC 6901).
    Body(String),
    Query(Box<str>),
    Path(Box<str>),
    Header(Box<str>),
    Cookie(Box<str>),
}

impl Fault {
    pub(crate) fn new(at: At, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { at, detail: detail.into() }
    }

    /// Of the body as a whole.
    pub(crate) fn body(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(At::Body(String::new()), detail)
    }

    pub(crate) fn reason(&self) -> Reason {
        match self.at {
            At::Body(_) => Reason::Body,
            At::Query(_) => Reason::Query,
            At::Path(_) => Reason::Path,
            At::Header(_) | At::Cookie(_) => Reason::Header,
        }
    }

    fn told(&self) -> Value {
        let (key, name) = self.at.told();
        Value::Object(Map::from_iter([
            (key.to_owned(), Value::String(name)),
            ("detail".to_owned(), Value::String(self.detail.as_ref().to_owned())),
        ]))
    }
}

impl At {
    /// The member that says where, and its value.
    fn told(&self) -> (&'static str, String) {
        match self {
            At::Body(pointer) => ("pointer", shown(pointer)),
            At::Query(name) => ("query", shown(name)),
            At::Path(name) => ("path", shown(name)),
            At::Header(name) => ("header", shown(name)),
            At::Cookie(name) => ("cookie", shown(name)),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (key, name) = self.at.told();
        match (key, name.as_str()) {
            ("pointer", "") => write!(f, "the body: {}", self.detail),
            ("pointer", pointer) => write!(f, "{pointer}: {}", self.detail),
            _ => write!(f, "{key} {name}: {}", self.detail),
        }
    }
}

/// A name without control characters, and cut.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

/// The pointer to a member (RFC 6901 section 3).
pub(crate) fn member(pointer: &str, name: &str) -> String {
    // What isn't shown need not be made.
    let name: String = name.chars().take(LONGEST).collect();
    let mut whole = pointer.to_owned();
    whole.push('/');
    whole.push_str(&name.replace('~', "~0").replace('/', "~1"));
    whole
}

/// Why a request doesn't pass: the label in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Body,
    Query,
    Path,
    Header,
    TooLarge,
    MediaType,
    Encoding,
    Operation,
}

impl Reason {
    pub(crate) const ALL: [Reason; 8] = [
        Reason::Body,
        Reason::Query,
        Reason::Path,
        Reason::Header,
        Reason::TooLarge,
        Reason::MediaType,
        Reason::Encoding,
        Reason::Operation,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Reason::Body => "body",
            Reason::Query => "query",
            Reason::Path => "path",
            Reason::Header => "header",
            Reason::TooLarge => "too_large",
            Reason::MediaType => "media_type",
            Reason::Encoding => "encoding",
            Reason::Operation => "operation",
        }
    }
}

/// A request that doesn't pass: why, and the answer.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    /// For the log, where the request goes on.
    pub(crate) detail: String,
    pub(crate) reply: Reply,
}

impl Refusal {
    /// For faults of the request's parts; there is at least one.
    pub(crate) fn faults(status: StatusCode, faults: &[Fault]) -> Self {
        let reason = faults.first().map_or(Reason::Body, Fault::reason);
        let detail = faults.first().map(Fault::to_string).unwrap_or_default();
        let mut members = Map::new();
        if let Some((key @ "pointer", pointer)) = faults.first().map(|fault| fault.at.told()) {
            members.insert(key.to_owned(), Value::String(pointer));
        }
        members.insert("errors".to_owned(), faults.iter().map(Fault::told).collect());
        let reply = Reply::problem(status, "invalid_request", detail.clone());
        Self { reason, detail, reply: reply.kind(ProblemKind { uri: "about:blank", members }) }
    }

    /// Of the request as a whole.
    pub(crate) fn whole(reason: Reason, status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { reason, reply: Reply::problem(status, code, detail.clone()), detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_says_where_and_what() {
        let fault = Fault::new(At::Body(member("/a", "b/c~d")), "it is missing");
        assert_eq!(fault.to_string(), "/a/b~1c~0d: it is missing");
        assert_eq!(Fault::body("there must be one").to_string(), "the body: there must be one");
        assert_eq!(Fault::new(At::Query("x".into()), "it is missing").to_string(), "query x: it is missing");
        assert_eq!(fault.told(), serde_json::json!({ "pointer": "/a/b~1c~0d", "detail": "it is missing" }));
    }

    #[test]
    fn names_of_the_clients_own_are_cut() {
        let long = Fault::new(At::Body(member("", &"x\n".repeat(10_000))), "there is no such member");
        assert!(long.to_string().len() < 400 && !long.to_string().contains('\n'));
    }
}
