//! Parts of HTTP's fields that several crates read: tokens, dates, weights, entity tags, the codings that a
//! client takes.

mod accept_encoding;

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, header};

pub use accept_encoding::{AcceptEncoding, Coding};

/// A weight (`q`) in thousandths: `0` to `1` with at most three digits after the point (RFC 9110 section 12.4.2). `None` for
/// what is no weight.
pub fn weight(value: &[u8]) -> Option<u16> {
    let [whole @ (b'0' | b'1'), rest @ ..] = value else { return None };
    let digits = match rest {
        [] => rest,
        [b'.', digits @ ..] => digits,
        _ => return None,
    };
    if digits.len() > 3 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let thousandths: u16 = digits.iter().zip([100, 10, 1]).map(|(digit, worth)| u16::from(digit - b'0') * worth).sum();
    Some(u16::from(whole - b'0') * 1000 + thousandths).filter(|weight| *weight <= 1000)
}

/// Whether a byte is one of those that tokens are made of: names of fields, methods, cookies, codings (`tchar`, RFC 9110
/// section 5.6.2).
#[inline]
pub const fn is_token(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'^'..=b'z' | b'|' | b'~')
}

/// The value of a field that is there once.
pub fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    lines.next().filter(|_| lines.next().is_none())
}

/// A date of HTTP's (RFC 9110 section 5.6.7).
pub fn date(value: &HeaderValue) -> Option<SystemTime> {
    httpdate::parse_http_date(value.to_str().ok()?.trim()).ok()
}

/// `Last-Modified`, if what changed in that second can't have changed once more before the answer was made (RFC 9110
/// section 8.8.2.2).
pub fn strong_date(answer: &HeaderMap) -> Option<SystemTime> {
    let changed = date(only(answer, &header::LAST_MODIFIED)?)?;
    let made = date(only(answer, &header::DATE)?)?;
    (changed + Duration::from_secs(1) <= made).then_some(changed)
}

/// An entity tag, with its quotes and its `W/` (RFC 9110 section 8.8.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag<'a>(pub &'a [u8]);

impl<'a> Tag<'a> {
    /// Whether it is a weak one.
    pub fn is_weak(self) -> bool {
        self.0.starts_with(b"W/")
    }

    /// Without its `W/`: what the weak comparison compares (RFC 9110 section 8.8.3.2).
    pub fn opaque(self) -> &'a [u8] {
        self.0.strip_prefix(b"W/").unwrap_or(self.0)
    }
}

/// The tags of a list (`If-Match`, `If-None-Match`), up to the first that is none.
pub fn tags(list: &[u8]) -> impl Iterator<Item = Tag<'_>> {
    let mut left = list;
    std::iter::from_fn(move || {
        let start = left.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b','))?;
        let rest = left.get(start..)?;
        // What begins without a quote is no tag. Commas may be inside of one, and no quotes.
        let quoted = Tag(rest).opaque().strip_prefix(b"\"")?;
        let after = quoted.iter().position(|byte| *byte == b'"')? + 1;
        let (tag, after) = rest.split_at_checked(rest.len() - quoted.len() + after)?;
        left = after;
        Some(Tag(tag))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_of_letters_digits_and_fifteen_others() {
        for byte in 0..=u8::MAX {
            let listed = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert_eq!(is_token(byte), listed, "{byte:#x}");
        }
    }

    #[test]
    fn weights_are_read_exactly() {
        for (text, read) in
            [("0", 0), ("1", 1000), ("0.", 0), ("1.", 1000), ("0.5", 500), ("0.123", 123), ("1.000", 1000)]
        {
            assert_eq!(weight(text.as_bytes()), Some(read), "{text}");
        }
        for text in ["", "2", "1.001", "0.1234", ".5", "0,5", "00", "0.x", "-0", "1 ", "0.5.5"] {
            assert_eq!(weight(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_list_ends_with_the_first_that_is_no_tag() {
        let all =
            |list: &'static str| tags(list.as_bytes()).map(|tag| (tag.is_weak(), tag.opaque())).collect::<Vec<_>>();
        assert_eq!(all(" , \"a,b\" ,,W/\"y\"\"z\""), [(false, &b"\"a,b\""[..]), (true, b"\"y\""), (false, b"\"z\"")]);
        assert_eq!(all("\"a\", b, \"c\""), [(false, &b"\"a\""[..])]);
        for none in ["", "*", "W/", "W/W/\"a\"", "\"a", "w/\"a\"", "a"] {
            assert!(all(none).is_empty(), "{none}");
        }
    }
}
