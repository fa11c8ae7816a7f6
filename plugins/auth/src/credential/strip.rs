//! Taking a token out of what the upstream gets.

use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};
use tidegate_core::{RequestHeader, header};

use super::Place;
use super::find::{cookie_named, credentials, parameter_named};

impl Place {
    pub(super) fn strip(&self, head: &mut RequestHeader) {
        match self {
            Place::Bearer => strip_authorization(head, "bearer"),
            Place::Header(name) => drop(head.remove_header(name)),
            Place::Cookie(name) => strip_cookie(head, name.as_bytes()),
            Place::Query(name) => strip_parameter(head, name),
        }
    }
}

/// Removes `Authorization` if one of its fields is of this scheme, given in lower case.
pub(crate) fn strip_authorization(head: &mut RequestHeader, scheme: &str) {
    let mut values = head.headers.get_all(header::AUTHORIZATION).iter();
    if values.any(|value| credentials(value.as_bytes(), scheme).is_some()) {
        head.remove_header(&header::AUTHORIZATION);
    }
}

fn strip_cookie(head: &mut RequestHeader, name: &[u8]) {
    let has = |line: &HeaderValue| cookies(line).any(|pair| cookie_named(pair, name).is_some());
    if !head.headers.get_all(header::COOKIE).iter().any(has) {
        return;
    }
    let lines: Vec<_> = head.headers.get_all(header::COOKIE).iter().cloned().collect();
    head.remove_header(&header::COOKIE);
    for line in lines {
        let line = if has(&line) { without_cookie(&line, name) } else { Some(line) };
        if let Some(line) = line {
            // As many as before at most, so that there is room.
            let _ = head.append_header(header::COOKIE, line);
        }
    }
}

fn cookies(line: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    line.as_bytes().split(|byte| *byte == b';')
}

/// The other cookies of a line, byte for byte; `None` if there are none.
fn without_cookie(line: &HeaderValue, name: &[u8]) -> Option<HeaderValue> {
    let others: Vec<_> = cookies(line).filter(|pair| cookie_named(pair, name).is_none()).collect();
    let others = others.join(&b';');
    // The first of them may have stood behind the one that is gone, with a space between.
    HeaderValue::from_bytes(others.trim_ascii()).ok().filter(|line| !line.is_empty())
}

fn strip_parameter(head: &mut RequestHeader, name: &str) {
    let Some(query) = head.uri.query() else { return };
    if !query.split('&').any(|pair| parameter_named(pair, name).is_some()) {
        return;
    }
    let others: Vec<_> = query.split('&').filter(|pair| parameter_named(pair, name).is_none()).collect();
    let path = head.uri.path();
    let target = match others.is_empty() {
        true => path.to_owned(),
        false => [path, "?", &others.join("&")].concat(),
    };
    if let Some(uri) = with_target(&head.uri, target) {
        head.set_uri(uri);
    }
}

/// The same URI with another path and query.
fn with_target(uri: &Uri, target: String) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}
