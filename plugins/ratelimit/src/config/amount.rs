//! How much: so many in a day, week or month, or a rate.

use std::fmt;
use std::str::FromStr;

use tidegate_core::config::{Rate, UnitError};

use super::text::{shown, text_impls, unreadable};

/// So many in each day, week or month of the calendar: `10000/month`. Neither is ever zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    amount: u64,
    per: Period,
}

/// A span of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From Monday on (ISO 8601).
    Week,
    /// From the first on.
    Month,
}

impl Period {
    const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

impl Quota {
    /// How many. At least 1.
    pub fn amount(self) -> u64 {
        self.amount
    }

    /// In what span.
    pub fn per(self) -> Period {
        self.per
    }
}

impl FromStr for Quota {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let help = "write it as 1000/day, 5000/week or 10000/month";
        let refused = |why: &str| unreadable(format!("{} is not a quota: {why}", shown(text)), help);
        let (amount, per) = text.split_once('/').ok_or_else(|| refused("expected an amount, a slash and a span"))?;
        let Some(per) = Period::ALL.into_iter().find(|period| period.as_str() == per) else {
            return Err(match text.parse::<Rate>() {
                Ok(_) => unreadable(
                    format!("{} is a rate, not a quota", shown(text)),
                    format!("write rate: {text}, or a quota of the calendar: {amount}/day, /week or /month"),
                ),
                Err(_) => refused("the span is day, week or month"),
            });
        };
        let digits = !amount.is_empty() && amount.bytes().all(|b| b.is_ascii_digit());
        match amount.parse() {
            Ok(0) => Err(refused("it is zero")),
            Ok(amount) if digits => Ok(Self { amount, per }),
            _ => Err(refused("the amount is not a whole number that fits 64 bits")),
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.amount, self.per.as_str())
    }
}

text_impls!(
    Quota,
    "Quota",
    "a quota",
    ["1000/day", "5000/week", "10000/month"],
    "So many in each day, week (from Monday) or month of the calendar: `10000/month`."
);

/// What a plan gives: a rate, or a quota of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// `10/m`
    Rate(Rate),
    /// `10000/month`
    Quota(Quota),
}

impl FromStr for Amount {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let of_the_calendar = Period::ALL.iter().any(|period| text.ends_with(period.as_str()));
        if of_the_calendar { text.parse().map(Self::Quota) } else { text.parse().map(Self::Rate) }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate(rate) => rate.fmt(f),
            Self::Quota(quota) => quota.fmt(f),
        }
    }
}

text_impls!(
    Amount,
    "RateOrQuota",
    "a rate or a quota",
    ["10/m", "1000/15m", "10000/month"],
    "So many in a time (`10/m`), or in each day, week or month of the calendar (`10000/month`)."
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(text: &str) -> String {
        text.parse::<Quota>().expect_err(text).to_string()
    }

    #[test]
    fn quotas_are_read() {
        assert_eq!("10000/month".parse(), Ok(Quota { amount: 10_000, per: Period::Month }));
        assert_eq!("1/day".parse(), Ok(Quota { amount: 1, per: Period::Day }));
        assert_eq!("18446744073709551615/week".parse(), Ok(Quota { amount: u64::MAX, per: Period::Week }));
    }

    #[test]
    fn what_is_no_quota_is_refused_with_its_remedy() {
        let help = "help: write it as 1000/day, 5000/week or 10000/month";
        assert_eq!(refused("0/day"), format!("`0/day` is not a quota: it is zero\n{help}"));
        assert_eq!(refused("7"), format!("`7` is not a quota: expected an amount, a slash and a span\n{help}"));
        assert_eq!(refused("7/year"), format!("`7/year` is not a quota: the span is day, week or month\n{help}"));
        for text in ["-1/day", "+1/day", "1.5/day", " 1/day", "/day", "18446744073709551616/day"] {
            let why = "the amount is not a whole number that fits 64 bits";
            assert_eq!(refused(text), format!("`{text}` is not a quota: {why}\n{help}"));
        }
        assert_eq!(
            refused("100/15m"),
            "`100/15m` is a rate, not a quota\n\
             help: write rate: 100/15m, or a quota of the calendar: 100/day, /week or /month"
        );
    }

    #[test]
    fn a_plan_has_a_rate_or_a_quota() {
        assert!(matches!("10/m".parse(), Ok(Amount::Rate(_))));
        assert!(matches!("10/month".parse(), Ok(Amount::Quota(_))));
        assert!("10/d".parse::<Amount>().is_ok_and(|amount| matches!(amount, Amount::Rate(_))));
        assert!("10/mon".parse::<Amount>().is_err());
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(amount in 1_u64.., per in 0_usize..3, nanos in 1_u64..) {
            let quota = Quota { amount, per: Period::ALL[per] };
            prop_assert_eq!(quota.to_string().parse(), Ok(quota));
            prop_assert_eq!(quota.to_string().parse(), Ok(Amount::Quota(quota)));
            let rate = Rate::new(amount, std::time::Duration::from_nanos(nanos)).expect("not zero");
            prop_assert_eq!(rate.to_string().parse(), Ok(Amount::Rate(rate)));
        }

        #[test]
        fn no_text_panics(text in "[0-9/a-zü ]{0,24}|.{0,12}") {
            let _ = (text.parse::<Quota>(), text.parse::<Amount>());
        }
    }
}
