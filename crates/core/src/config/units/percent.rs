//! A share: `50%`, `0.5%`.

use std::fmt;
use std::str::FromStr;

use super::{Unit, UnitError, leading_number, shown, unit_impls};

/// A share of a whole, from `0%` to `100%`, with at most two decimals: `12.5%`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u16);

impl Percent {
    /// So many percent; more than 100 is 100.
    pub const fn new(percent: u8) -> Self {
        Self(if percent > 100 { 10_000 } else { percent as u16 * 100 })
    }

    /// The share in hundredths of a percent: 0 to 10,000.
    pub const fn basis_points(self) -> u16 {
        self.0
    }

    /// The share as a number from 0 to 1.
    pub fn as_fraction(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }

    /// This share of `whole`, rounded down.
    pub fn of(self, whole: u64) -> u64 {
        let share = u128::from(whole) * u128::from(self.0) / 10_000;
        // Never more than `whole`, so it fits.
        u64::try_from(share).unwrap_or(whole)
    }
}

impl Unit for Percent {
    const KIND: &'static str = "a percentage";

    fn with_unit(n: &str) -> String {
        format!("write a unit: {n}%")
    }
}

impl FromStr for Percent {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let refused = |why: &str| {
            UnitError::new(format!("{} is not a percentage: {why}", shown(text)), "write it as 50% or 0.5%")
        };
        let Some(number) = text.strip_suffix('%') else {
            return Err(match leading_number(text) {
                (Some(n), "") => {
                    UnitError::new(format!("{} has no unit", shown(text)), Self::with_unit(&n.to_string()))
                }
                _ => refused("it does not end in %"),
            });
        };
        let (whole, hundredths) = match leading_number(number) {
            (Some(whole), "") => (whole, 0),
            (Some(whole), rest) => (whole, hundredths(rest).ok_or_else(|| refused("at most two decimals"))?),
            (None, _) => return Err(refused("expected a number before the %")),
        };
        let points = whole.checked_mul(100).and_then(|points| points.checked_add(hundredths));
        match points.map(u16::try_from) {
            Some(Ok(points)) if points <= 10_000 => Ok(Self(points)),
            _ => Err(refused("it is more than 100%")),
        }
    }
}

/// `.5` is 50 hundredths, `.05` is 5.
fn hundredths(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('.')?;
    match (digits.len(), leading_number(digits)) {
        (1, (Some(tenths), "")) => Some(tenths * 10),
        (2, (Some(hundredths), "")) => Some(hundredths),
        _ => None,
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole}%"),
            (whole, part) if part % 10 == 0 => write!(f, "{whole}.{}%", part / 10),
            (whole, part) => write!(f, "{whole}.{part:02}%"),
        }
    }
}

unit_impls!(
    Percent,
    "a percentage",
    "^(100(\\.00?)?|[0-9]{1,2}(\\.[0-9]{1,2})?)%$",
    ["50%", "12.5%"],
    "A share from `0%` to `100%`, with at most two decimals: `12.5%`."
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shares_are_read() {
        let points = |text: &str| text.parse().map(Percent::basis_points);
        assert_eq!(points("50%"), Ok(5000));
        assert_eq!(points("12.5%"), Ok(1250));
        assert_eq!(points("0.05%"), Ok(5));
        assert_eq!(points("100%"), Ok(10_000));
        for text in ["", "%", "50", "0.5", "101%", "100.01%", "-1%", "1.234%", "1.%", "50 %", "1e1%"] {
            assert!(points(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_share_of_the_largest_number_does_not_overflow() {
        assert_eq!(Percent::new(100).of(u64::MAX), u64::MAX);
        assert_eq!(Percent::new(50).of(7), 3);
        assert_eq!(Percent::new(200), Percent::new(100));
        assert!((Percent::new(25).as_fraction() - 0.25).abs() < f64::EPSILON);
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(points in 0_u16..=10_000) {
            prop_assert_eq!(Percent(points).to_string().parse::<Percent>(), Ok(Percent(points)));
        }
    }
}
