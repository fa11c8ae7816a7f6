//! A length of time: `250ms`, `10s`, `1h30m`.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::time::Duration as Std;

use super::{Unit, UnitError, leading_number, shown, unit_impls};

/// A length of time, written with its unit: `250ms`, `10s`, `15m`, `2h`, `7d`, `1h30m`.
///
/// Units are `ns`, `us`, `ms`, `s`, `m`, `h` and `d`, the largest first, each at most once, with whole numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(Std);

/// Each unit and its nanoseconds, the largest first.
const UNITS: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(Std::ZERO);

    /// So many seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Std::from_secs(secs))
    }

    /// So many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Std::from_millis(millis))
    }

    /// The standard library's type.
    pub const fn get(self) -> Std {
        self.0
    }
}

impl Deref for Duration {
    type Target = Std;

    fn deref(&self) -> &Std {
        &self.0
    }
}

impl From<Std> for Duration {
    fn from(std: Std) -> Self {
        Self(std)
    }
}

impl From<Duration> for Std {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl Unit for Duration {
    const KIND: &'static str = "a duration";

    fn with_unit(n: &str) -> String {
        format!("write a unit: {n}s")
    }
}

const HELP: &str = "write it as 250ms, 10s, 15m, 2h, 7d or 1h30m";

fn refused(text: &str, why: impl fmt::Display) -> UnitError {
    UnitError::new(format!("{} is not a duration: {why}", shown(text)), HELP)
}

impl FromStr for Duration {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let mut rest = text;
        let mut units = &UNITS[..];
        let mut sum = Std::ZERO;
        if text.is_empty() {
            return Err(refused(text, "it is empty"));
        }
        while !rest.is_empty() {
            let (amount, nanos);
            (amount, nanos, rest, units) = part(text, rest, units)?;
            // In 64 bits, 213,503 days are too many nanoseconds.
            let more = u128::from(amount) * u128::from(nanos);
            let (secs, nanos) = (more / 1_000_000_000, (more % 1_000_000_000) as u32);
            let more = u64::try_from(secs).ok().map(|secs| Std::new(secs, nanos));
            sum = more.and_then(|more| sum.checked_add(more)).ok_or_else(|| refused(text, "it is too long"))?;
        }
        Ok(Self(sum))
    }
}

type Part<'a> = (u64, u64, &'a str, &'static [(&'static str, u64)]);

/// One `15m` at the start of `rest`: the amount, its unit in nanoseconds, what follows, and the units that may.
fn part<'a>(text: &str, rest: &'a str, units: &'static [(&'static str, u64)]) -> Result<Part<'a>, UnitError> {
    let (amount, rest) = leading_number(rest);
    let end = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
    let (name, rest) = rest.split_at(end);
    let Some(amount) = amount else { return Err(refused(text, "expected a whole number before each unit")) };
    if name.is_empty() {
        return Err(match rest {
            "" => UnitError::new(format!("{} has no unit", shown(text)), Duration::with_unit(&amount.to_string())),
            _ => refused(text, "only whole numbers and units"),
        });
    }
    match units.iter().position(|(unit, _)| *unit == name) {
        // A nanosecond count of 64 bits that is no whole second cannot be that large.
        Some(at) => Ok((amount, units[at].1, rest, &units[at + 1..])),
        None if UNITS.iter().any(|(unit, _)| *unit == name) => Err(refused(text, "each unit once, the largest first")),
        None => Err(refused(text, format_args!("unknown unit {}", shown(name)))),
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0.as_nanos();
        if left == 0 {
            return f.write_str("0s");
        }
        for (name, nanos) in UNITS {
            let amount = left / u128::from(nanos);
            left %= u128::from(nanos);
            if amount > 0 {
                write!(f, "{amount}{name}")?;
            }
        }
        Ok(())
    }
}

unit_impls!(
    Duration,
    "a duration",
    "^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?([0-9]+us)?([0-9]+ns)?$",
    ["250ms", "10s", "15m", "2h", "7d", "1h30m"],
    "A length of time with its unit: `250ms`, `10s`, `15m`, `2h`, `7d`, `1h30m`."
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Std, String> {
        text.parse::<Duration>().map(Duration::get).map_err(|error| error.message)
    }

    #[test]
    fn each_unit_is_read() {
        assert_eq!(read("250ms"), Ok(Std::from_millis(250)));
        assert_eq!(read("10s"), Ok(Std::from_secs(10)));
        assert_eq!(read("15m"), Ok(Std::from_secs(900)));
        assert_eq!(read("2h"), Ok(Std::from_secs(7200)));
        assert_eq!(read("7d"), Ok(Std::from_secs(604_800)));
        assert_eq!(read("1h30m"), Ok(Std::from_secs(5400)));
        assert_eq!(read("0s"), Ok(Std::ZERO));
        assert_eq!(read("400000d"), Ok(Std::from_secs(400_000 * 86_400)));
        assert_eq!(read("18446744073709551615us"), Ok(Std::from_micros(u64::MAX)));
    }

    #[test]
    fn a_bare_number_is_refused_with_the_remedy() {
        let error = "30".parse::<Duration>().unwrap_err();
        assert_eq!((&*error.message, &*error.help), ("`30` has no unit", "write a unit: 30s"));
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in ["", "s", "10x", "1.5s", "10 s", "-1s", "30m1h", "1s1s", "1h30", "99999999999999999999s", "10S"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(
            read("18446744073709551615d").unwrap_err(),
            "`18446744073709551615d` is not a duration: it is too long"
        );
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(nanos in any::<u64>()) {
            let duration = Duration::from(Std::from_nanos(nanos));
            prop_assert_eq!(duration.to_string().parse::<Duration>(), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in "[0-9dhmsun. ü]{0,30}") {
            let _ = text.parse::<Duration>();
        }
    }
}
