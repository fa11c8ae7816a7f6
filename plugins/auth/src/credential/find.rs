//! Finding a token in a request.

use percent_encoding::percent_decode_str;
use tidegate_core::{HeaderMap, HeaderName, RequestHead, header};

use super::{Carried, LONGEST, Place, is_token};

impl Place {
    pub(super) fn find<'a>(&self, head: &RequestHead<'a>) -> Carried<'a> {
        match self {
            Place::Bearer => authorization(head.headers, "bearer"),
            Place::Header(name) => field(head.headers, name),
            Place::Cookie(name) => cookie(head.headers, name.as_bytes()),
            Place::Query(name) => query(head.query.unwrap_or_default(), name),
        }
    }
}

/// What `Authorization` has for a scheme, given in lower case. Another scheme is nothing; two fields are ambiguous
/// whatever their schemes, as servers differ in which of them counts (RFC 9110 section 5.3: it is no list).
pub(crate) fn authorization<'a>(headers: &'a HeaderMap, scheme: &str) -> Carried<'a> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Carried::Nothing };
    if values.next().is_some() {
        return Carried::Several;
    }
    match credentials(value.as_bytes(), scheme) {
        None => Carried::Nothing,
        Some(token) => one(token, is_token68),
    }
}

/// What follows the scheme and the spaces after it; `None` for another scheme.
pub(super) fn credentials<'a>(value: &'a [u8], scheme: &str) -> Option<&'a [u8]> {
    let value = value.trim_ascii();
    let (named, rest) = value.split_at_checked(scheme.len())?;
    let ends = rest.first().is_none_or(|byte| !is_token(*byte));
    // Schemes are compared in any case, and one space or more follows (RFC 9110 section 11.4). What follows
    // otherwise stays where it is, and is no token.
    (named.eq_ignore_ascii_case(scheme.as_bytes()) && ends).then(|| match rest.first() {
        Some(b' ') => trim_spaces(rest),
        _ => rest,
    })
}

fn trim_spaces(text: &[u8]) -> &[u8] {
    let begin = text.iter().position(|byte| *byte != b' ').unwrap_or(text.len());
    &text[begin..]
}

fn field<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Carried<'a> {
    let values = headers.get_all(name).iter();
    values.fold(Carried::Nothing, |found, value| found.and(one(value.as_bytes().trim_ascii(), is_visible)))
}

fn cookie<'a>(headers: &'a HeaderMap, name: &[u8]) -> Carried<'a> {
    let lines = headers.get_all(header::COOKIE).iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let values = pairs.filter_map(|pair| cookie_named(pair, name));
    values.fold(Carried::Nothing, |found, value| found.and(one(value, is_cookie_octet)))
}

/// The value of a `name=value` if it has this name.
pub(super) fn cookie_named<'a>(pair: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    let (key, value) = pair.split_at(equals);
    (key.trim_ascii() == name).then(|| value.get(1..).unwrap_or_default().trim_ascii())
}

fn query<'a>(query: &'a str, name: &str) -> Carried<'a> {
    let values = query.split('&').filter_map(|pair| parameter_named(pair, name));
    // A `+` may be a space, and a `%` begins what would have to be decoded: neither is in a token.
    let plain = |byte: u8| is_visible(byte) && !matches!(byte, b'%' | b'+');
    values.fold(Carried::Nothing, |found, value| found.and(one(value.as_bytes(), plain)))
}

/// The raw value of a `name=value` if it has this name, percent-encoded or not: an upstream decodes it, too.
pub(super) fn parameter_named<'a>(pair: &'a str, name: &str) -> Option<&'a str> {
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    (key == name || key.contains('%') && percent_decode_str(key).eq(name.bytes())).then_some(value)
}

fn one(token: &[u8], fits: impl Fn(u8) -> bool) -> Carried<'_> {
    // Every byte is looked at and nothing is decided before the last: that way it takes sixteen at a time. A token of
    // 900 bytes costs 120 ns so, and 650 one by one.
    let fits = (1..=LONGEST).contains(&token.len()) && token.iter().fold(true, |all, byte| all & fits(*byte));
    match std::str::from_utf8(token) {
        Ok(token) if fits => Carried::One(token),
        _ => Carried::Broken,
    }
}

/// RFC 9110 section 11.2 without regard to where its `=` stand: whoever reads the token does that.
fn is_token68(byte: u8) -> bool {
    // `-`, `.`, `/` and the digits follow one another; letters differ by one bit in their cases. No branches.
    let (mark, letter) = (byte.wrapping_sub(b'-') < 13, (byte | 0x20).wrapping_sub(b'a') < 26);
    mark | letter | (byte == b'_') | (byte == b'~') | (byte == b'+') | (byte == b'=')
}

fn is_visible(byte: u8) -> bool {
    byte.is_ascii_graphic()
}

/// RFC 6265 section 4.1.1.
fn is_cookie_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_of_letters_digits_and_seven_marks() {
        for byte in 0..=u8::MAX {
            assert_eq!(is_token68(byte), byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte), "{byte}");
        }
    }
}
