//! What each unit of a file ends with: a checksum, or the tag of its encryption.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, hmac};
use xxhash_rust::xxh3::Xxh3;

/// How many bytes a unit has more than its content, in either way.
pub(super) const TAG: usize = 16;
/// How many bytes are drawn for each file, and for each of its later heads.
pub(crate) const SALT: usize = 16;

/// What files are encrypted with, if they are: the first key is for new ones.
#[derive(Default, Clone)]
pub(crate) struct Keys(Vec<Key>);

#[derive(Clone)]
struct Key {
    /// By which a file says that it was written with this one.
    name: [u8; 8],
    /// From which the keys of files are derived.
    root: hkdf::Prk,
}

impl Keys {
    /// The first is for new files. None: no encryption.
    pub(crate) fn new<'a>(keys: impl IntoIterator<Item = &'a [u8; 32]>) -> Self {
        Self(keys.into_iter().map(Key::new).collect())
    }

    pub(crate) fn are_some(&self) -> bool {
        !self.0.is_empty()
    }

    /// The name of the one for new files; nothing without encryption.
    pub(crate) fn name(&self) -> [u8; 8] {
        self.0.first().map_or([0; 8], |key| key.name)
    }

    /// For what was written with the key of this name. `None`: it isn't one of these.
    pub(crate) fn seal(&self, name: [u8; 8], salts: &[&[u8]]) -> Option<Seal> {
        if !self.are_some() {
            return (name == [0; 8]).then(|| Seal(How::Checked(salts.concat())));
        }
        let key = self.0.iter().find(|key| key.name == name)?;
        Some(Seal(How::Sealed(Box::new(key.derive(salts)?))))
    }
}

impl Key {
    fn new(bytes: &[u8; 32]) -> Self {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, bytes), b"tidegate cache: the name of a key");
        let mut name = [0; 8];
        // Never what stands for no key.
        name.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        name[0] |= 1;
        Self { name, root: hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, bytes) }
    }

    /// A key for one file: its unit numbers are nonces, which under one key for all would come twice (RFC 5869).
    fn derive(&self, salts: &[&[u8]]) -> Option<LessSafeKey> {
        let info = [&[b"tidegate cache: a file".as_slice()], salts].concat();
        let derived = self.root.expand(&info, &AES_256_GCM).ok()?;
        Some(LessSafeKey::new(UnboundKey::from(derived)))
    }
}

/// Closes and opens the units of one file.
pub(crate) struct Seal(How);

enum How {
    Checked(Vec<u8>),
    Sealed(Box<LessSafeKey>),
}

impl Seal {
    /// For what will never be written.
    pub(super) fn none() -> Self {
        Self(How::Checked(Vec::new()))
    }

    /// Closes what stands in `unit` from `from` on, with its number, together with what else it depends on. `None` if it
    /// can't be encrypted.
    pub(crate) fn close(&self, number: u64, about: &[u8], unit: &mut Vec<u8>, from: usize) -> Option<()> {
        match &self.0 {
            How::Checked(salt) => unit.extend_from_slice(&sum(salt, number, about, unit.get(from..)?)),
            How::Sealed(key) => {
                let content = unit.get_mut(from..)?;
                let tag = key.seal_in_place_separate_tag(nonce(number), Aad::from(about), content).ok()?;
                unit.extend_from_slice(tag.as_ref());
            }
        }
        Some(())
    }

    /// Opens it in its place; its content is all but the last [`TAG`] bytes. `None`: it isn't what was closed.
    pub(crate) fn open<'a>(&self, number: u64, about: &[u8], unit: &'a mut [u8]) -> Option<&'a mut [u8]> {
        match &self.0 {
            How::Checked(salt) => {
                let (content, tag) = unit.split_at_mut_checked(unit.len().checked_sub(TAG)?)?;
                (sum(salt, number, about, content) == *tag).then_some(content)
            }
            How::Sealed(key) => key.open_in_place(nonce(number), Aad::from(about), unit).ok(),
        }
    }
}

fn sum(salt: &[u8], number: u64, about: &[u8], content: &[u8]) -> [u8; TAG] {
    let mut hash = Xxh3::with_seed(number);
    hash.update(salt);
    hash.update(about);
    hash.update(content);
    hash.digest128().to_le_bytes()
}

fn nonce(number: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> [Keys; 2] {
        [Keys::default(), Keys::new([&[7; 32]])]
    }

    #[test]
    fn a_unit_opens_only_as_what_it_was_closed_as() {
        for keys in all() {
            let seal = |salt: &[u8]| keys.seal(keys.name(), &[salt]).expect("a key");
            let mut unit = b"begin content".to_vec();
            seal(&[1; 16]).close(3, b"about", &mut unit, 6).expect("closed");
            let open = |salt: &[u8], number, about: &[u8]| {
                let mut unit = unit[6..].to_vec();
                seal(salt).open(number, about, &mut unit).map(|content| content.to_vec())
            };
            assert_eq!(open(&[1; 16], 3, b"about").as_deref(), Some(b"content".as_slice()));
            assert_eq!(open(&[2; 16], 3, b"about"), None);
            assert_eq!(open(&[1; 16], 4, b"about"), None);
            assert_eq!(open(&[1; 16], 3, b"other"), None);
        }
    }

    #[test]
    fn what_was_written_with_one_key_is_not_for_another() {
        let (one, two) = (Keys::new([&[1; 32]]), Keys::new([&[2; 32]]));
        assert!(two.seal(one.name(), &[]).is_none());
        assert!(Keys::default().seal(one.name(), &[]).is_none());
        assert!(one.seal([0; 8], &[]).is_none());
        assert!(Keys::new([&[2; 32], &[1; 32]]).seal(one.name(), &[]).is_some());
    }
}
