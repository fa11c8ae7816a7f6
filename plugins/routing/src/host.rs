//! Host names: as a route names them, and as a client sends them.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::text::text_type;

/// The longest host name there is (RFC 1035 section 2.3.4).
pub(crate) const LONGEST: usize = 253;
/// The longest label of a host name.
const LONGEST_LABEL: usize = 63;

/// The hosts that a route serves: `api.example.com`, `*.example.com`, or `*`.
///
/// Lower case, without a trailing dot, and in the ASCII form of IDNA: the form that requests are brought to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This host alone.
    Exact(Box<str>),
    /// Every host below this one, at any depth; not this one itself.
    Below(Box<str>),
    /// Every host.
    Any,
}

/// A text that names no host.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HostPatternError {
    /// A `:` with a port after it.
    #[error("a host has no port here: ports belong to listeners, and `{0}` serves its host on each of them")]
    Port(Box<str>),
    /// A `*` that is not the whole first label.
    #[error("`{0}`: a `*` can only be the whole first label, as in `*.example.com`")]
    Star(Box<str>),
    /// Not a host name.
    #[error("`{0}` is not a host name")]
    Name(Box<str>),
}

impl FromStr for HostPattern {
    type Err = HostPatternError;

    fn from_str(text: &str) -> Result<Self, HostPatternError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Some(below) = text.strip_prefix("*.") {
            return Ok(Self::Below(ascii_name(below, text)?));
        }
        Ok(Self::Exact(ascii_name(text, text)?))
    }
}

text_type!(
    HostPattern,
    "HostPattern",
    "A host (`api.example.com`), all hosts below one (`*.example.com`), or any (`*`). Case and a trailing dot don't matter; `bücher.example` and `xn--bcher-kva.example` are the same."
);

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Below(name) => write!(f, "*.{name}"),
            Self::Any => f.write_str("*"),
        }
    }
}

fn ascii_name(name: &str, whole: &str) -> Result<Box<str>, HostPatternError> {
    if name.contains('*') {
        return Err(HostPatternError::Star(whole.into()));
    }
    if name.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && is_port(port)) && !is_ipv6(name) {
        return Err(HostPatternError::Port(whole.into()));
    }
    let bad = || HostPatternError::Name(whole.into());
    let name = match name.is_ascii() {
        true => name.to_ascii_lowercase(),
        // UTS 46, as browsers do it: what they show as `bücher.example` is sent as `xn--bcher-kva.example`.
        false => idna::domain_to_ascii_strict(name).map_err(|_| bad())?,
    };
    let name = name.strip_suffix('.').unwrap_or(&name);
    match !name.is_empty() && is_clean(name) {
        true => Ok(name.into()),
        false => Err(bad()),
    }
}

/// An authority that names no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadHost;

/// The host of `Host` or `:authority`: without its port, in lower case, without a trailing dot. Empty where none
/// was sent. `buffer` is used only if upper case was.
pub(crate) fn clean<'a>(authority: &'a str, buffer: &'a mut [u8; LONGEST]) -> Result<&'a str, BadHost> {
    let host = without_port(authority)?;
    let host = host.strip_suffix('.').unwrap_or(host);
    if authority.is_empty() {
        return Ok("");
    }
    if is_clean(host) {
        return Ok(host);
    }
    let lowered = buffer.get_mut(..host.len()).ok_or(BadHost)?;
    lowered.copy_from_slice(host.as_bytes());
    lowered.make_ascii_lowercase();
    match std::str::from_utf8(lowered) {
        Ok(host) if is_clean(host) => Ok(host),
        _ => Err(BadHost),
    }
}

fn without_port(authority: &str) -> Result<&str, BadHost> {
    let literal = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    match authority.get(literal..).and_then(|rest| rest.split_once(':')) {
        None => Ok(authority),
        // RFC 3986 section 3.2.3 allows a colon with no port after it.
        Some((_, port)) if port.is_empty() || is_port(port) => {
            authority.get(..authority.len() - port.len() - 1).ok_or(BadHost)
        }
        Some(_) => Err(BadHost),
    }
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_ipv6(name: &str) -> bool {
    name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok())
}

