//! What the service answers when it doesn't do as it was asked.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Map, Value};
use tidegate_core::{HeaderValue, ProblemKind, Reply, StatusCode, header};

use crate::guard::Admission;
use crate::hashing::Busy;
use crate::keys::NoKeys;
use crate::store::StoreError;

/// What an endpoint says, or why it doesn't.
pub(crate) type Answer = Result<Reply, Refused>;

/// Why an endpoint doesn't do as it was asked.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The client is told.
    Reply(Reply),
    /// We failed, or the client is gone.
    Failed(tidegate_core::Error),
}

impl From<Reply> for Refused {
    fn from(reply: Reply) -> Self {
        Refused::Reply(reply)
    }
}

impl From<tidegate_core::Error> for Refused {
    fn from(error: tidegate_core::Error) -> Self {
        Refused::Failed(error)
    }
}

/// A store that is lost is nobody's 500: it comes back.
impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Corrupt(_) => log::error!("the store of users and sessions: {error}"),
            StoreError::Unavailable(_) | StoreError::Full(_) => {
                log::debug!("the store of users and sessions: {error}");
            }
        }
        later("store_unavailable", "users and sessions can't be reached, try again later").into()
    }
}

impl From<NoKeys> for Refused {
    fn from(_: NoKeys) -> Self {
        later("keys_unavailable", "there are no keys to sign with yet, try again later").into()
    }
}

impl From<Busy> for Refused {
    fn from(_: Busy) -> Self {
        later("busy", "too many passwords are being checked, try again later").into()
    }
}

/// An error of this status and code.
pub(crate) fn problem(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Reply {
    Reply::problem(status, code, detail)
}

/// An answer in JSON.
pub(crate) fn json(status: StatusCode, value: &Value) -> Reply {
    Reply::json(value).status_code(status)
}

/// 503 with `Retry-After`.
fn later(code: &'static str, detail: &'static str) -> Reply {
    Reply::unavailable(code, detail).header(header::RETRY_AFTER, HeaderValue::from_static("1"))
}

/// 503 for a check that somebody else did not answer.
pub(super) fn unavailable(code: &'static str) -> Reply {
    later(code, "it can't be said who is asking, try again later")
}

/// 401 for a name and a password, whatever of it was wrong.
pub(super) fn invalid_credentials() -> Reply {
    challenged(Reply::unauthorized("invalid_credentials", "Invalid credentials"))
}

/// 401 for a token. RFC 6750 section 3.1: no error is named where nothing was sent.
pub(super) fn invalid_token(code: &'static str, detail: &'static str) -> Reply {
    let value = match code {
        "missing_token" => "Bearer",
        _ => "Bearer error=\"invalid_token\"",
    };
    Reply::unauthorized(code, detail).header(header::WWW_AUTHENTICATE, HeaderValue::from_static(value))
}

/// 401 where more is needed to log in. Says how to prove oneself, as each 401 does (RFC 9110 section 15.5.2).
pub(super) fn challenged(reply: Reply) -> Reply {
    reply.header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

/// 403 for a cookie that another site may have sent.
pub(super) fn csrf() -> Reply {
    Reply::forbidden("csrf", "the X-CSRF-Token header field must repeat the CSRF cookie")
}

/// What an attempt that may not go on is told.
pub(super) fn admitted(admission: Admission) -> Result<(), Refused> {
    match admission {
        Admission::Go => Ok(()),
        Admission::TooMany(wait) => Err(Reply::too_many_requests(wait).into()),
        Admission::Locked(wait) => Err(locked(wait).into()),
        Admission::Challenge(puzzle) => {
            let reply = Reply::unauthorized("challenge_required", "solve the challenge, and send `challenge`");
            Err(challenged(members(reply, puzzle)).into())
        }
        Admission::Busy => Err(later("busy", "attempts can't be counted right now, try again later").into()),
    }
}

fn locked(wait: Duration) -> Reply {
    let reply = Reply::too_many_requests(wait);
    let wait = reply.headers().get(header::RETRY_AFTER).cloned();
    let detail = "too many failures, this account is locked for you";
    let locked = Reply::problem(StatusCode::TOO_MANY_REQUESTS, "account_locked", detail);
    match wait {
        Some(wait) => locked.header(header::RETRY_AFTER, wait),
        None => locked,
    }
}

/// The problem, with these members beside the usual ones.
fn members(reply: Reply, value: Value) -> Reply {
    let members = match value {
        Value::Object(members) => members,
        other => Map::from_iter([("challenge".to_owned(), other)]),
    };
    reply.kind(ProblemKind { uri: "about:blank", members })
}

/// 400 for a member of the body; `pointer` is a JSON Pointer (RFC 6901).
pub(super) fn bad_member(pointer: String, what: &str) -> Reply {
    let detail = format!("{pointer}: {what}");
    let members = Map::from_iter([("pointer".to_owned(), pointer.into())]);
    Reply::bad_request("invalid_body", detail).kind(ProblemKind { uri: "about:blank", members })
}
