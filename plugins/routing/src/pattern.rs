//! Regular expressions of the configuration.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use regex::bytes::{Regex, RegexBuilder};

use crate::text::text_type;

/// A compiled pattern takes no more memory than this.
const LARGEST: usize = 1 << 20;

/// A regular expression that a whole text must match: `v[12]` doesn't match `xv1`. Takes linear time.
#[derive(Clone)]
pub struct Pattern {
    text: Box<str>,
    regex: Regex,
}

impl Pattern {
    pub(crate) fn is_match(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Read by itself first: `a)(b` must not become `^(?:a)(b)$`.
        Regex::new(text).map_err(|error| explained(text, &error))?;
        let whole = RegexBuilder::new(&format!("^(?:{text})$")).size_limit(LARGEST).build();
        let regex = whole.map_err(|error| explained(text, &error))?;
        Ok(Self { text: text.into(), regex })
    }
}

/// One line of it: the rest of the message draws the expression again.
pub(crate) fn explained(text: &str, error: &regex::Error) -> String {
    let message = error.to_string();
    let reason = message.lines().last().unwrap_or_default();
    format!("`{text}` is not a regular expression: {}", reason.strip_prefix("error: ").unwrap_or(reason))
}

text_type!(Pattern, "Pattern", "A regular expression (syntax of the `regex` crate) that the whole text must match.");

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_text_must_match() {
        let pattern: Pattern = "a|ab".parse().expect("valid");
        assert!(pattern.is_match(b"a") && pattern.is_match(b"ab"));
        assert!(!pattern.is_match(b"xa") && !pattern.is_match(b"abc") && !pattern.is_match(b"ab\n"));
    }

    #[test]
    fn what_is_no_expression_is_refused_in_one_line() {
        for text in ["a(", "a)(b", "[", "(?P<x>", "a{99999999}"] {
            let message = text.parse::<Pattern>().expect_err(text);
            assert!(message.contains("is not a regular expression: ") && !message.contains('\n'), "{message}");
        }
    }
}
