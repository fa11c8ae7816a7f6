//! A line while it is put together, as JSON or as `key=value` pairs.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::config::Format;
use super::escape::{Quoted, is_bare};
use crate::client::IpText;

/// A field's name, as each format has it: with what comes before it, and what stands between it and its value.
#[derive(Clone, Copy)]
pub(super) struct Key<'a> {
    pub(super) json: &'a str,
    pub(super) text: &'a str,
}

/// The [`Key`] of a name that needs no escaping.
macro_rules! key {
    ($name:literal) => {
        $crate::access_log::line::Key { json: concat!(",\"", $name, "\":"), text: concat!(" ", $name, "=") }
    };
}
pub(super) use key;

/// One line.
pub(super) struct Line<'a> {
    format: Format,
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Line<'a> {
    /// An empty line at the end of `out`.
    pub(super) fn begin(format: Format, out: &'a mut Vec<u8>) -> Self {
        if format == Format::Json {
            out.push(b'{');
        }
        let start = out.len();
        Self { format, out, start }
    }

    /// Ends it.
    pub(super) fn end(self) {
        self.out.extend_from_slice(match self.format {
            Format::Json => b"}\n",
            Format::Text => b"\n",
        });
    }

    fn key(&mut self, key: Key<'_>) {
        let text = match self.format {
            Format::Json => key.json,
            Format::Text => key.text,
        };
        // Before the first one there is nothing to be separated from.
        let separated = usize::from(self.out.len() == self.start);
        self.out.extend_from_slice(text.as_bytes().get(separated..).unwrap_or_default());
    }

    /// A text known to be visible ASCII without quotes, backslashes and `=`.
    pub(super) fn clean(&mut self, key: Key<'_>, text: &[u8]) {
        self.key(key);
        match self.format {
            Format::Json => {
                self.out.push(b'"');
                self.out.extend_from_slice(text);
                self.out.push(b'"');
            }
            Format::Text => self.out.extend_from_slice(text),
        }
    }

    /// Any text, of any origin.
    pub(super) fn text(&mut self, key: Key<'_>, text: &[u8]) {
        match self.format {
            Format::Text if is_bare(text) => self.clean(key, text),
            _ => self.quoted(key, |quoted| quoted.push(text)),
        }
    }

    /// Any text, if there is one.
    pub(super) fn maybe_text(&mut self, key: Key<'_>, text: Option<&str>) {
        if let Some(text) = text {
            self.text(key, text.as_bytes());
        }
    }

    /// A text of several pieces.
    pub(super) fn quoted(&mut self, key: Key<'_>, pieces: impl FnOnce(&mut Quoted<'_>)) {
        self.key(key);
        self.out.push(b'"');
        pieces(&mut Quoted::new(self.out));
        self.out.push(b'"');
    }

    /// An address.
    pub(super) fn ip(&mut self, key: Key<'_>, ip: IpAddr) {
        self.clean(key, IpText::of(ip).as_bytes());
    }

    /// An address with its port.
    pub(super) fn address(&mut self, key: Key<'_>, address: SocketAddr) {
        let mut text = [0; 60];
        let mut length = 0;
        let mut push = |piece: &[u8]| {
            if let Some(place) = text.get_mut(length..length + piece.len()) {
                place.copy_from_slice(piece);
                length += piece.len();
            }
        };
        let ip = IpText::of(address.ip());
        match address.is_ipv6() {
            true => [b"[", ip.as_bytes(), b"]:"].into_iter().for_each(&mut push),
            false => [ip.as_bytes(), b":"].into_iter().for_each(&mut push),
        }
        push(Digits::of(address.port().into()).as_bytes());
        self.clean(key, &text[..length]);
    }

    /// A number.
    pub(super) fn number(&mut self, key: Key<'_>, number: u64) {
        self.key(key);
        self.out.extend_from_slice(Digits::of(number).as_bytes());
    }

    /// A duration in milliseconds, to the microsecond.
    pub(super) fn millis(&mut self, key: Key<'_>, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.number(key, micros / 1000);
        let part = (micros % 1000) as u16;
        let digits = [part / 100, part / 10 % 10, part % 10].map(|digit| b'0' + digit as u8);
        self.out.push(b'.');
        self.out.extend_from_slice(&digits);
    }
}

/// A number as text, on the stack.
struct Digits {
    bytes: [u8; 20],
    begin: usize,
}

impl Digits {
    fn of(mut number: u64) -> Self {
        let mut digits = Self { bytes: [b'0'; 20], begin: 20 };
        loop {
            digits.begin -= 1;
            digits.bytes[digits.begin] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return digits;
            }
        }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.begin..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: Format, put: impl FnOnce(&mut Line<'_>)) -> String {
        let mut out = Vec::new();
        let mut line = Line::begin(format, &mut out);
        put(&mut line);
        line.end();
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn numbers_are_exact_at_both_ends() {
        let put = |line: &mut Line<'_>| {
            line.number(key!("a"), 0);
            line.number(key!("b"), u64::MAX);
            line.millis(key!("c"), Duration::ZERO);
            line.millis(key!("d"), Duration::from_nanos(1_020_999));
            line.millis(key!("e"), Duration::MAX);
        };
        assert_eq!(
            line(Format::Json, put),
            "{\"a\":0,\"b\":18446744073709551615,\"c\":0.000,\"d\":1.020,\"e\":18446744073709551.615}\n"
        );
    }

    #[test]
    fn a_text_is_bare_only_where_that_can_be_read_back() {
        let put = |line: &mut Line<'_>| {
            for text in ["plain/x-1.2", "", "a b", "a=b", "a\"b", "ü"] {
                line.text(key!("t"), text.as_bytes());
            }
        };
        assert_eq!(line(Format::Text, put), "t=plain/x-1.2 t=\"\" t=\"a b\" t=\"a=b\" t=\"a\\\"b\" t=\"ü\"\n");
    }

    #[test]
    fn addresses_have_their_ports() {
        let put = |line: &mut Line<'_>| {
            line.address(key!("a"), "192.0.2.1:80".parse().expect("an address"));
            line.address(key!("b"), "[1111:2222:3333:4444:5555:6666:7777:8888]:65535".parse().expect("an address"));
        };
        assert_eq!(line(Format::Text, put), "a=192.0.2.1:80 b=[1111:2222:3333:4444:5555:6666:7777:8888]:65535\n");
    }
}
