//! What a client takes: `Accept-Encoding` (RFC 9110 section 12.5.3).

#[cfg(test)]
mod naive;
#[cfg(test)]
mod tests;

use tidegate_core::{HeaderMap, fields};

use crate::algorithm::Algorithm;

/// What a client takes. A field that is absent, empty or malformed takes nothing but the content as it is: a client
/// that says nothing may be one that knows no coding, and one that can't be understood is not guessed about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AcceptEncoding(fields::AcceptEncoding);

impl AcceptEncoding {
    /// Of these header fields; several of the name are one list.
    pub fn of(headers: &HeaderMap) -> Self {
        Self(fields::AcceptEncoding::of(headers).unwrap_or_default())
    }

    /// Of one field's value.
    pub fn parse(value: &[u8]) -> Self {
        Self(fields::AcceptEncoding::parse(value).unwrap_or_default())
    }

    /// The coding that the client likes best of those `offered`; the first of those that it likes as well. `None`: the
    /// content as it is.
    pub fn choose(&self, offered: &[Algorithm]) -> Option<Algorithm> {
        let mut best: Option<(u16, Algorithm)> = None;
        for algorithm in offered {
            let weight = self.0.weight(algorithm.coding());
            if weight > 0 && best.is_none_or(|(most, _)| weight > most) {
                best = Some((weight, *algorithm));
            }
        }
        let better = |weight| self.0.identity().is_none_or(|identity| identity <= weight);
        best.filter(|(weight, _)| better(*weight)).map(|(_, algorithm)| algorithm)
    }

    /// Whether the client says that it does not take the content as it is.
    pub fn refuses_identity(&self) -> bool {
        self.0.refuses_identity()
    }
}
