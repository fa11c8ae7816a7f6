//! A dictionary of structured fields (RFC 8941 section 4.2.2, RFC 9651): names, and what kind of value each has.

use tidegate_core::fields::is_token;

/// The value of a member, as far as a cache directive can make use of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bare<'a> {
    /// `name`, or `name=?1`.
    True,
    /// `name=?0`.
    False,
    /// Digits; a negative number is none that a directive has.
    Integer(&'a [u8]),
    /// Strings, tokens, numbers of another kind, lists.
    Other,
}

/// A dictionary in which each name is there once, with its last value.
#[derive(Debug)]
pub(crate) struct Dictionary<'a>(Vec<(&'a str, Bare<'a>)>);

impl<'a> Dictionary<'a> {
    /// `None` for what is none: then all of it counts for nothing.
    pub(crate) fn parse(text: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(text);
        let mut members: Vec<(&str, Bare<'_>)> = Vec::new();
        reader.skip(|byte| byte == b' ');
        while !reader.0.is_empty() {
            let name = reader.key()?;
            let value = match reader.take(b'=') {
                true => reader.item_or_list()?,
                false => Bare::True,
            };
            reader.parameters()?;
            members.retain(|(other, _)| *other != name);
            members.push((name, value));
            reader.skip(is_blank);
            if reader.0.is_empty() {
                break;
            }
            if !reader.take(b',') {
                return None;
            }
            reader.skip(is_blank);
            if reader.0.is_empty() {
                return None;
            }
        }
        Some(Self(members))
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (&'a str, &Bare<'a>)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.0 = self.0.get(1..).unwrap_or(&[]);
        }
        found
    }

    /// Those at the beginning that fit.
    fn skip(&mut self, fits: impl Fn(u8) -> bool) -> &'a [u8] {
        let count = self.0.iter().take_while(|byte| fits(**byte)).count();
        let (skipped, rest) = self.0.split_at_checked(count).unwrap_or((&[], self.0));
        self.0 = rest;
        skipped
    }

    fn key(&mut self) -> Option<&'a str> {
        let first = self.peek()?;
        if !first.is_ascii_lowercase() && first != b'*' {
            return None;
        }
        let name =
            self.skip(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.' | b'*'));
        std::str::from_utf8(name).ok()
    }

    fn item_or_list(&mut self) -> Option<Bare<'a>> {
        if !self.take(b'(') {
            return self.item();
        }
        loop {
            self.skip(|byte| byte == b' ');
            if self.take(b')') {
                return Some(Bare::Other);
            }
            self.item()?;
            self.parameters()?;
            if !matches!(self.peek()?, b' ' | b')') {
                return None;
            }
        }
    }

    fn parameters(&mut self) -> Option<()> {
        while self.take(b';') {
            self.skip(|byte| byte == b' ');
            self.key()?;
            if self.take(b'=') {
                self.item()?;
            }
        }
        Some(())
    }

    fn item(&mut self) -> Option<Bare<'a>> {
        match self.peek()? {
            b'-' | b'0'..=b'9' => self.number(),
            b'"' => self.string(),
            b'?' => self.boolean(),
            b':' => self.bytes(),
            b'@' => {
                self.take(b'@');
                self.number().map(|_| Bare::Other)
            }
            b'%' => {
                self.take(b'%');
                self.string()
            }
            b'*' | b'A'..=b'Z' | b'a'..=b'z' => {
                self.skip(|byte| is_token(byte) || matches!(byte, b':' | b'/'));
                Some(Bare::Other)
            }
            _ => None,
        }
    }

    fn number(&mut self) -> Option<Bare<'a>> {
        let negative = self.take(b'-');
        let whole = self.skip(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 15 {
            return None;
        }
        if self.take(b'.') {
            let fraction = self.skip(|byte| byte.is_ascii_digit());
            return (whole.len() <= 12 && (1..=3).contains(&fraction.len())).then_some(Bare::Other);
        }
        Some(if negative { Bare::Other } else { Bare::Integer(whole) })
    }

    fn string(&mut self) -> Option<Bare<'a>> {
        self.take(b'"').then_some(())?;
        loop {
            self.skip(|byte| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\');
            if self.take(b'"') {
                return Some(Bare::Other);
            }
            self.take(b'\\').then_some(())?;
            (self.take(b'"') || self.take(b'\\')).then_some(())?;
        }
    }

    fn boolean(&mut self) -> Option<Bare<'a>> {
        self.take(b'?');
        match (self.take(b'1'), self.peek()) {
            (true, _) => Some(Bare::True),
            (false, Some(b'0')) => {
                self.take(b'0');
                Some(Bare::False)
            }
            _ => None,
        }
    }

    fn bytes(&mut self) -> Option<Bare<'a>> {
        self.take(b':');
        self.skip(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
        self.take(b':').then_some(Bare::Other)
    }
}
