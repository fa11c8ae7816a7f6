//! No field makes the readers of cache directives panic, and nothing hides a `no-store` that stands beside it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|value: &[u8]| tidegate_cache::fuzz::cache_control(value));
