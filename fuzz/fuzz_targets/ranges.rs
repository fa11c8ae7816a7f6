//! Whatever `Range` says, what is sent of it is there, in no more parts than there may be, no byte is sent twice, and what
//! is sent is what a slow and simple reader finds in the field.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_files::{MOST_RANGES, Ranges, ranges};

/// Which bytes are asked for. `None`: that is no list of ranges (RFC 9110 section 14.1.2).
fn naive(field: &str, length: u64) -> Option<Vec<bool>> {
    let (unit, list) = field.split_once('=')?;
    let mut asked = vec![false; length as usize];
    unit.eq_ignore_ascii_case("bytes").then_some(())?;
    for range in list.split(',').map(|range| range.trim_matches([' ', '\t'])).filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-')?;
        let number = |digits: &str| -> Option<u128> {
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            // What is too large for 64 bits is beyond any end, and one such number is as good as another.
            plain.then(|| digits.parse().map_or(u128::from(u64::MAX), |number: u128| number.min(u128::from(u64::MAX))))
        };
        let (from, to) = match (first, last) {
            ("", last) => (u128::from(length).saturating_sub(number(last)?), u128::from(length)),
            (first, "") => (number(first)?, u128::from(length)),
            (first, last) if number(first)? <= number(last)? => (number(first)?, number(last)?.saturating_add(1)),
            _ => return None,
        };
        (0..length).filter(|at| (from..to).contains(&u128::from(*at))).for_each(|at| asked[at as usize] = true);
    }
    Some(asked)
}

fuzz_target!(|input: (u64, &str)| {
    let (length, field) = input;
    match ranges(field, length) {
        Ranges::Parts(parts) => {
            assert!(!parts.is_empty() && parts.len() <= MOST_RANGES, "{} parts", parts.len());
            let mut sorted = parts.to_vec();
            sorted.sort_by_key(|part| part.first);
            assert!(sorted.iter().all(|part| part.first <= part.last && part.last < length), "not all of it is there");
            assert!(sorted.windows(2).all(|pair| pair[0].last < pair[1].first), "a byte is sent twice");
        }
        Ranges::Unsatisfiable => assert!(length > 0, "an empty file is always sent"),
        Ranges::Whole => {}
    }
    let length = length % 512;
    match (ranges(field, length), naive(field, length)) {
        (Ranges::Parts(parts), Some(asked)) => {
            let sent = |at: u64| parts.iter().any(|part| (part.first..=part.last).contains(&at));
            assert!((0..length).all(|at| sent(at) == asked[at as usize]), "other bytes of {length} for {field:?}");
        }
        (Ranges::Unsatisfiable, Some(asked)) => assert!(!asked.contains(&true), "there is something of {field:?}"),
        (other, None) => assert!(matches!(other, Ranges::Whole), "{field:?} is no list of ranges"),
        (Ranges::Whole, Some(_)) => {}
    }
});
