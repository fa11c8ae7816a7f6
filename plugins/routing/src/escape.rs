//! Percent-encoding in a path, byte by byte (RFC 3986 section 6.2.2).

use crate::normalise::BadPath;

/// One byte of a path, written plainly or encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Byte {
    /// Written plainly, as it should be. `/` and `;` among them.
    Plain(u8),
    /// Encoded, as it should be: what a reserved character means may depend on it.
    Encoded(u8),
    /// Encoded without need.
    Decode(u8),
    /// Written plainly, or encoded with lower-case digits.
    Encode(u8),
    /// `%2F`, `%5C` (`tidy`), `%2f`, `%5c`, `\`.
    Slash {
        /// What it stands for.
        byte: u8,
        /// Whether it is spelled as it should be.
        tidy: bool,
    },
    /// Nothing a path may have.
    Bad(BadPath),
}

/// The bytes of a path.
pub(crate) struct Bytes<'p> {
    rest: &'p [u8],
    /// The last encoded byte, if it was the one just before: what a UTF-8 sequence began with.
    lead: u8,
}

impl<'p> Bytes<'p> {
    pub(crate) fn of(path: &'p str) -> Self {
        Self { rest: path.as_bytes(), lead: 0 }
    }

    fn encoded(&mut self, high: u8, low: u8) -> Byte {
        let (Some(upper), Some(lower)) = (hex(high), hex(low)) else {
            return Byte::Bad(BadPath::Encoding);
        };
        let byte = upper << 4 | lower;
        let tidy = !high.is_ascii_lowercase() && !low.is_ascii_lowercase();
        let lead = std::mem::replace(&mut self.lead, byte);
        match byte {
            0..0x20 | 0x7f => Byte::Bad(BadPath::Character),
            b'/' | b'\\' => Byte::Slash { byte, tidy },
            _ if is_unreserved(byte) => Byte::Decode(byte),
            _ if is_overlong(lead, byte) => Byte::Bad(BadPath::Encoding),
            _ if tidy => Byte::Encoded(byte),
            _ => Byte::Encode(byte),
        }
    }

    fn plain(&mut self, byte: u8) -> Byte {
        self.lead = 0;
        match byte {
            b'\\' => Byte::Slash { byte, tidy: false },
            0..=0x20 | 0x7f | b'#' | b'?' => Byte::Bad(BadPath::Character),
            _ if is_plain(byte) => Byte::Plain(byte),
            _ => Byte::Encode(byte),
        }
    }
}

impl Iterator for Bytes<'_> {
    type Item = Byte;

    fn next(&mut self) -> Option<Byte> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        if *byte != b'%' {
            return Some(self.plain(*byte));
        }
        let [high, low, rest @ ..] = rest else {
            return Some(Byte::Bad(BadPath::Encoding));
        };
        self.rest = rest;
        Some(self.encoded(*high, *low))
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// RFC 3986 section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// What a path may have unencoded: RFC 3986 section 3.3, `pchar` and `/`.
fn is_plain(byte: u8) -> bool {
    is_unreserved(byte) || matches!(byte, b'!' | b'$' | b'&'..=b',' | b'/' | b':' | b';' | b'=' | b'@')
}

/// Whether `lead, byte` begins a UTF-8 sequence that has a shorter form, such as `%C0%AF` for `/` (RFC 3629 section 10).
fn is_overlong(lead: u8, byte: u8) -> bool {
    matches!((lead, byte), (_, 0xc0 | 0xc1) | (0xe0, 0x80..=0x9f) | (0xf0, 0x80..=0x8f))
}

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

/// Adds `%XX`.
pub(crate) fn push_encoded(out: &mut String, byte: u8) {
    out.push('%');
    for digit in [byte >> 4, byte & 15] {
        out.push(char::from(DIGITS[usize::from(digit)]));
    }
}

/// The bytes that a (normal) segment stands for, written to `buffer`; `None` when there are more of them.
pub(crate) fn decode_segment<'b>(segment: &str, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let mut length = 0;
    for byte in Bytes::of(segment) {
        *buffer.get_mut(length)? = match byte {
            Byte::Plain(byte) | Byte::Encoded(byte) | Byte::Decode(byte) | Byte::Encode(byte) => byte,
            Byte::Slash { byte, .. } => byte,
            Byte::Bad(_) => return None,
        };
        length += 1;
    }
    buffer.get(..length)
}
