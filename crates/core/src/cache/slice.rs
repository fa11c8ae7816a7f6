//! A piece of a large answer, which is fetched and stored by itself.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::fields::{Tag, only, strong_date};

/// Which piece of an object: all but its last are of the same size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    size: u64,
    number: u64,
}

impl Slice {
    /// The first one, of objects that are cut in pieces of `size` bytes.
    pub fn first(size: u64) -> Self {
        Self { size: size.max(1), number: 0 }
    }

    /// The one that has this byte, counted from 0.
    pub fn of_byte(size: u64, byte: u64) -> Self {
        let size = size.max(1);
        Self { size, number: byte / size }
    }

    /// How long it is, unless it is the last.
    pub fn size(self) -> u64 {
        self.size
    }

    /// Which one it is, counted from 0.
    pub fn number(self) -> u64 {
        self.number
    }

    /// Where it begins.
    pub fn start(self) -> u64 {
        // It was `byte` once that this is not more than.
        self.number.saturating_mul(self.size)
    }

    /// Where it ends in an object of `total` bytes: the first byte that isn't in it any more.
    pub fn end(self, total: u64) -> u64 {
        self.start().saturating_add(self.size).min(total)
    }

    /// The `Range` that asks for it.
    pub fn range(self) -> HeaderValue {
        let last = self.start().saturating_add(self.size - 1);
        let text = ["bytes=", &self.start().to_string(), "-", &last.to_string()].concat();
        HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or(HeaderValue::from_static("bytes=0-"))
    }

    /// How long the whole object is, if an answer with this head is this piece of it, to the byte, and can be told from
    /// the same piece of another version; `None` for anything else. What is in one piece has no need to be told from
    /// others.
    pub fn total(self, status: StatusCode, headers: &HeaderMap) -> Option<u64> {
        if status != StatusCode::PARTIAL_CONTENT {
            return None;
        }
        let (first, last, total) = content_range(only(headers, &header::CONTENT_RANGE)?)?;
        let end = self.end(total);
        let exact = first == self.start() && first < end && last.checked_add(1) == Some(end);
        let length = match headers.contains_key(header::CONTENT_LENGTH) {
            true => number(only(headers, &header::CONTENT_LENGTH)?)?,
            false => end.checked_sub(first)?,
        };
        let alone = first == 0 && end == total;
        (exact && length == end - first && (alone || has_strong_validator(headers))).then_some(total)
    }
}

/// Whether two answers are of the same version of a resource, to the byte: they have the same strong `ETag`, or where one
/// of them has none, the same `Last-Modified` that is a strong validator (RFC 9110 section 8.8).
pub fn are_same_version(one: &HeaderMap, other: &HeaderMap) -> bool {
    let tags = one.get(header::ETAG).zip(other.get(header::ETAG));
    if let Some((one, other)) = tags {
        let weak = Tag(one.as_bytes()).is_weak() || Tag(other.as_bytes()).is_weak();
        if !weak {
            return one == other;
        }
        if Tag(one.as_bytes()).opaque() != Tag(other.as_bytes()).opaque() {
            return false;
        }
    }
    let dates = strong_date(one).zip(strong_date(other));
    dates.is_some_and(|(one, other)| one == other)
}

/// Whether an answer can be told from each other version of itself.
pub fn has_strong_validator(headers: &HeaderMap) -> bool {
    let tag = headers.get(header::ETAG).map(|tag| Tag(tag.as_bytes()));
    tag.is_some_and(|tag| !tag.is_weak() && tag.0.starts_with(b"\"")) || strong_date(headers).is_some()
}

/// First byte, last byte and length of the whole, of a `Content-Range` that says all of them.
fn content_range(value: &HeaderValue) -> Option<(u64, u64, u64)> {
    let text = value.to_str().ok()?.trim();
    let (unit, rest) = text.split_once(' ')?;
    let (range, total) = rest.trim_start().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let all = (digits(first)?, digits(last)?, digits(total)?);
    unit.eq_ignore_ascii_case("bytes").then_some(all)
}

fn number(value: &HeaderValue) -> Option<u64> {
    digits(value.to_str().ok()?.trim())
}

