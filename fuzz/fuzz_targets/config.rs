//! No text makes the reader panic, every error has its place inside the text, and what is read is the same when it is read
//! again.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use tidegate_config::{Document, Env};
use tidegate_core::RawConfig;

struct Empty;

impl Env for Empty {
    fn var(&self, _: &str) -> Option<String> {
        None
    }
}

fuzz_target!(|text: &str| {
    match Document::parse(text, &Empty) {
        Ok(document) => {
            let root = document.root().read::<BTreeMap<String, RawConfig>>();
            let again = Document::parse(text, &Empty).expect("it was read before");
            assert_eq!(format!("{root:?}"), format!("{:?}", again.root().read::<BTreeMap<String, RawConfig>>()));
        }
        Err(errors) => {
            assert!(!errors.is_empty() && !errors.to_string().is_empty());
            let lines = text.lines().count().max(1);
            for place in errors.findings().iter().filter_map(|finding| finding.location.as_ref()) {
                assert!((1..=lines + 1).contains(&place.line) && place.column >= 1, "{place} of {lines} lines");
            }
        }
    }
});
