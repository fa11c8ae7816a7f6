//! So many of something in so much time: `100/15m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration as Std;

use super::{Duration, Unit, UnitError, leading_number, shown, unit_impls};

/// So many of something in a time: `100/15m`, `10/s`. Neither is ever zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    amount: u64,
    per: Std,
}

impl Rate {
    /// `amount` in each `per`; `None` if either is zero.
    pub fn new(amount: u64, per: Std) -> Option<Self> {
        (amount > 0 && !per.is_zero()).then_some(Self { amount, per })
    }

    /// How many. At least 1.
    pub const fn amount(self) -> u64 {
        self.amount
    }

    /// In what time. Never zero.
    pub const fn per(self) -> Std {
        self.per
    }
}

impl Unit for Rate {
    const KIND: &'static str = "a rate";

    fn with_unit(n: &str) -> String {
        format!("write a time: {n}/s or {n}/15m")
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let refused =
            |why: &str| UnitError::new(format!("{} is not a rate: {why}", shown(text)), "write it as 10/s or 100/15m");
        let Some((amount, per)) = text.split_once('/') else {
            return Err(match leading_number(text) {
                (Some(n), "") => {
                    UnitError::new(format!("{} has no time", shown(text)), Self::with_unit(&n.to_string()))
                }
                _ => refused("expected an amount, a slash and a time"),
            });
        };
        let (Some(amount), "") = leading_number(amount) else {
            return Err(refused("the amount is not a whole number that fits 64 bits"));
        };
        let per = if per.starts_with(|c: char| c.is_ascii_digit()) { per.to_owned() } else { format!("1{per}") };
        let per = per.parse::<Duration>().map_err(|_| refused("what follows the slash is not a time"))?;
        Self::new(amount, per.get()).ok_or_else(|| refused("it is zero"))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = Duration::from(self.per).to_string();
        // `10/1s` is written `10/s`, but `10/1m30s` keeps its 1.
        let single = per.strip_prefix('1').filter(|unit| !unit.contains(|c: char| c.is_ascii_digit()));
        write!(f, "{}/{}", self.amount, single.unwrap_or(&per))
    }
}

unit_impls!(
    Rate,
    "a rate",
    "^[0-9]*[1-9][0-9]*/(ns|us|ms|s|m|h|d|(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?([0-9]+us)?([0-9]+ns)?)$",
    ["10/s", "100/15m", "1000/h"],
    "So many in a time: `10/s`, `100/15m`."
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rates_are_read() {
        assert_eq!("100/15m".parse(), Ok(Rate { amount: 100, per: Std::from_secs(900) }));
        assert_eq!("10/s".parse(), Ok(Rate { amount: 10, per: Std::from_secs(1) }));
        assert_eq!("5/1m30s".parse(), Ok(Rate { amount: 5, per: Std::from_secs(90) }));
        for text in ["", "/", "10", "10/", "/s", "0/s", "10/0s", "-1/s", "1.5/s", "10/15", "1/s/s", "10/sm", "10 / s"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    #[test]
    fn zero_and_too_much_are_refused() {
        assert_eq!("0/s".parse::<Rate>().unwrap_err().message, "`0/s` is not a rate: it is zero");
        assert!("18446744073709551616/s".parse::<Rate>().is_err());
        assert!("1/18446744073709551615d".parse::<Rate>().is_err());
        assert_eq!(Rate::new(0, Std::from_secs(1)), None);
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(amount in 1..=u64::MAX, nanos in 1..=u64::MAX) {
            let rate = Rate::new(amount, Std::from_nanos(nanos)).unwrap();
            prop_assert_eq!(rate.to_string().parse::<Rate>(), Ok(rate));
        }
    }
}
