//! Whatever `Range` says, what is sent of it is there, in no more parts than there may be, and no byte is sent twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_files::{MOST_RANGES, Ranges, ranges};

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
});
