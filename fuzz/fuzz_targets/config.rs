//! No text makes the reader panic, and every error has its place inside the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_config::{Document, Env};

struct Empty;

impl Env for Empty {
    fn var(&self, _: &str) -> Option<String> {
        None
    }
}

fuzz_target!(|text: &str| {
    match Document::parse(text, &Empty) {
        Ok(document) => {
            let _ = document.root().read::<std::collections::BTreeMap<String, tidegate_core::RawConfig>>();
        }
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
});
