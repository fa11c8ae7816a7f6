//! `Range` (RFC 9110 section 14.2), read.

use smallvec::SmallVec;

/// The most parts of one answer. A `Range` that asks for more is not heeded, which is always allowed.
pub const MOST: usize = 16;

/// Bytes from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte's position.
    pub first: u64,
    /// The last byte's position; not before `first`.
    pub last: u64,
}

impl ByteRange {
    /// How many bytes.
    pub fn length(self) -> u64 {
        self.last - self.first + 1
    }
}

/// What is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ranges {
    /// All of it: the field says nothing that we heed.
    Whole,
    /// These parts, in this order; at least one, and no byte twice.
    Parts(SmallVec<[ByteRange; 1]>),
    /// No byte that it asks for is there: 416.
    Unsatisfiable,
}

/// What a `Range` field asks for, where there are `length` bytes.
///
/// Not heeded are other units than bytes, what is not well formed, more than [`MOST`] ranges, and ranges that overlap:
/// these only cost us, and no client has a use for them (RFC 9110 section 17.15). Nothing is unsatisfiable of an empty
/// file, for which there is no other answer than all of it.
pub fn ranges(field: &str, length: u64) -> Ranges {
    let Some(set) = of_bytes(field).filter(|_| length > 0) else { return Ranges::Whole };
    let (mut parts, mut specs) = (SmallVec::new(), 0);
    // Empty elements are for recipients to skip (RFC 9110 section 5.6.1.2).
    for spec in set.split(',').map(|spec| spec.trim_matches([' ', '\t'])).filter(|spec| !spec.is_empty()) {
        specs += 1;
        match Spec::read(spec) {
            Some(_) if specs > MOST => return Ranges::Whole,
            Some(spec) => parts.extend(spec.of(length)),
            None => return Ranges::Whole,
        }
    }
    match parts.is_empty() {
        true if specs == 0 => Ranges::Whole,
        true => Ranges::Unsatisfiable,
        false if overlap(&parts) => Ranges::Whole,
        false => Ranges::Parts(parts),
    }
}

/// What follows `bytes=`; the unit's name ignores case (RFC 9110 section 14.1).
fn of_bytes(field: &str) -> Option<&str> {
    let (unit, set) = field.split_once('=')?;
    unit.eq_ignore_ascii_case("bytes").then_some(set)
}

#[derive(Debug, Clone, Copy)]
enum Spec {
    From(u64),
    Between(u64, u64),
    Last(u64),
}

impl Spec {
    fn read(spec: &str) -> Option<Self> {
        match spec.split_once('-')? {
            ("", count) => number(count).map(Spec::Last),
            (first, "") => number(first).map(Spec::From),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Spec::Between(first, last))
            }
        }
    }

    /// What is there of it.
    fn of(self, length: u64) -> Option<ByteRange> {
        let end = length.checked_sub(1)?;
        let (first, last) = match self {
            Spec::From(first) => (first, end),
            Spec::Between(first, last) => (first, last.min(end)),
            Spec::Last(0) => return None,
            Spec::Last(count) => (length.saturating_sub(count), end),
        };
        (first <= end).then_some(ByteRange { first, last })
    }
}

/// A number too large for us is beyond the end of everything.
fn number(digits: &str) -> Option<u64> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    if digits.is_empty() {
        return None;
    }
    digits.bytes().try_fold(0u64, |number, byte| Some(number.saturating_mul(10).saturating_add(digit(byte)?)))
}

fn overlap(parts: &[ByteRange]) -> bool {
    let mut sorted: SmallVec<[ByteRange; MOST]> = parts.into();
    sorted.sort_unstable_by_key(|part| part.first);
    sorted.windows(2).any(|pair| matches!(pair, [one, next] if next.first <= one.last))
}

#[cfg(test)]
#[path = "ranges_tests.rs"]
mod tests;
