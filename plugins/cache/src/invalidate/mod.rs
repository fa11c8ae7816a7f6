//! What an unsafe request makes invalid (RFC 9111 section 4.4).

mod everywhere;

#[cfg(test)]
mod tests;

use smallvec::SmallVec;
use tidegate_core::{HeaderMap, RequestHead, StatusCode, header};

pub(crate) use self::everywhere::Holders;
use crate::key::{Query, place};
use crate::purge::Place;

/// The URLs that are no longer to be answered from what is stored: the target, and those of the same origin that `Location`
/// and `Content-Location` name. None for safe methods, and for answers that are errors. `counts` is the part of a query that
/// keys have.
pub(crate) fn urls(
    counts: &Query,
    request: &RequestHead<'_>,
    status: StatusCode,
    answer: &HeaderMap,
) -> SmallVec<[String; 3]> {
    let mut urls = SmallVec::new();
    if request.method.is_safe() || !(status.is_success() || status.is_redirection()) {
        return urls;
    }
    let origin = origin(request);
    urls.push(url(counts, request));
    for name in [header::LOCATION, header::CONTENT_LOCATION] {
        let named = answer.get(name).and_then(|value| value.to_str().ok());
        let target = named.and_then(|reference| resolve(reference, &origin, request));
        urls.extend(target.map(|target| {
            let (path, query) = match target.split_once('?') {
                Some((path, query)) => (path, Some(query)),
                None => (&*target, None),
            };
            url(counts, &RequestHead { path, query, ..*request })
        }));
    }
    urls.dedup();
    urls
}

/// In lower case, without the port of the scheme.
fn origin(request: &RequestHead<'_>) -> String {
    let (host, port) = place(request);
    let mut origin = [request.scheme.as_str(), "://", host].concat().to_ascii_lowercase();
    if !port.is_empty() {
        origin.push(':');
        origin.push_str(port);
    }
    origin
}

/// A request's URL as marks know it, with that of the query which is part of the key: made of the same parts as that of a
/// stored answer, so that there is none which is stored and can't be found.
pub(crate) fn url(counts: &Query, request: &RequestHead<'_>) -> String {
    let ((host, port), query) = (place(request), counts.of(request.query));
    let (scheme, path, query) = (request.scheme.as_str(), request.path, query.as_deref().unwrap_or(""));
    Place { scheme, host: &host.to_ascii_lowercase(), port, path, query }.url()
}

/// Path and query of a reference (RFC 3986 section 5.2), if it is of the same origin.
fn resolve(reference: &str, origin: &str, request: &RequestHead<'_>) -> Option<String> {
    let reference = reference.trim().split('#').next().unwrap_or("");
    let scheme = request.scheme.as_str();
    if let Some(rest) = reference.strip_prefix("//") {
        return of_origin(rest, scheme, origin);
    }
    if let Some((other, rest)) = reference.split_once(':').filter(|(other, _)| is_scheme(other)) {
        let same = other.eq_ignore_ascii_case(scheme);
        return same.then(|| rest.strip_prefix("//")).flatten().and_then(|rest| of_origin(rest, scheme, origin));
    }
    match reference.chars().next() {
        None => None,
        Some('/') => Some(without_dots(reference)),
        Some('?') => Some([request.path, reference].concat()),
        Some(_) => {
            let folder = request.path.rfind('/').map_or("/", |end| request.path.get(..=end).unwrap_or("/"));
            Some(without_dots(&[folder, reference].concat()))
        }
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// `host:port/path?query`
fn of_origin(rest: &str, scheme: &str, origin: &str) -> Option<String> {
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at_checked(end)?;
    let authority = authority.to_ascii_lowercase();
    let default = if scheme == "https" { ":443" } else { ":80" };
    let authority = authority.strip_suffix(default).unwrap_or(&authority);
    let (_, ours) = origin.split_once("://")?;
    (authority == ours).then(|| match target.strip_prefix('/') {
        Some(_) => without_dots(target),
        None => ["/", target].concat(),
    })
}

/// RFC 3986 section 5.2.4, for a path that begins with a slash.
fn without_dots(target: &str) -> String {
    let (path, query) = match target.find('?') {
        Some(at) => target.split_at(at),
        None => (target, ""),
    };
    let mut parts: Vec<&str> = Vec::new();
    let mut names = path.split('/').skip(1).peekable();
    while let Some(name) = names.next() {
        let last = names.peek().is_none();
        match name {
            ".." => drop(parts.pop()),
            "." => {}
            name => {
                parts.push(name);
                continue;
            }
        }
        if last {
            parts.push("");
        }
    }
    ["/", &parts.join("/"), query].concat()
}
