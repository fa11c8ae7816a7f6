//! Answers to requests that have no route.

use http::header::{ALLOW, LOCATION};
use http::{HeaderValue, Method, StatusCode};
use tidegate_core::{Reply, Routed};

use crate::methods::Methods;
use crate::normalise::BadPath;

pub(crate) fn bad_host() -> Routed {
    Routed::Respond(Reply::bad_request("bad_host", "the host is not a valid one"))
}

pub(crate) fn bad_path(why: BadPath) -> Routed {
    Routed::Respond(Reply::bad_request("bad_path", why.words()))
}

/// `OPTIONS *` asks about the server as a whole (RFC 9110 section 9.3.7), and is answered here; nothing else may.
pub(crate) fn asterisk(method: &Method) -> Routed {
    match *method {
        Method::OPTIONS => Routed::Respond(Reply::new(StatusCode::NO_CONTENT)),
        _ => bad_path(BadPath::Form),
    }
}

/// To the same URL with another path. 307, so that the method and body stay.
pub(crate) fn other_path(path: &str, query: Option<&str>) -> Routed {
    let mut location = String::with_capacity(path.len() + query.map_or(0, |query| query.len() + 1));
    location.push_str(path);
    if let Some(query) = query {
        location.push('?');
        location.push_str(query);
    }
    match HeaderValue::try_from(location) {
        Ok(location) => Routed::Respond(Reply::new(StatusCode::TEMPORARY_REDIRECT).header(LOCATION, location)),
        Err(_) => bad_path(BadPath::Character),
    }
}

pub(crate) fn misdirected() -> Routed {
    let detail = "this host is not served here";
    Routed::Respond(Reply::problem(StatusCode::MISDIRECTED_REQUEST, "misdirected", detail))
}

pub(crate) fn method_not_allowed(allowed: &Methods) -> Routed {
    let reply = Reply::problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "the method is not allowed here");
    let allow = HeaderValue::try_from(allowed.to_string());
    Routed::Respond(allow.into_iter().fold(reply, |reply, allow| reply.header(ALLOW, allow)))
}
