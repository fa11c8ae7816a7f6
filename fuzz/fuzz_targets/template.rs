//! A template that is read prints as one that reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_core::Template;

fuzz_target!(|text: &str| {
    if let Ok(template) = text.parse::<Template>() {
        assert_eq!(template.to_string().parse::<Template>().as_ref(), Ok(&template));
    }
});
