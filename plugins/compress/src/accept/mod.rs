//! What a client takes: `Accept-Encoding` (RFC 9110 section 12.5.3).

#[cfg(test)]
mod naive;
#[cfg(test)]
mod tests;

use tidegate_core::{HeaderMap, fields, header};

use crate::algorithm::Algorithm;

/// What a client takes. A field that is absent, empty or malformed takes nothing but the content as it is: a client
/// that says nothing may be one that knows no coding, and one that can't be understood is not guessed about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AcceptEncoding {
    named: [Option<Weight>; Algorithm::ALL.len()],
    identity: Option<Weight>,
    any: Option<Weight>,
}

/// A weight in thousandths (RFC 9110 section 12.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Weight(u16);

/// The field is not written as it must be.
#[derive(Debug, Clone, Copy)]
struct Malformed;

impl AcceptEncoding {
    /// Of these header fields; several of the name are one list.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut accepted = Self::default();
        let lines = headers.get_all(header::ACCEPT_ENCODING);
        let read = lines.iter().try_for_each(|line| accepted.line(line.as_bytes()));
        read.map_or(Self::default(), |()| accepted)
    }

    /// Of one field's value.
    pub fn parse(value: &[u8]) -> Self {
        let mut accepted = Self::default();
        accepted.line(value).map_or(Self::default(), |()| accepted)
    }

    /// The coding that the client likes best of those `offered`; the first of those that it likes as well. `None`: the
    /// content as it is.
    pub fn choose(&self, offered: &[Algorithm]) -> Option<Algorithm> {
        let mut best: Option<(Weight, Algorithm)> = None;
        for algorithm in offered {
            let weight = self.weight(*algorithm);
            if weight > Weight::ZERO && best.is_none_or(|(most, _)| weight > most) {
                best = Some((weight, *algorithm));
            }
        }
        let better = |weight| self.identity.is_none_or(|identity| identity <= weight);
        best.filter(|(weight, _)| better(*weight)).map(|(_, algorithm)| algorithm)
    }

    /// Whether the client says that it does not take the content as it is.
    pub fn refuses_identity(&self) -> bool {
        self.identity.or(self.any) == Some(Weight::ZERO)
    }

    fn weight(&self, algorithm: Algorithm) -> Weight {
        let named = self.named.get(algorithm as usize).copied().flatten();
        named.or(self.any).unwrap_or(Weight::ZERO)
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Malformed> {
        // Empty elements are allowed, to those who read (RFC 9110 section 5.6.1).
        let elements = line.split(|byte| *byte == b',').map(trim).filter(|element| !element.is_empty());
        elements.into_iter().try_for_each(|element| self.element(element))
    }

    fn element(&mut self, element: &[u8]) -> Result<(), Malformed> {
        let (coding, weight) = match element.iter().position(|byte| *byte == b';') {
            None => (element, Weight::ONE),
            Some(at) => {
                let (coding, rest) = element.split_at(at);
                (trim(coding), Weight::parse(trim(rest.get(1..).unwrap_or_default()))?)
            }
        };
        if coding.is_empty() || !coding.iter().copied().all(is_token) {
            return Err(Malformed);
        }
        let slot = match Algorithm::from_token(coding) {
            Some(algorithm) => self.named.get_mut(algorithm as usize),
            None if coding == b"*" => Some(&mut self.any),
            None if coding.eq_ignore_ascii_case(b"identity") => Some(&mut self.identity),
            None => None,
        };
        if let Some(slot) = slot {
            // Said twice: the lower weight, so that what is refused once stays refused.
            *slot = Some(slot.map_or(weight, |said| said.min(weight)));
        }
        Ok(())
    }
}

impl Weight {
    const ZERO: Self = Self(0);
    const ONE: Self = Self(1000);

    /// `q=0.5`: up to three digits, and none but zeros after a one.
    fn parse(parameter: &[u8]) -> Result<Self, Malformed> {
        let [b'q' | b'Q', b'=', value @ ..] = parameter else { return Err(Malformed) };
        fields::weight(value).map(Self).ok_or(Malformed)
    }
}

fn trim(text: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = text.iter().position(|byte| !blank(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    text.get(start..end).unwrap_or_default()
}

/// `tchar` (RFC 9110 section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
