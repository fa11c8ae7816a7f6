//! Which of the fields that matter to a cache a request has, found by one look at each.

use tidegate_core::HeaderMap;

/// Some of those fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Has(u8);

impl Has {
    /// `Authorization`.
    pub(crate) const CREDENTIALS: Self = Self(1);
    /// What is for the upstream to decide (RFC 9111 section 4.3.2).
    pub(crate) const PRECONDITION: Self = Self(1 << 1);
    /// A part of the answer is wanted.
    pub(crate) const RANGE: Self = Self(1 << 2);
    /// What says which stored answers are welcome.
    pub(crate) const CONTROL: Self = Self(1 << 3);

    pub(crate) fn of(request: &HeaderMap) -> Self {
        Self(request.keys().fold(0, |has, name| {
            has | match name.as_str() {
                "authorization" => Self::CREDENTIALS.0,
                "if-match" | "if-unmodified-since" => Self::PRECONDITION.0,
                "range" | "if-range" => Self::RANGE.0,
                "cache-control" | "pragma" => Self::CONTROL.0,
                _ => 0,
            }
        }))
    }

    pub(crate) fn any(self, of: Self) -> bool {
        self.0 & of.0 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_of_its_kind_and_others_are_of_none() {
        let all = [Has::CREDENTIALS, Has::PRECONDITION, Has::RANGE, Has::CONTROL];
        for (name, kind) in [
            ("authorization", Some(Has::CREDENTIALS)),
            ("if-match", Some(Has::PRECONDITION)),
            ("if-unmodified-since", Some(Has::PRECONDITION)),
            ("range", Some(Has::RANGE)),
            ("if-range", Some(Has::RANGE)),
            ("cache-control", Some(Has::CONTROL)),
            ("pragma", Some(Has::CONTROL)),
            ("if-none-match", None),
            ("cookie", None),
            ("x-range", None),
        ] {
            let mut request = HeaderMap::new();
            request.insert("host", "a.test".parse().expect("a value"));
            request.insert(name, "x".parse().expect("a value"));
            let has = Has::of(&request);
            assert_eq!(all.map(|one| has.any(one)), all.map(|one| Some(one) == kind), "{name}");
        }
    }
}
