//! Which algorithms there are, and sets of them.

use crate::config::Algorithm;

/// All of them, in the order of their bits.
const ALL: [Algorithm; 13] = [
    Algorithm::HS256,
    Algorithm::HS384,
    Algorithm::HS512,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::ES512,
    Algorithm::EdDSA,
];

impl Algorithm {
    /// As `alg` has it (RFC 7518 section 3.1, RFC 8037 section 3.1), in just this spelling.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Algorithm::HS256 => "HS256",
            Algorithm::HS384 => "HS384",
            Algorithm::HS512 => "HS512",
            Algorithm::RS256 => "RS256",
            Algorithm::RS384 => "RS384",
            Algorithm::RS512 => "RS512",
            Algorithm::PS256 => "PS256",
            Algorithm::PS384 => "PS384",
            Algorithm::PS512 => "PS512",
            Algorithm::ES256 => "ES256",
            Algorithm::ES384 => "ES384",
            Algorithm::ES512 => "ES512",
            Algorithm::EdDSA => "EdDSA",
        }
    }

    /// Reads [`Algorithm::as_str`], and the newer name of EdDSA with this curve (RFC 9864 section 2.2). `none` is none
    /// of them, in whatever spelling.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "Ed25519" => Some(Algorithm::EdDSA),
            _ => ALL.into_iter().find(|algorithm| algorithm.as_str() == text),
        }
    }

    /// How long its hash is, in bytes, which is how long a shared secret must be (RFC 7518 section 3.2); `None` for
    /// those without a shared secret.
    pub(super) fn secret_length(self) -> Option<usize> {
        match self {
            Algorithm::HS256 => Some(32),
            Algorithm::HS384 => Some(48),
            Algorithm::HS512 => Some(64),
            _ => None,
        }
    }

    /// The same for the library that checks signatures; `None` for what it doesn't know.
    pub(super) fn of_library(self) -> Option<jsonwebtoken::Algorithm> {
        use jsonwebtoken::Algorithm as Theirs;
        Some(match self {
            Algorithm::HS256 => Theirs::HS256,
            Algorithm::HS384 => Theirs::HS384,
            Algorithm::HS512 => Theirs::HS512,
            Algorithm::RS256 => Theirs::RS256,
            Algorithm::RS384 => Theirs::RS384,
            Algorithm::RS512 => Theirs::RS512,
            Algorithm::PS256 => Theirs::PS256,
            Algorithm::PS384 => Theirs::PS384,
            Algorithm::PS512 => Theirs::PS512,
            Algorithm::ES256 => Theirs::ES256,
            Algorithm::ES384 => Theirs::ES384,
            Algorithm::ES512 => return None,
            Algorithm::EdDSA => Theirs::EdDSA,
        })
    }
}

/// A set of algorithms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Algorithms(u16);

impl Algorithms {
    pub(super) const ALL: Self = Self((1 << ALL.len()) - 1);
    /// Those with a shared secret.
    pub(super) const HMAC: Self = Self(0b111);
    pub(super) const RSA: Self = Self(0b1_1111_1000);
    pub(super) const P256: Self = Self(1 << Algorithm::ES256 as u16);
    pub(super) const P384: Self = Self(1 << Algorithm::ES384 as u16);
    pub(super) const P521: Self = Self(1 << Algorithm::ES512 as u16);
    pub(super) const ED25519: Self = Self(1 << Algorithm::EdDSA as u16);

    pub(super) fn has(self, algorithm: Algorithm) -> bool {
        self.0 & 1 << algorithm as u16 != 0
    }

    /// Those in both.
    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those in this, and not in the other.
    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Algorithm> {
        ALL.into_iter().filter(move |algorithm| self.has(*algorithm))
    }

    /// For hashes.
    pub(super) fn bits(self) -> u16 {
        self.0
    }
}

impl FromIterator<Algorithm> for Algorithms {
    fn from_iter<I: IntoIterator<Item = Algorithm>>(algorithms: I) -> Self {
        Self(algorithms.into_iter().fold(0, |bits, algorithm| bits | 1 << algorithm as u16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_one_spelling_and_its_own_bit() {
        for (bit, algorithm) in ALL.into_iter().enumerate() {
            assert_eq!(algorithm as usize, bit);
            assert_eq!(Algorithm::parse(algorithm.as_str()), Some(algorithm));
            assert_eq!(Algorithm::parse(&algorithm.as_str().to_lowercase()), None);
            let theirs = algorithm.of_library().map(|theirs| format!("{theirs:?}"));
            assert!(theirs.is_none_or(|theirs| theirs == algorithm.as_str()));
            assert_eq!(algorithm.secret_length().is_some(), Algorithms::HMAC.has(algorithm));
            assert_eq!(Algorithms::RSA.has(algorithm), matches!(&algorithm.as_str()[..2], "RS" | "PS"));
        }
        for bad in ["none", "None", "NONE", "nOnE", "", "HS256 ", " HS256", "ES521", "ES256K", "RS1", "HS256\0"] {
            assert_eq!(Algorithm::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_set_has_what_was_put_into_it() {
        let set: Algorithms = [Algorithm::HS256, Algorithm::ES256, Algorithm::HS256].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [Algorithm::HS256, Algorithm::ES256]);
        assert_eq!(set.and(Algorithms::P256).iter().collect::<Vec<_>>(), [Algorithm::ES256]);
        assert_eq!(set.without(Algorithms::HMAC), Algorithms::P256);
        assert!(set.and(Algorithms::RSA).is_empty());
        assert_eq!(Algorithms::ALL.iter().count(), ALL.len());
    }
}
