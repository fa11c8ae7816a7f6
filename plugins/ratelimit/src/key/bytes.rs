//! A key's bytes: parts one after the other, each of which says how long it is.
//!
//! A part is its kind, then for kinds with names the name's length and the name, then the value's length and the
//! value. A value too long for that is there by its SHA-256, which the kind's highest bit says. So no two lists of
//! parts have the same bytes: a client can not put into one value what looks like two.

use std::net::IpAddr;

use sha2::{Digest, Sha256};

use super::{Key, KeyBytes};
use crate::config::ClientPrefix;

/// What a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Client4 = 1,
    Client6 = 2,
    /// Who proved the identity, ahead of the identity itself: two providers may both know a user `1`.
    Provider = 3,
    Subject = 4,
    ApiKey = 5,
    Header = 6,
    Cookie = 7,
    Query = 8,
    Param = 9,
    Claim = 10,
    /// A claim that is no text: the number 1 and the text "1" are different claims.
    ClaimJson = 11,
    Route = 12,
    Host = 13,
    Country = 14,
}

/// This kind's value is there by its SHA-256.
const HASHED: u8 = 0x80;
/// A key of many long parts, by its SHA-256 as a whole.
pub(super) const WHOLE: u8 = 0xff;
/// The longest value that is there as it is. More than a UUID, a host or an API key, less than a token.
const LONGEST_VALUE: usize = 128;
/// The bytes of a SHA-256.
pub(super) const DIGEST: usize = 32;

impl Kind {
    const ALL: [Self; 14] = [
        Self::Client4,
        Self::Client6,
        Self::Provider,
        Self::Subject,
        Self::ApiKey,
        Self::Header,
        Self::Cookie,
        Self::Query,
        Self::Param,
        Self::Claim,
        Self::ClaimJson,
        Self::Route,
        Self::Host,
        Self::Country,
    ];

    fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }

    fn has_name(self) -> bool {
        matches!(self, Self::Header | Self::Cookie | Self::Query | Self::Param | Self::Claim | Self::ClaimJson)
    }
}

/// Puts a key together.
#[derive(Debug, Default)]
pub(crate) struct Builder(KeyBytes);

impl Builder {
    /// One more part. A name is at most 255 bytes: the configuration sees to it.
    pub(super) fn part(&mut self, kind: Kind, name: &str, value: &[u8]) {
        let hashed = value.len() > LONGEST_VALUE;
        self.0.push(kind as u8 | if hashed { HASHED } else { 0 });
        if kind.has_name() {
            debug_assert!(name.len() <= 255, "the configuration refuses longer names");
            self.sized(name.as_bytes());
        }
        match hashed {
            true => self.sized(&Sha256::digest(value)),
            false => self.sized(value),
        }
    }

    /// A client's address, as much of it as counts.
    pub(crate) fn client(&mut self, client: IpAddr, prefix: ClientPrefix) {
        // With the prefix in front: the network 10.0.0.0/24 and the address 10.0.0.0 are not the same.
        match client.to_canonical() {
            IpAddr::V4(ip) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix.ipv4.min(32))).unwrap_or(0);
                let [a, b, c, d] = (u32::from(ip) & mask).to_be_bytes();
                self.part(Kind::Client4, "", &[prefix.ipv4, a, b, c, d]);
            }
            IpAddr::V6(ip) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix.ipv6.min(128))).unwrap_or(0);
                let mut value = [prefix.ipv6; 17];
                value[1..].copy_from_slice(&(u128::from(ip) & mask).to_be_bytes());
                self.part(Kind::Client6, "", &value);
            }
        }
    }

    /// Forgets all parts.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The key of one limit for all these parts.
    pub(crate) fn finish(self, limit: u64) -> Key {
        if self.0.len() <= Key::LONGEST {
            return Key { limit, bytes: self.0 };
        }
        let mut bytes = KeyBytes::new();
        bytes.push(WHOLE);
        bytes.extend_from_slice(&Sha256::digest(&self.0));
        Key { limit, bytes }
    }

    fn sized(&mut self, bytes: &[u8]) {
        self.0.push(bytes.len() as u8);
        self.0.extend_from_slice(bytes);
    }
}

/// A part of a key, read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub(super) kind: Kind,
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
    pub(super) hashed: bool,
}

/// The parts of a key. Ends early where the bytes are none that [`Builder`] makes.
pub(super) fn parts(mut bytes: &[u8]) -> impl Iterator<Item = Part<'_>> {
    std::iter::from_fn(move || {
        let (first, rest) = bytes.split_first()?;
        let (kind, hashed) = (Kind::of(first & !HASHED)?, first & HASHED != 0);
        let (name, rest) = if kind.has_name() { unsized_from(rest)? } else { (&[][..], rest) };
        let (value, rest) = unsized_from(rest)?;
        bytes = rest;
        Some(Part { kind, name, value, hashed })
    })
}

fn unsized_from(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}
