//! Dates of the configuration.

use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::text::text_type;

/// A day, at its start, or a second; in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// Since 1970.
    seconds: u64,
}

impl Date {
    /// Seconds since 1970.
    pub fn unix_seconds(self) -> u64 {
        self.seconds
    }

    pub(crate) fn system_time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.seconds)
    }
}

/// The last second that an HTTP date can say.
const LAST_YEAR: u64 = 9999;

impl FromStr for Date {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a date; write one as 2026-01-31 or 2026-01-31T12:00:00Z");
        let (day, time) = match text.split_once('T') {
            Some((day, time)) => (day, time.strip_suffix('Z').ok_or_else(bad)?),
            None => (text, "00:00:00"),
        };
        let [year, month, day] = numbers(day, '-', [4, 2, 2]).ok_or_else(bad)?;
        let [hour, minute, second] = numbers(time, ':', [2, 2, 2]).ok_or_else(bad)?;
        let valid = (1970..=LAST_YEAR).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        let days = || days_before_year(year) + (1..month).map(|month| days_in(year, month)).sum::<u64>() + day - 1;
        valid.then(|| Self { seconds: ((days() * 24 + hour) * 60 + minute) * 60 + second }).ok_or_else(bad)
    }
}

text_type!(Date, "Date", "A date (`2026-01-31`, its first second in UTC) or a time (`2026-01-31T12:00:00Z`).");

/// Three numbers of so many digits each.
fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut next = |digits| {
        let part = parts.next()?;
        (part.len() == digits && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok())?
    };
    let numbers = [next(digits[0])?, next(digits[1])?, next(digits[2])?];
    parts.next().is_none().then_some(numbers)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// From 1970 to the first day of `year`.
fn days_before_year(year: u64) -> u64 {
    let leap_days = |year: u64| year / 4 - year / 100 + year / 400;
    (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_agree_with_http_dates() {
        for (text, http) in [
            ("1970-01-01", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("1994-11-06T08:49:37Z", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("2000-02-29", "Tue, 29 Feb 2000 00:00:00 GMT"),
            ("2024-12-31T23:59:59Z", "Tue, 31 Dec 2024 23:59:59 GMT"),
            ("2100-03-01", "Mon, 01 Mar 2100 00:00:00 GMT"),
        ] {
            let date: Date = text.parse().expect(text);
            assert_eq!(httpdate::fmt_http_date(date.system_time()), http);
        }
        // RFC 9745 section 2.1
        assert_eq!("2023-06-30T23:59:59Z".parse::<Date>().expect("valid").unix_seconds(), 1_688_169_599);
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "2026-02-29",
            "2026-13-01",
            "2026-1-1",
            "1969-12-31",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00",
            "x",
            "",
        ] {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
    }
}
