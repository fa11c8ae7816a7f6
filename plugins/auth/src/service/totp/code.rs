//! Codes (RFC 4226 section 5.3, RFC 6238 section 4).

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;

use crate::id::Millis;

/// How long a code is the code of now.
pub(super) const STEP: Duration = Duration::from_secs(30);
const DIGITS: usize = 6;

/// The step whose code this is: the one of now, or one of at most `window` before and after it.
pub(super) fn matching(secret: &[u8], code: &str, now: Millis, window: u32) -> Option<u64> {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let (step, window) = (now.seconds() / STEP.as_secs(), u64::from(window));
    // All are compared, whichever it is.
    let steps = step.saturating_sub(window)..=step.saturating_add(window);
    let same = |step: u64| verify_slices_are_equal(digits(truncated(&key, step)).as_bytes(), code.as_bytes()).is_ok();
    steps.fold(None, |found, step| if same(step) { Some(step) } else { found })
}

fn digits(truncated: u32) -> String {
    format!("{:0DIGITS$}", truncated % 1_000_000)
}

/// 31 bits of the HMAC of a step.
fn truncated(key: &hmac::Key, step: u64) -> u32 {
    let mac = hmac::sign(key, &step.to_be_bytes());
    let mac = mac.as_ref();
    let at = mac.last().map_or(0, |last| usize::from(last & 0xf));
    let word = mac.get(at..).and_then(|rest| rest.first_chunk::<4>()).copied().unwrap_or_default();
    u32::from_be_bytes(word) & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    fn at(seconds: u64) -> Millis {
        Millis(seconds * 1000)
    }

    /// RFC 6238, appendix B, the rows of SHA-1: eight digits, of which the last six are ours.
    #[test]
    fn the_vectors_of_the_rfc() {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET);
        for (seconds, eight) in [
            (59, 94_287_082),
            (1_111_111_109, 7_081_804),
            (1_111_111_111, 14_050_471),
            (1_234_567_890, 89_005_924),
            (2_000_000_000, 69_279_037),
            (20_000_000_000, 65_353_130),
        ] {
            assert_eq!(truncated(&key, seconds / 30) % 100_000_000, eight, "{seconds}");
            let six = format!("{:06}", eight % 1_000_000);
            assert_eq!(matching(SECRET, &six, at(seconds), 0), Some(seconds / 30), "{seconds}");
        }
    }

    #[test]
    fn a_code_is_right_within_the_window_alone() {
        // The code of step 1.
        for (seconds, window, right) in [
            (30, 0, true),
            (59, 0, true),
            (29, 0, false),
            (60, 0, false),
            (0, 1, true),
            (89, 1, true),
            (90, 1, false),
            (90, 2, true),
        ] {
            let found = matching(SECRET, "287082", at(seconds), window);
            assert_eq!(found, right.then_some(1), "{seconds} {window}");
        }
    }

    #[test]
    fn what_is_no_code_is_never_right() {
        for bad in ["", "28708", "2870822", "28708２", " 287082", "287082\n", "+287082", "94287082"] {
            assert_eq!(matching(SECRET, bad, at(59), 2), None, "{bad:?}");
        }
        // One with a zero before it.
        assert_eq!(matching(SECRET, "081804", at(1_111_111_109), 0), Some(37_037_036));
        assert_eq!(matching(SECRET, "81804", at(1_111_111_109), 0), None);
    }
}
