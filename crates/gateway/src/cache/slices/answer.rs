//! The client's answer, made of slices.

use std::ops::Range;

use http::{HeaderValue, Method, StatusCode, header};
use pingora_core::protocols::http::conditional_filter::to_304;
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{MultiRangeInfo, RangeType};

use crate::cache::conditional;
use crate::forward::hedge::OF_CONNECTIONS;

/// How many parts of an object in slices a client gets in one answer. Each may cost a slice: who wants more gets the whole.
const MOST_PARTS: usize = 16;

/// What of the body goes out.
pub(super) enum Wanted {
    Nothing,
    /// All that comes.
    All,
    Part(Range<u64>),
    /// And how long the whole is.
    Parts(MultiRangeInfo, u64),
}

/// The head of the whole, from that of one of its slices.
pub(super) fn whole(mut head: ResponseHeader, total: u64) -> ResponseHeader {
    let _ = head.set_status(StatusCode::OK);
    head.remove_header(&header::CONTENT_RANGE);
    let _ = head.insert_header(header::CONTENT_LENGTH, total);
    if !head.headers.contains_key(header::ACCEPT_RANGES) {
        let _ = head.insert_header(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    }
    head
}

/// Makes of the head of an answer what the client is to get, and says what goes with it (RFC 9110 sections 13 and 14).
pub(super) fn answer(request: &RequestHeader, head: &mut ResponseHeader) -> Wanted {
    // Framed anew, and by another connection.
    OF_CONNECTIONS.iter().for_each(|name| drop(head.remove_header(name)));
    if conditional::not_modified(request, head) {
        to_304(head);
        return Wanted::Nothing;
    }
    if request.method == Method::HEAD {
        return Wanted::Nothing;
    }
    let length = head.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let Some(length) = length.filter(|_| head.status == StatusCode::OK) else { return Wanted::All };
    let untouched = head.clone();
    match conditional::range(request, head) {
        RangeType::Invalid => Wanted::Nothing,
        RangeType::None => Wanted::Part(0..length),
        RangeType::Single(range) => Wanted::Part(range.start as u64..range.end as u64),
        RangeType::Multi(parts) if parts.ranges.len() <= MOST_PARTS => Wanted::Parts(parts, length),
        RangeType::Multi(_) => {
            *head = untouched;
            Wanted::Part(0..length)
        }
    }
}

/// Which byte a client is after first, as far as its `Range` tells; only a guess where it names several, or the end.
pub(super) fn first_byte(request: &RequestHeader) -> u64 {
    let range = request.headers.get(header::RANGE).filter(|_| request.method == Method::GET);
    let text = range.and_then(|range| range.to_str().ok()).unwrap_or("");
    let first = text.split_once('=').and_then(|(_, ranges)| ranges.trim_start().split_once('-'));
    first.and_then(|(first, _)| first.parse().ok()).unwrap_or(0)
}

/// What stands before a part, and after the last: as long as [`MultiRangeInfo::calculate_multipart_length`] says.
pub(super) fn before(parts: &MultiRangeInfo, range: &Range<usize>, total: u64) -> String {
    let kind = parts.content_type.as_ref().map(|kind| format!("Content-Type: {kind}\r\n")).unwrap_or_default();
    let (boundary, first, last) = (&parts.boundary, range.start, range.end.saturating_sub(1));
    format!("\r\n--{boundary}\r\n{kind}Content-Range: bytes {first}-{last}/{total}\r\n\r\n")
}

/// See [`before`].
pub(super) fn after(parts: &MultiRangeInfo) -> String {
    format!("\r\n--{}--\r\n", parts.boundary)
}
