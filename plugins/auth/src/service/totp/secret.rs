//! What the device and the gateways share.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use crate::id::{Id, fill_random};
use crate::keys::{KeyRing, NoKeys};

/// As long as SHA-1's output (RFC 4226 section 4, R6).
const LENGTH: usize = 20;
/// For which the gateways' key signs.
const PURPOSE: &str = "totp";
/// RFC 3986 section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// From which, with the gateways' key, the secret is computed.
pub(super) struct Seed(Vec<u8>);

/// The secret itself.
pub(super) struct Secret(Zeroizing<[u8; LENGTH]>);

impl Seed {
    pub(super) fn random() -> Self {
        let mut seed = vec![0; 16];
        fill_random(&mut seed);
        Self(seed)
    }

    /// As it is in the store.
    pub(super) fn read(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.0.clone()
    }

    /// Of this user: a seed that was moved to somebody else's account is none of theirs.
    pub(super) fn secret(&self, user: Id, keys: &KeyRing) -> Result<Secret, NoKeys> {
        let mac = Zeroizing::new(keys.mac(PURPOSE, &[&user.0, &*self.0].concat())?);
        let mut secret = Zeroizing::new([0; LENGTH]);
        secret.copy_from_slice(&mac[..LENGTH]);
        Ok(Secret(secret))
    }
}

impl std::ops::Deref for Secret {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &*self.0
    }
}

impl Secret {
    /// As people type it (RFC 4648 section 6); 160 bits need no padding.
    pub(super) fn base32(&self) -> String {
        base32(&*self.0)
    }
}

fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
    let digit = |nth: usize| (0..5).fold(0, |digit, at| digit << 1 | bit(nth * 5 + at));
    (0..(bytes.len() * 8).div_ceil(5)).map(|nth| char::from(ALPHABET[usize::from(digit(nth))])).collect()
}

/// What an app reads from a picture ("Key URI Format" of Google Authenticator).
pub(super) fn uri(secret: &Secret, issuer: &str, name: &str) -> String {
    let encoded = |text| utf8_percent_encode(text, RESERVED);
    let (issuer, name, secret) = (encoded(issuer), encoded(name), secret.base32());
    format!("otpauth://totp/{issuer}:{name}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits=6&period=30")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648, section 10, without padding.
    #[test]
    fn base32_is_that_of_the_rfc() {
        for (bytes, text) in
            [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("foobar", "MZXW6YTBOI")]
        {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn apps_are_told_all_they_need() {
        let secret = Secret(Zeroizing::new(*b"12345678901234567890"));
        assert_eq!(
            uri(&secret, "Example Ltd", "jane@example.com"),
            "otpauth://totp/Example%20Ltd:jane%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Example%20Ltd\
             &algorithm=SHA1&digits=6&period=30"
        );
    }
}
