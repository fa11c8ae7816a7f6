//! Texts from anywhere between quotes, so that none of them can end its line, forge another, or move the cursor of
//! the terminal that shows it.

/// Longer values are cut and end in `…`.
const LONGEST: usize = 4096;

/// What may follow in an open pair of quotes. Valid inside a JSON string (RFC 8259 section 7).
pub(super) struct Quoted<'a> {
    out: &'a mut Vec<u8>,
    left: usize,
    cut: bool,
}

/// Visible ASCII and space, without the quote and the backslash.
const CLEAN: [bool; 256] = {
    let mut clean = [false; 256];
    let mut byte = 0x20;
    while byte < 0x7f {
        clean[byte] = byte != b'"' as usize && byte != b'\\' as usize;
        byte += 1;
    }
    clean
};

/// Whether nothing of a text needs escaping.
fn is_clean(text: &[u8]) -> bool {
    // No early exit: the compiler makes vector code of this.
    text.iter().fold(true, |clean, &byte| clean & (byte.wrapping_sub(0x20) < 0x5f) & (byte != b'"') & (byte != b'\\'))
}

/// Whether a text can stand without quotes in a `key=value` pair.
pub(super) fn is_bare(text: &[u8]) -> bool {
    let bare = |byte: &u8| CLEAN[usize::from(*byte)] && !matches!(byte, b' ' | b'=');
    (1..=LONGEST).contains(&text.len()) && text.iter().all(bare)
}

impl<'a> Quoted<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, left: LONGEST, cut: false }
    }

    /// Adds a piece of text; where it is not UTF-8 it is read as Latin-1, as HTTP once was.
    pub(super) fn push(&mut self, text: &[u8]) {
        if text.len() <= self.left {
            self.left -= text.len();
            return self.escape(text);
        }
        if !std::mem::replace(&mut self.cut, true) {
            let kept = std::mem::take(&mut self.left);
            self.escape(&text[..kept]);
            self.out.extend_from_slice("…".as_bytes());
        }
    }

    fn escape(&mut self, mut rest: &[u8]) {
        if is_clean(rest) {
            return self.out.extend_from_slice(rest);
        }
        loop {
            let clean = rest.iter().position(|byte| !CLEAN[usize::from(*byte)]).unwrap_or(rest.len());
            let (copied, dirty) = rest.split_at(clean);
            self.out.extend_from_slice(copied);
            match dirty.first() {
                None => return,
                Some(byte) if byte.is_ascii() => self.escape_ascii(*byte),
                Some(byte) => {
                    rest = &dirty[self.escape_wide(*byte, dirty)..];
                    continue;
                }
            }
            rest = &dirty[1..];
        }
    }

    fn escape_ascii(&mut self, byte: u8) {
        match byte {
            b'"' => self.out.extend_from_slice(b"\\\""),
            b'\\' => self.out.extend_from_slice(b"\\\\"),
            b'\n' => self.out.extend_from_slice(b"\\n"),
            b'\r' => self.out.extend_from_slice(b"\\r"),
            b'\t' => self.out.extend_from_slice(b"\\t"),
            control => self.escape_code(control.into()),
        }
    }

    /// Adds the character at the start of `text`; returns how many bytes that were.
    fn escape_wide(&mut self, first: u8, text: &[u8]) -> usize {
        let head = &text[..text.len().min(4)];
        let char = head.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
        match char {
            Some(c) if is_treacherous(c) => self.escape_code(c as u32),
            Some(c) => self.out.extend_from_slice(&text[..c.len_utf8()]),
            None => self.escape_code(first.into()),
        }
        char.map_or(1, char::len_utf8)
    }

    fn escape_code(&mut self, code: u32) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        self.out.extend_from_slice(b"\\u");
        for shift in [12, 8, 4, 0] {
            self.out.push(HEX[(code >> shift & 0xf) as usize]);
        }
    }
}

/// Control characters that terminals obey, line ends of Unicode, and what turns the direction of text around
/// (CVE-2021-42574). All have four hexadecimal digits.
fn is_treacherous(c: char) -> bool {
    matches!(c, '\u{80}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(pieces: &[&[u8]]) -> String {
        let mut out = Vec::new();
        let mut quoted = Quoted::new(&mut out);
        pieces.iter().for_each(|piece| quoted.push(piece));
        String::from_utf8(out).expect("always text")
    }

    #[test]
    fn nothing_ends_the_line_or_the_quotes() {
        assert_eq!(escaped(&[b"a\"b\\c\r\nd\te\0f\x1b[2J\x7f"]), r#"a\"b\\c\r\nd\te\u0000f\u001b[2J\u007f"#);
        assert_eq!(escaped(&["\u{9b}2J \u{2028}\u{202e}\u{feff}".as_bytes()]), r"\u009b2J \u2028\u202e\ufeff");
    }

    #[test]
    fn text_of_any_language_stays_readable() {
        assert_eq!(escaped(&["grüße 你好 🦀".as_bytes()]), "grüße 你好 🦀");
    }

    #[test]
    fn what_is_no_text_is_escaped_byte_by_byte() {
        assert_eq!(escaped(&[b"\xff\xc3(\xe2\x82\xf0\x9f\xa6"]), r"\u00ff\u00c3(\u00e2\u0082\u00f0\u009f\u00a6");
        assert_eq!(escaped(&[b"\xed\xa0\x80"]), r"\u00ed\u00a0\u0080", "a surrogate is no character");
    }

    #[test]
    fn every_byte_and_every_character_makes_a_json_string_of_one_line() {
        let bytes: Vec<u8> = (0..=255).collect();
        let all: String = ('\0'..='\u{2fff}').collect();
        for text in bytes.windows(5).chain(all.as_bytes().chunks(300)) {
            let line = escaped(&[text]);
            assert!(!line.bytes().any(|byte| byte < 0x20), "{line}");
            let read: String = serde_json::from_str(&format!("\"{line}\"")).expect("JSON");
            if let Ok(text) = std::str::from_utf8(text) {
                assert_eq!(read, text);
            }
        }
    }

    #[test]
    fn a_long_value_is_cut() {
        let long = vec![b'a'; LONGEST + 1];
        assert_eq!(escaped(&[&long]), format!("{}…", "a".repeat(LONGEST)));
        assert_eq!(escaped(&[&long[1..]]), "a".repeat(LONGEST));
        assert_eq!(escaped(&[&long[1..], b"b", b"c"]), format!("{}…", "a".repeat(LONGEST)));
    }
}
