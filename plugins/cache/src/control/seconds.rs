//! Numbers of seconds (RFC 9111 section 1.2.2).

use std::time::Duration;

/// What a number that is too large becomes.
pub(crate) const MOST: u32 = 1 << 31;

/// `None` for what is not a number; 2^31 for more than that.
pub(crate) fn of(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u32, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'))?;
        Some(sum.saturating_mul(10).saturating_add(digit).min(MOST))
    })
}

/// Whether `age` is more than so many seconds.
pub(crate) fn older_than(age: Duration, seconds: u32) -> bool {
    age > Duration::from_secs(u64::from(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_digits_and_no_more_than_fits() {
        for (text, expected) in [
            ("0", Some(0)),
            ("60", Some(60)),
            ("0060", Some(60)),
            ("2147483648", Some(MOST)),
            ("4294967296", Some(MOST)),
            ("99999999999999999999999999999999999999", Some(MOST)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("1e3", None),
            (" 1", None),
            ("0x10", None),
        ] {
            assert_eq!(of(text.as_bytes()), expected, "{text:?}");
        }
    }
}