/// `u64`'s own parser takes a `+`.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    fn total(slice: Slice, fields: &[(&'static str, &str)]) -> Option<u64> {
        slice.total(StatusCode::PARTIAL_CONTENT, &headers(fields))
    }

    const OLD: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const NEW: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    #[test]
    fn slices_lie_side_by_side_and_the_last_is_shorter() {
        let second = Slice::of_byte(10, 19);
        assert_eq!((second.number(), second.start(), second.end(25), second.end(15)), (1, 10, 20, 15));
        assert_eq!(second.range(), "bytes=10-19");
        assert_eq!(Slice::first(10).range(), "bytes=0-9");
        let far = Slice::of_byte(1 << 20, u64::MAX);
        assert_eq!(far.start(), u64::MAX - (1 << 20) + 1);
        assert!(far.range().to_str().is_ok_and(|range| range.starts_with("bytes=18446744073708503040-")));
    }

    #[test]
    fn an_answer_is_a_slice_only_if_it_is_exactly_that_one() {
        let (first, second) = (Slice::first(10), Slice::of_byte(10, 10));
        let tag = ("etag", "\"a\"");
        for (slice, range, length, whole) in [
            (first, "bytes 0-9/25", Some("10"), Some(25)),
            (first, "bytes 0-9/25", None, Some(25)),
            (first, "Bytes 0-9/25", Some("10"), Some(25)),
            (second, "bytes 10-19/25", Some("10"), Some(25)),
            (second, "bytes 10-14/15", Some("5"), Some(15)),
            (first, "bytes 0-9/25", Some("9"), None),
            (first, "bytes 0-9/25", Some("x"), None),
            (first, "bytes 0-8/25", Some("9"), None),
            (first, "bytes 0-10/25", Some("11"), None),
            (first, "bytes 0-9/*", Some("10"), None),
            (first, "bytes */25", None, None),
            (first, "bytes 0-9/9", Some("10"), None),
            (first, "bytes +0-9/25", Some("10"), None),
            (first, "bytes 0-9/99999999999999999999", Some("10"), None),
            (first, "items 0-9/25", Some("10"), None),
            (second, "bytes 0-9/25", Some("10"), None),
            (second, "bytes 10-9/10", Some("0"), None),
        ] {
            let mut fields = vec![tag, ("content-range", range)];
            fields.extend(length.map(|length| ("content-length", length)));
            assert_eq!(total(slice, &fields), whole, "{range} {length:?}");
        }
        let good = headers(&[tag, ("content-range", "bytes 0-9/25")]);
        assert_eq!(first.total(StatusCode::OK, &good), None);
        let mut twice = good.clone();
        twice.append("content-range", "bytes 0-9/25".parse().expect("a value"));
        assert_eq!(first.total(StatusCode::PARTIAL_CONTENT, &twice), None);
    }

    #[test]
    fn what_is_in_several_slices_needs_a_strong_validator() {
        let range = ("content-range", "bytes 0-9/25");
        for (fields, good) in [
            (&[("etag", "\"a\"")][..], true),
            (&[("etag", "W/\"a\"")], false),
            (&[("etag", "a")], false),
            (&[("etag", "W/\"a\""), ("last-modified", OLD), ("date", NEW)], true),
            (&[("last-modified", OLD), ("date", NEW)], true),
            (&[("last-modified", OLD), ("date", OLD)], false),
            (&[("last-modified", OLD)], false),
            (&[], false),
        ] {
            let all = [&[range], fields].concat();
            assert_eq!(total(Slice::first(10), &all).is_some(), good, "{fields:?}");
        }
        assert_eq!(total(Slice::first(10), &[("content-range", "bytes 0-4/5")]), Some(5));
    }

    #[test]
    fn versions_are_told_apart_by_what_is_strong() {
        for (one, other, same) in [
            (&[("etag", "\"a\"")][..], &[("etag", "\"a\"")][..], true),
            (&[("etag", "\"a\"")], &[("etag", "\"b\"")], false),
            (&[("etag", "W/\"a\"")], &[("etag", "W/\"a\"")], false),
            (&[("etag", "\"a\"")], &[], false),
            (&[("last-modified", OLD), ("date", NEW)], &[("last-modified", OLD), ("date", NEW)], true),
            (&[("last-modified", OLD), ("date", NEW)], &[("last-modified", NEW), ("date", NEW)], false),
            (
                &[("etag", "W/\"a\""), ("last-modified", OLD), ("date", NEW)],
                &[("etag", "W/\"b\""), ("last-modified", OLD), ("date", NEW)],
                false,
            ),
            (
                &[("etag", "\"a\""), ("last-modified", OLD), ("date", NEW)],
                &[("last-modified", OLD), ("date", NEW)],
                true,
            ),
        ] {
            assert_eq!(are_same_version(&headers(one), &headers(other)), same, "{one:?} {other:?}");
        }
    }
}
