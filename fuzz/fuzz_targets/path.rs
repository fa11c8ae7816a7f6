//! A normal path stays as it is, and has no way left to climb.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_routing::{EscapedSlashes, Normal, PathRules, normalise};

fuzz_target!(|input: (u8, &str)| {
    let (policy, path) = input;
    let escaped_slashes = match policy % 4 {
        0 => EscapedSlashes::Keep,
        1 => EscapedSlashes::Reject,
        2 => EscapedSlashes::Redirect,
        _ => EscapedSlashes::Decode,
    };
    let rules = PathRules { escaped_slashes, ..PathRules::default() };
    if let Ok(Normal::Changed(normal)) = normalise(path, rules) {
        assert!(!normal.split('/').any(|part| part == "." || part == ".."), "{path} became {normal}");
        assert!(!normal.contains("//"), "{path} became {normal}");
        assert!(matches!(normalise(&normal, rules), Ok(Normal::Same)), "{path} became {normal}, which is not normal");
    }
});
