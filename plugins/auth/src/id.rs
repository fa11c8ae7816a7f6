//! Ids of things: 16 random bytes, or 16 bytes of a hash.

use std::fmt;

/// 128 bits that name a user, a session or a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id(pub(crate) [u8; 16]);

/// Milliseconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Millis(pub(crate) u64);

impl Id {
    /// As text: 32 hexadecimal digits, in lower case.
    pub(crate) fn text(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }

    /// Reads [`Id::text`]; nothing else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        digits.then(|| u128::from_str_radix(text, 16).ok())?.map(|id| Self(id.to_be_bytes()))
    }

    /// A new one, that nobody can guess.
    pub(crate) fn random() -> Self {
        let mut bytes = [0; 16];
        fill_random(&mut bytes);
        Self(bytes)
    }

    /// Of these parts, each with its length, so that no two lists of parts meet: the first half of SHA-256.
    pub(crate) fn hash(parts: &[&[u8]]) -> Self {
        use sha2::{Digest, Sha256};
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        let mut id = [0; 16];
        id.copy_from_slice(&hasher.finalize()[..16]);
        Self(id)
    }
}

/// Fills `bytes` with what nobody can guess.
pub(crate) fn fill_random(bytes: &mut [u8]) {
    // It fails where the system has no source of randomness: nothing can be trusted there.
    aws_lc_rs::rand::fill(bytes).expect("the system has randomness");
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl Millis {
    /// Of a time of day; 0 before 1970.
    pub(crate) fn of(time: std::time::SystemTime) -> Self {
        let since = time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// So much later.
    pub(crate) fn plus(self, by: std::time::Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long from `earlier` to this; zero if it isn't later.
    pub(crate) fn since(self, earlier: Self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// In whole seconds, as tokens have it (RFC 7519 section 2, NumericDate).
    pub(crate) fn seconds(self) -> u64 {
        self.0 / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_was_written_and_in_no_other_way() {
        let id = Id::random();
        assert_eq!(Id::parse(&id.text()), Some(id));
        for bad in ["", "0", &id.text().to_uppercase().replace(|c: char| c.is_ascii_digit(), "A"), &"g".repeat(32)] {
            assert_eq!(Id::parse(bad), None, "{bad}");
        }
        assert_ne!(Id::hash(&[b"ab", b"c"]), Id::hash(&[b"a", b"bc"]));
    }
}
