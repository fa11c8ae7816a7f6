//! The name and the password that a request carries.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::credential::{Carried, authorization};
use crate::verdict::{Asking, Reason};

/// The longest name, in bytes.
pub(super) const LONGEST_NAME: usize = 255;
/// The longest name and password with the colon between.
const LONGEST: usize = LONGEST_NAME + 1 + crate::hashing::LONGEST;
/// What decoding needs: it writes three bytes for each four characters, the last of them perhaps not used.
const ROOM: usize = LONGEST + 3;

/// Padding is asked for by RFC 4648 section 4, and left out by some.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A name and a password, on the stack: a request with those that are remembered allocates nothing.
pub(super) struct Given {
    text: [u8; ROOM],
    length: usize,
    colon: usize,
}

impl Given {
    /// What `Authorization: Basic` has; `None` where there is none.
    pub(super) fn find(asking: &Asking<'_>) -> Result<Option<Self>, Reason> {
        match authorization(asking.head.headers, "basic") {
            Carried::Nothing => Ok(None),
            Carried::Several => Err(Reason::Ambiguous),
            Carried::Broken => Err(Reason::Malformed),
            Carried::One(text) => Self::decode(text).map(Some),
        }
    }

    fn decode(text: &str) -> Result<Self, Reason> {
        // Longer than anybody's: bcrypt would look at no more than the first 72 bytes of the password, so it is never
        // compared.
        if text.len() > LONGEST.div_ceil(3) * 4 {
            return Err(Reason::Unknown);
        }
        let mut given = Self { text: [0; ROOM], length: 0, colon: 0 };
        given.length = BASE64.decode_slice(text, &mut given.text).map_err(|_| Reason::Malformed)?;
        let text = std::str::from_utf8(given.text.get(..given.length).unwrap_or_default());
        let text = text.map_err(|_| Reason::Malformed)?;
        // Control characters have no place in either (RFC 7617 section 2).
        if text.chars().any(char::is_control) {
            return Err(Reason::Malformed);
        }
        given.colon = text.find(':').ok_or(Reason::Malformed)?;
        let longest = given.name().len() > LONGEST_NAME || given.password().len() > crate::hashing::LONGEST;
        if longest { Err(Reason::Unknown) } else { Ok(given) }
    }

    pub(super) fn name(&self) -> &str {
        self.part(0, self.colon)
    }

    /// All that follows the first colon.
    pub(super) fn password(&self) -> &str {
        self.part(self.colon + 1, self.length)
    }

    fn part(&self, begin: usize, end: usize) -> &str {
        // It was UTF-8 as a whole, and a colon begins no longer character.
        let text = self.text.get(begin..end).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }
}

/// A password is nothing to keep longer than it is needed.
impl Drop for Given {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.text);
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn read(text: &str) -> Result<(String, String), Reason> {
        Given::decode(text).map(|given| (given.name().to_owned(), given.password().to_owned()))
    }

    fn given(text: impl AsRef<[u8]>) -> Result<(String, String), Reason> {
        read(&STANDARD.encode(text))
    }

    #[test]
    fn a_name_ends_at_the_first_colon() {
        let pair = |name: &str, password: &str| Ok((name.to_owned(), password.to_owned()));
        // RFC 7617 sections 2 and 2.1.
        assert_eq!(read("QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), pair("Aladdin", "open sesame"));
        assert_eq!(read("dGVzdDoxMjPCow=="), pair("test", "123£"));
        assert_eq!(read("dGVzdDoxMjPCow"), pair("test", "123£"), "padding left out");
        assert_eq!(given("a:b:c"), pair("a", "b:c"));
        assert_eq!(given(":"), pair("", ""));
        let (name, password) = ("n".repeat(LONGEST_NAME), "p".repeat(72));
        assert_eq!(given(format!("{name}:{password}")), pair(&name, &password));
    }

    #[test]
    fn what_is_no_name_and_password_is_refused() {
        for text in ["", "QQ=", "Q===", "QWxh!", "QWxhZGRpbjpvcGVuIHNlc2FtZR=="] {
            assert_eq!(read(text), Err(Reason::Malformed), "{text}");
        }
        for text in [&b"no colon"[..], b"a:\xff", b"a:b\n", b"\0:b", b"a:b\x7f", "a:\u{85}".as_bytes()] {
            assert_eq!(given(text), Err(Reason::Malformed), "{text:?}");
        }
        assert_eq!(given(format!("a:{}", "p".repeat(73))), Err(Reason::Unknown), "never cut");
        assert_eq!(given(format!("{}:p", "n".repeat(256))), Err(Reason::Unknown));
        assert_eq!(given("p".repeat(10_000)), Err(Reason::Unknown));
    }
}
