//! An amount of data: `64KiB`, `10MiB`.

use std::fmt;
use std::str::FromStr;

use super::{Unit, UnitError, leading_number, shown, unit_impls};

/// An amount of data, written with its unit: `512B`, `64KiB`, `10MiB`, `1GiB`; `16KB` is 16,000 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

/// Each unit and its bytes; those that are shown come first, the largest first.
const UNITS: [(&str, u64); 10] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("kB", 1_000),
    ("B", 1),
];

impl ByteSize {
    /// So many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many KiB, or as many bytes as fit 64 bits.
    pub const fn kib(kib: u64) -> Self {
        Self(kib.saturating_mul(1 << 10))
    }

    /// So many MiB, or as many bytes as fit 64 bits.
    pub const fn mib(mib: u64) -> Self {
        Self(mib.saturating_mul(1 << 20))
    }

    /// So many GiB, or as many bytes as fit 64 bits.
    pub const fn gib(gib: u64) -> Self {
        Self(gib.saturating_mul(1 << 30))
    }

    /// The amount in bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The amount in bytes, as a length in memory.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Unit for ByteSize {
    const KIND: &'static str = "a size";

    fn with_unit(n: &str) -> String {
        format!("write a unit: {n}B or {n}KiB")
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let refused = |why: &str| {
            let message = format!("{} is not a size: {why}", shown(text));
            UnitError::new(message, "write it as 512B, 64KiB, 10MiB or 1GiB")
        };
        let (Some(amount), unit) = leading_number(text) else {
            return Err(refused("expected a whole number before the unit"));
        };
        if unit.is_empty() {
            return Err(UnitError::new(format!("{} has no unit", shown(text)), Self::with_unit(text)));
        }
        let Some((_, bytes)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(refused(&format!("unknown unit {}", shown(unit))));
        };
        amount.checked_mul(*bytes).map(Self).ok_or_else(|| refused("it does not fit 64 bits"))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |bytes: u64| self.0 != 0 && self.0.is_multiple_of(bytes);
        let (name, bytes) = UNITS[..4].iter().find(|(_, bytes)| whole(*bytes)).unwrap_or(&("B", 1));
        write!(f, "{}{name}", self.0 / bytes)
    }
}

unit_impls!(
    ByteSize,
    "a size",
    "^[0-9]+([KMGT]i?B|kB|B)$",
    ["512B", "64KiB", "10MiB", "1GiB"],
    "An amount of data with its unit: `512B`, `64KiB`, `10MiB`, `1GiB`; `KB` is 1,000 bytes, `KiB` 1,024."
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<u64> {
        text.parse().ok().map(ByteSize::bytes)
    }

    #[test]
    fn each_unit_is_read() {
        assert_eq!(read("512B"), Some(512));
        assert_eq!(read("16KB"), Some(16_000));
        assert_eq!(read("64KiB"), Some(65_536));
        assert_eq!(read("10MiB"), Some(10 << 20));
        assert_eq!(read("1GiB"), Some(1 << 30));
        assert_eq!(read("2TB"), Some(2_000_000_000_000));
    }

    #[test]
    fn what_is_not_a_size_is_refused() {
        for text in ["", "B", "10", "1.5GiB", "10 MiB", "-1B", "10mib", "10Mi", "99999999999TiB", "1B1B"] {
            assert_eq!(read(text), None, "{text}");
        }
        let error = "10".parse::<ByteSize>().unwrap_err();
        assert_eq!((&*error.message, &*error.help), ("`10` has no unit", "write a unit: 10B or 10KiB"));
    }

    #[test]
    fn it_is_shown_in_the_largest_unit_that_is_whole() {
        assert_eq!(ByteSize::new(0).to_string(), "0B");
        assert_eq!(ByteSize::new(1000).to_string(), "1000B");
        assert_eq!(ByteSize::new(65_536).to_string(), "64KiB");
        assert_eq!(ByteSize::gib(3).to_string(), "3GiB");
        assert_eq!(ByteSize::gib(u64::MAX).bytes(), u64::MAX);
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(bytes in any::<u64>()) {
            prop_assert_eq!(read(&ByteSize::new(bytes).to_string()), Some(bytes));
        }
    }
}
