//! What clients ask of an answer that is stored, or is about to be: only if it is another one, or only parts of it
//! (RFC 9110 sections 13 and 14, RFC 9111 section 4.3.2).

use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{RangeType, range_header_filter};
use tidegate_core::fields::{self, Tag, only, strong_date};

/// How many parts of one answer a client may ask for.
const MOST_RANGES: usize = 200;

/// Whether the client has this answer already.
pub(crate) fn not_modified(request: &RequestHeader, answer: &ResponseHeader) -> bool {
    if answer.status != StatusCode::OK || !matches!(request.method, Method::GET | Method::HEAD) {
        return false;
    }
    let tags = &request.headers.get_all(header::IF_NONE_MATCH);
    if tags.iter().next().is_some() {
        // Dates don't count beside tags (RFC 9110 section 13.1.3).
        let ours = answer.headers.get(header::ETAG).map(HeaderValue::as_bytes);
        return tags.iter().any(|line| lists(line.as_bytes(), ours));
    }
    let Some(since) = date(&request.headers, &header::IF_MODIFIED_SINCE) else { return false };
    let changed = date(&answer.headers, &header::LAST_MODIFIED).or_else(|| date(&answer.headers, &header::DATE));
    changed.is_some_and(|changed| changed <= since)
}

/// Whether an `If-None-Match` line has this tag; `*` is any answer.
fn lists(line: &[u8], tag: Option<&[u8]>) -> bool {
    if line.trim_ascii() == b"*" {
        return true;
    }
    let Some(tag) = tag else { return false };
    let mut rest = line;
    while let Some(listed) = next_tag(&mut rest) {
        if is_same(listed, tag) {
            return true;
        }
    }
    false
}

/// The next tag of a list. Commas may be inside of it.
fn next_tag<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let start = rest.iter().position(|byte| !matches!(byte, b',' | b' ' | b'\t'))?;
    let text = rest.get(start..)?;
    let opaque = Tag(text).opaque();
    let end = match opaque.strip_prefix(b"\"") {
        Some(inside) => text.len() - opaque.len() + 2 + inside.iter().position(|byte| *byte == b'"')?,
        // No tag (RFC 9110 section 8.8.3), but some upstreams make them so.
        None => text.iter().position(|byte| *byte == b',').unwrap_or(text.len()),
    };
    let (tag, after) = text.split_at_checked(end)?;
    *rest = after;
    Some(tag.trim_ascii())
}

/// The weak comparison (RFC 9110 section 8.8.3.2).
pub(super) fn is_same(one: &[u8], other: &[u8]) -> bool {
    Tag(one).opaque() == Tag(other).opaque()
}

/// The parts that a client gets, and the head that says so. Without `Range`, or where it doesn't count, all of it.
pub(crate) fn range(request: &RequestHeader, answer: &mut ResponseHeader) -> RangeType {
    // Only GET has ranges (RFC 9110 section 14.2).
    if request.method != Method::GET || !range_counts(&request.headers, &answer.headers) {
        return RangeType::None;
    }
    range_header_filter(request, answer, Some(MOST_RANGES))
}

/// `If-Range`: only if it is the very answer that the client has a part of (RFC 9110 section 13.1.5).
fn range_counts(request: &HeaderMap, answer: &HeaderMap) -> bool {
    let Some(condition) = request.get(header::IF_RANGE) else { return true };
    let is_tag = condition.as_bytes().contains(&b'"');
    if is_tag {
        return !Tag(condition.as_bytes()).is_weak() && answer.get(header::ETAG) == Some(condition);
    }
    strong_date(answer).is_some() && answer.get(header::LAST_MODIFIED) == Some(condition)
}

