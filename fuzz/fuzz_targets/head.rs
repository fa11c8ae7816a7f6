//! A request head that the strict check lets through is one that every other reader reads the same way: it has one
//! way to end, no control characters, and at most one way to say how long the body is.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|head: &[u8]| {
    if tidegate_listener::check_head(head).is_ok() {
        assert!(!head.contains(&0), "a NUL got through");
        let lower = head.to_ascii_lowercase();
        let has = |name: &[u8]| lower.windows(name.len()).any(|part| part == name);
        assert!(!(has(b"\ncontent-length:") && has(b"\ntransfer-encoding:")), "two framings got through");
        assert!(!has(b"\n ") && !has(b"\n\t"), "a folded line got through");
    }
});
