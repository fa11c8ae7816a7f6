//! What the plugin answers instead of the upstream.

use std::time::Duration;

use tidegate_core::{HeaderValue, ProblemKind, Reply, header};

use crate::config::limits::Limit;
use crate::rule::Micros;

/// The name of a banned client's refusal.
pub(crate) const BANNED: &str = "banned";

/// The problem type of draft-ietf-httpapi-ratelimit-headers, registered there.
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

/// 429, with the limits that refused.
pub(crate) fn too_many(wait: Duration, limits: &[&str]) -> Reply {
    let violated = limits.iter().map(|name| (*name).into()).collect();
    let members = [("violated-policies".to_owned(), serde_json::Value::Array(violated))].into_iter().collect();
    Reply::too_many_requests(wait).kind(ProblemKind { uri: QUOTA_EXCEEDED, members })
}

/// 403 until the ban is over.
pub(crate) fn banned(left: Micros) -> Reply {
    let seconds = left.div_ceil(1_000_000).max(1);
    Reply::forbidden(BANNED, "too many failures, try again later")
        .header(header::RETRY_AFTER, HeaderValue::from(seconds))
}

/// 400: the limit says that a request must have what it is counted by.
pub(crate) fn key_missing(limit: &Limit) -> Reply {
    Reply::bad_request(
        "limit_key_missing",
        format!("the request lacks what it is counted by: {}", limit.keys().names()),
    )
}

/// 503: `on_store_error: deny`.
pub(crate) fn store_lost() -> Reply {
    Reply::unavailable("limits_unavailable", "requests can't be counted now")
        .header(header::RETRY_AFTER, HeaderValue::from_static("1"))
}
