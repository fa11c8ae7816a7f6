//! Refresh tokens: which session, which generation, and that we said so.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use crate::id::Id;
use crate::keys::{KeyRing, NoKeys};

/// A refresh token, read. What is kept of it is in the session: the token of a generation is computed, whenever it is
/// asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RefreshToken {
    pub(super) session: Id,
    pub(super) generation: u32,
}

const NAMED: usize = 16 + 4;
const WHOLE: usize = NAMED + 32;

impl RefreshToken {
    /// As the client gets it.
    pub(super) fn text(self, keys: &KeyRing) -> Result<String, NoKeys> {
        let named = self.named();
        let mac = keys.mac("refresh", &named)?;
        Ok(BASE64.encode([&named[..], &mac].concat()))
    }

    /// Reads one; `None` for what this service did not make. Asks no store: who makes tokens up causes no reads.
    pub(super) fn read(text: &str, keys: &KeyRing) -> Result<Option<Self>, NoKeys> {
        let mut bytes = [0; WHOLE + 2];
        // Of one length alone, so that there is one text of each token.
        let Ok(WHOLE) = BASE64.decode_slice(text, &mut bytes) else { return Ok(None) };
        let (named, mac) = bytes[..WHOLE].split_at(NAMED);
        let right = keys.mac("refresh", named)?;
        if verify_slices_are_equal(mac, &right).is_err() {
            return Ok(None);
        }
        let (session, generation) = named.split_at(16);
        let parts = session.try_into().ok().zip(generation.try_into().ok());
        Ok(parts.map(|(session, generation)| Self { session: Id(session), generation: u32::from_be_bytes(generation) }))
    }

    fn named(self) -> [u8; NAMED] {
        let mut named = [0; NAMED];
        named[..16].copy_from_slice(&self.session.0);
        named[16..].copy_from_slice(&self.generation.to_be_bytes());
        named
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_is_read_as_it_was_written_and_nothing_else_is_one(
            session in any::<[u8; 16]>(), generation in any::<u32>(), at in 0..70_usize, other in "[A-Za-z0-9_=.-]",
            made_up in "\\PC{0,100}"
        ) {
            let keys = KeyRing::of_a_test();
            let token = RefreshToken { session: Id(session), generation };
            let text = token.text(&keys).expect("there are keys");
            prop_assert_eq!(RefreshToken::read(&text, &keys), Ok(Some(token)));
            let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            prop_assert_eq!(RefreshToken::read(&changed, &keys), Ok((changed == text).then_some(token)));
            prop_assert_eq!(RefreshToken::read(&made_up, &keys), Ok(None));
            prop_assert_eq!(RefreshToken::read(&text, &KeyRing::of_a_test()), Ok(None), "other keys");
        }
    }
}
