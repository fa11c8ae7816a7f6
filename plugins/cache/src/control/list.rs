//! The directives of a `Cache-Control` field, one by one.

/// `name` or `name=value` or `name="value"`. Whoever reads a permission out of it must look at all of it; a prohibition
/// is one by its name alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Directive<'a> {
    pub(crate) name: &'a [u8],
    /// Without its quotes.
    pub(crate) value: Option<&'a [u8]>,
}

impl Directive<'_> {
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// Whether it is this one, and says nothing more.
    pub(crate) fn is_bare(&self, name: &str) -> bool {
        self.value.is_none() && self.is(name)
    }

    /// The seconds that it says; no time at all where it says nonsense (RFC 9111 section 4.2.1).
    pub(crate) fn seconds(&self) -> u32 {
        self.value.and_then(super::seconds::of).unwrap_or(0)
    }
}

/// The directives of one field line. Takes any bytes: what is in quotes that end nowhere is read as if it weren't in
/// quotes, so that no `no-store` gets lost behind one.
pub(crate) struct Directives<'a>(&'a [u8]);

impl<'a> Directives<'a> {
    pub(crate) fn of(line: &'a [u8]) -> Self {
        Self(line)
    }
}

impl<'a> Iterator for Directives<'a> {
    type Item = Directive<'a>;

    fn next(&mut self) -> Option<Directive<'a>> {
        loop {
            if self.0.is_empty() {
                return None;
            }
            let end = end_of_member(self.0);
            let (member, rest) = self.0.split_at_checked(end).unwrap_or((self.0, &[]));
            self.0 = rest.get(1..).unwrap_or(&[]);
            let directive = directive(member.trim_ascii());
            if !directive.name.is_empty() {
                return Some(directive);
            }
        }
    }
}

/// Where the comma is that ends the first member; the length where there is none.
fn end_of_member(line: &[u8]) -> usize {
    let comma = line.iter().position(|byte| *byte == b',').unwrap_or(line.len());
    let Some(quote) = opening_quote(line.get(..comma).unwrap_or(line)) else { return comma };
    match closing_quote(line, quote) {
        Some(close) => {
            let after = line.get(close..).unwrap_or(&[]);
            after.iter().position(|byte| *byte == b',').map_or(line.len(), |comma| close + comma)
        }
        None => comma,
    }
}

/// A quote opens a string only right after the `=`.
fn opening_quote(member: &[u8]) -> Option<usize> {
    let equals = member.iter().position(|byte| *byte == b'=')?;
    let blanks = member.get(equals + 1..)?.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let at = equals + 1 + blanks;
    (member.get(at) == Some(&b'"')).then_some(at)
}

fn closing_quote(line: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        match line.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn directive(member: &[u8]) -> Directive<'_> {
    let (name, value) = match member.iter().position(|byte| *byte == b'=') {
        Some(at) => (member.get(..at).unwrap_or(member), member.get(at + 1..)),
        None => (member, None),
    };
    Directive { name: trimmed(name), value: value.map(unquoted) }
}

/// Stray quotes are no part of a name: `no-store"` is meant to forbid.
fn trimmed(name: &[u8]) -> &[u8] {
    let stray = |byte: &u8| *byte == b'"' || byte.is_ascii_whitespace();
    let start = name.iter().take_while(|byte| stray(byte)).count();
    let end = name.len() - name.iter().rev().take_while(|byte| stray(byte)).count();
    name.get(start..end).unwrap_or(&[])
}

fn unquoted(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value)
}