/// The date in a field that is there once.
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    only(headers, name).and_then(fields::date)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method, fields: &[(&'static str, &str)]) -> RequestHeader {
        let mut request = RequestHeader::build(method, b"/", None).expect("a request");
        fields.iter().for_each(|(name, value)| drop(request.append_header(*name, *value)));
        request
    }

    fn answer(fields: &[(&'static str, &str)]) -> ResponseHeader {
        let mut answer = ResponseHeader::build(200, None).expect("an answer");
        fields.iter().for_each(|(name, value)| drop(answer.append_header(*name, *value)));
        answer
    }

    const OLD: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const NEW: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    #[test]
    fn tags_are_compared_weakly_and_win_over_dates() {
        let tagged = answer(&[("etag", "\"a,b\""), ("last-modified", NEW)]);
        for (line, same) in [
            ("\"a,b\"", true),
            ("W/\"a,b\"", true),
            ("\"x\", W/\"y\",\"a,b\"", true),
            ("*", true),
            (" * ", true),
            ("\"a\"", false),
            ("\"b\"", false),
            ("a,b", false),
            ("\"a,b", false),
            ("", false),
        ] {
            let asked = request(Method::GET, &[("if-none-match", line), ("if-modified-since", NEW)]);
            assert_eq!(not_modified(&asked, &tagged), same, "{line}");
        }
        let asked = request(Method::HEAD, &[("if-none-match", "\"x\""), ("if-none-match", "\"a,b\"")]);
        assert!(not_modified(&asked, &tagged));
        assert!(not_modified(&request(Method::GET, &[("if-none-match", "plain")]), &answer(&[("etag", "plain")])));
        assert!(!not_modified(&request(Method::GET, &[("if-none-match", "\"x\"")]), &answer(&[])));
    }

    #[test]
    fn dates_count_where_there_is_no_tag() {
        let since = |value: &str| request(Method::GET, &[("if-modified-since", value)]);
        for (fields, at, same) in [
            (&[("last-modified", OLD)][..], OLD, true),
            (&[("last-modified", OLD)], NEW, true),
            (&[("last-modified", NEW)], OLD, false),
            (&[("last-modified", NEW), ("date", OLD)], OLD, false),
            // RFC 9111 section 4.3.2: then it is the date that it was sent.
            (&[("date", OLD)], OLD, true),
            (&[("date", NEW)], OLD, false),
            (&[], OLD, false),
            (&[("last-modified", OLD)], "yesterday", false),
        ] {
            assert_eq!(not_modified(&since(at), &answer(fields)), same, "{fields:?} {at}");
        }
        let mut error = answer(&[("last-modified", OLD)]);
        error.set_status(404).expect("a status");
        assert!(!not_modified(&since(NEW), &error));
    }

    #[test]
    fn parts_are_for_get_and_for_the_very_answer() {
        let whole = [("content-length", "10"), ("etag", "\"a\""), ("last-modified", OLD), ("date", NEW)];
        for (method, condition, part) in [
            (Method::GET, None, true),
            (Method::HEAD, None, false),
            (Method::GET, Some("\"a\""), true),
            (Method::GET, Some("W/\"a\""), false),
            (Method::GET, Some("\"b\""), false),
            (Method::GET, Some(OLD), true),
            (Method::GET, Some(NEW), false),
            (Method::GET, Some("a"), false),
        ] {
            let mut asked = request(method.clone(), &[("range", "bytes=0-1")]);
            condition.into_iter().for_each(|value| drop(asked.append_header("if-range", value)));
            let found = range(&asked, &mut answer(&whole));
            assert_eq!(matches!(found, RangeType::Single(_)), part, "{method} {condition:?}");
        }
        let mut asked = request(Method::GET, &[("range", "bytes=0-1"), ("if-range", "W/\"a\"")]);
        let weak = [("content-length", "10"), ("etag", "W/\"a\"")];
        assert!(matches!(range(&asked, &mut answer(&weak)), RangeType::None));
        asked.insert_header("if-range", NEW).expect("a field");
        // Changed in the second in which it was sent.
        let just = [("content-length", "10"), ("last-modified", NEW), ("date", NEW)];
        assert!(matches!(range(&asked, &mut answer(&just)), RangeType::None));
    }
}
