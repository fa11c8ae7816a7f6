//! The codings there are.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::HeaderValue;
use tidegate_core::fields::Coding;

/// A coding of content (RFC 9110 section 8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// Zstandard (RFC 8878): the fastest for what it saves.
    Zstd,
    /// Brotli (RFC 7932): saves most.
    Br,
    /// Gzip (RFC 1952): known everywhere.
    Gzip,
}

impl Algorithm {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Zstd, Self::Br, Self::Gzip];

    /// Its name in `Accept-Encoding` and `Content-Encoding`.
    pub const fn token(self) -> &'static str {
        self.coding().token()
    }

    /// As one of those that fields name.
    pub(crate) const fn coding(self) -> Coding {
        match self {
            Self::Zstd => Coding::Zstd,
            Self::Br => Coding::Br,
            Self::Gzip => Coding::Gzip,
        }
    }

    /// By its name, in whatever case; `x-gzip` is an old one of gzip (RFC 9110 section 8.4.1.3).
    pub fn from_token(token: &[u8]) -> Option<Self> {
        let coding = Coding::from_token(token)?;
        Self::ALL.into_iter().find(|known| known.coding() == coding)
    }

    /// As the value of `Content-Encoding`.
    pub(crate) fn header_value(self) -> HeaderValue {
        HeaderValue::from_static(self.token())
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.token())
    }
}

#[cfg(test)]
mod tests {
    use super::Algorithm;

    #[test]
    fn names_are_found_in_any_case_and_the_old_name_of_gzip_too() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_token(algorithm.token().to_uppercase().as_bytes()), Some(algorithm));
        }
        assert_eq!(Algorithm::from_token(b"X-Gzip"), Some(Algorithm::Gzip));
        assert_eq!(Algorithm::from_token(b"deflate"), None);
    }
}
