//! `Accept-Encoding` (RFC 9110 section 12.5.3): what a client takes. Read in one place, so that who chooses a coding and
//! who tells stored answers apart by it never mean different things.

use http::{HeaderMap, header};

use super::{is_token, weight};

/// A coding of content that is told from others (RFC 9110 section 8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Coding {
    /// `br`
    Br,
    /// `deflate`
    Deflate,
    /// `gzip`, also by its old name `x-gzip`.
    Gzip,
    /// `zstd`
    Zstd,
}

impl Coding {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 4] = [Self::Br, Self::Deflate, Self::Gzip, Self::Zstd];

    /// Its name in `Accept-Encoding` and `Content-Encoding`.
    pub const fn token(self) -> &'static str {
        match self {
            Self::Br => "br",
            Self::Deflate => "deflate",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// By its name, in whatever case; `x-gzip` is an old one of gzip (RFC 9110 section 8.4.1.3).
    pub fn from_token(token: &[u8]) -> Option<Self> {
        let known = Self::ALL.into_iter().find(|known| token.eq_ignore_ascii_case(known.token().as_bytes()));
        known.or_else(|| token.eq_ignore_ascii_case(b"x-gzip").then_some(Self::Gzip))
    }
}

/// What a client says that it takes. Weights are in thousandths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AcceptEncoding {
    named: [Option<u16>; Coding::ALL.len()],
    identity: Option<u16>,
    any: Option<u16>,
    repeats: bool,
}

/// The field is not written as it must be.
struct Malformed;

impl AcceptEncoding {
    /// What these header fields say; several of the name are one list. `None` where anything of it is malformed: nobody
    /// can say what such a client takes.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut accepted = Self::default();
        let mut lines = headers.get_all(header::ACCEPT_ENCODING).iter();
        lines.try_for_each(|line| accepted.line(line.as_bytes())).ok().map(|()| accepted)
    }

    /// The same of one field's value.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut accepted = Self::default();
        accepted.line(value).ok().map(|()| accepted)
    }

    /// How much the client likes a coding: 0 for not at all.
    pub fn weight(&self, coding: Coding) -> u16 {
        let named = self.named.get(coding as usize).copied().flatten();
        named.or(self.any).unwrap_or(0)
    }

    /// How much it likes the content as it is, where it says so by name. It is taken anyway, unless
    /// [refused](AcceptEncoding::refuses_identity).
    pub fn identity(&self) -> Option<u16> {
        self.identity
    }

    /// Whether the client says that it does not take the content as it is.
    pub fn refuses_identity(&self) -> bool {
        self.identity.or(self.any) == Some(0)
    }

    /// Whether it names a coding twice. The lower weight counts, so that what is refused once stays refused; others may
    /// read it otherwise.
    pub fn repeats(&self) -> bool {
        self.repeats
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Malformed> {
        // Empty elements are allowed, to those who read (RFC 9110 section 5.6.1).
        let mut elements = line.split(|byte| *byte == b',').map(trim).filter(|element| !element.is_empty());
        elements.try_for_each(|element| self.element(element))
    }

    fn element(&mut self, element: &[u8]) -> Result<(), Malformed> {
        let (coding, weight) = match element.iter().position(|byte| *byte == b';') {
            None => (element, 1000),
            Some(at) => {
                let (coding, rest) = element.split_at(at);
                (trim(coding), parameter(trim(rest.get(1..).unwrap_or_default()))?)
            }
        };
        if coding.is_empty() || !coding.iter().copied().all(is_token) {
            return Err(Malformed);
        }
        let slot = match Coding::from_token(coding) {
            Some(known) => self.named.get_mut(known as usize),
            None if coding == b"*" => Some(&mut self.any),
            None if coding.eq_ignore_ascii_case(b"identity") => Some(&mut self.identity),
            None => None,
        };
        if let Some(slot) = slot {
            self.repeats |= slot.is_some();
            *slot = Some(slot.map_or(weight, |said| said.min(weight)));
        }
        Ok(())
    }
}

/// `q=0.5`
fn parameter(text: &[u8]) -> Result<u16, Malformed> {
    let [b'q' | b'Q', b'=', value @ ..] = text else { return Err(Malformed) };
    weight(value).ok_or(Malformed)
}

fn trim(text: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = text.iter().position(|byte| !blank(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    text.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_the_old_name_of_gzip_too() {
        for coding in Coding::ALL {
            assert_eq!(Coding::from_token(coding.token().to_uppercase().as_bytes()), Some(coding));
        }
        assert_eq!(Coding::from_token(b"X-Gzip"), Some(Coding::Gzip));
        assert_eq!(Coding::from_token(b"compress"), None);
    }

    #[test]
    fn what_is_malformed_anywhere_says_nothing() {
        for value in
            ["gzip;q=2", "gzip;;q=1", "gzip;", "gzip;q=1;q=1", "gzip, b r", "gzip, x;q=2", ";q=1", "gzip, \"br\""]
        {
            assert!(AcceptEncoding::parse(value.as_bytes()).is_none(), "{value}");
        }
    }

    #[test]
    fn the_lower_of_two_weights_counts_and_that_there_are_two_is_told() {
        let read = |value: &str| AcceptEncoding::parse(value.as_bytes()).expect("well-formed");
        let twice = read("gzip, x-gzip;q=0.2, *;q=0.5");
        assert_eq!((twice.weight(Coding::Gzip), twice.weight(Coding::Br), twice.repeats()), (200, 500, true));
        assert!(!read("gzip, br, x, x").repeats());
    }
}