/// Whether this is a host name or an address in the form that routes are looked up by.
fn is_clean(host: &str) -> bool {
    if host.starts_with('[') {
        return is_ipv6(host) && !host.bytes().any(|b| b.is_ascii_uppercase());
    }
    let mut label = 0;
    for byte in host.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' if label < LONGEST_LABEL => label += 1,
            b'.' if label > 0 => label = 0,
            _ => return false,
        }
    }
    label > 0 && host.len() <= LONGEST && !is_odd_ipv4(host)
}

/// Digits and dots that are no IPv4 address: other programs read `127.1` and `2130706433` as `127.0.0.1`.
fn is_odd_ipv4(host: &str) -> bool {
    host.bytes().all(|b| b.is_ascii_digit() || b == b'.') && host.parse::<Ipv4Addr>().is_err()
}

/// The domains that `host` is below, the nearest first: `b.c`, `c` for `a.b.c`.
pub(crate) fn parents(host: &str) -> impl Iterator<Item = &str> {
    host.bytes().enumerate().filter(|(_, byte)| *byte == b'.').filter_map(|(dot, _)| host.get(dot + 1..))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(authority: &str) -> Result<String, BadHost> {
        clean(authority, &mut [0; LONGEST]).map(str::to_owned)
    }

    #[test]
    fn the_same_host_in_every_spelling_is_one_host() {
        for spelling in ["a.test", "A.Test", "a.test.", "a.test:80", "A.TEST.:8080", "a.test:"] {
            assert_eq!(cleaned(spelling).as_deref(), Ok("a.test"), "{spelling}");
        }
        assert_eq!(cleaned("[::1]:8080").as_deref(), Ok("[::1]"));
        assert_eq!(cleaned("[FE80::1]").as_deref(), Ok("[fe80::1]"));
        assert_eq!(cleaned("127.0.0.1:1").as_deref(), Ok("127.0.0.1"));
        assert_eq!(cleaned("").as_deref(), Ok(""));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let long = format!("{}.test", "a".repeat(250));
        let long_label = format!("{}.test", "a".repeat(64));
        for bad in [
            "a..test",
            ".test",
            ".",
            "a b",
            "a\tb",
            "user@a.test",
            "a.test:80:80",
            "a.test:http",
            "a.test:123456",
            ":80",
            "a/b",
            "a\\b",
            "a.test?x",
            "a.test#x",
            "[::1",
            "[::1]x",
            "[::1]:x",
            "[gg::]",
            "::1",
            "b\u{fc}cher.example",
            "%61.test",
            "a.test..",
            "127.1",
            "2130706433",
            "*.test",
            "a,b",
            "x]",
            "]:80",
            &long,
            &long_label,
        ] {
            assert_eq!(cleaned(bad), Err(BadHost), "{bad}");
        }
    }

    #[test]
    fn patterns_are_brought_to_the_form_of_requests() {
        for (text, printed) in [
            ("API.Example.com.", "api.example.com"),
            ("*.Example.com", "*.example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("*.bücher.example", "*.xn--bcher-kva.example"),
            ("*", "*"),
            ("[::1]", "[::1]"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(text.parse::<HostPattern>().expect(text).to_string(), printed);
        }
    }

    #[test]
    fn a_pattern_that_could_never_match_is_refused() {
        for (text, message) in [
            (
                "a.test:80",
                "a host has no port here: ports belong to listeners, and `a.test:80` serves its host on each of them",
            ),
            ("a.*.test", "`a.*.test`: a `*` can only be the whole first label, as in `*.example.com`"),
            ("*a.test", "`*a.test`: a `*` can only be the whole first label, as in `*.example.com`"),
            ("", "`` is not a host name"),
            ("a..test", "`a..test` is not a host name"),
            ("http://a.test", "`http://a.test` is not a host name"),
            ("a.test/x", "`a.test/x` is not a host name"),
        ] {
            assert_eq!(text.parse::<HostPattern>().expect_err(text).to_string(), message);
        }
    }

    #[test]
    fn the_parents_of_a_host_come_nearest_first() {
        assert_eq!(parents("a.b.c").collect::<Vec<_>>(), ["b.c", "c"]);
        assert_eq!(parents("c").count(), 0);
    }
}
