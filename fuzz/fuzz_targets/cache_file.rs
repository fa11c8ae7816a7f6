//! No bytes make the reader of stored answers panic or ask for more memory than the file is long, and what it takes is
//! as long as a file that says so must be.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    if let Some(length) = tidegate_cache::fuzz::cache_file(file) {
        assert!(length < file.len() as u64, "a body that is longer than its file");
    }
});
