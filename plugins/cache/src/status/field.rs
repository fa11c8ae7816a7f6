//! One member of `Cache-Status` (RFC 9211).

use tidegate_core::facts::{CacheStatus, Cached};
use tidegate_core::{Bytes, ConfigError, HeaderValue};

/// By which name the cache calls itself.
#[derive(Debug, Clone)]
pub(crate) struct Name(Box<str>);

/// Longest name.
const LONGEST: usize = 64;

impl Name {
    /// `None` for `off`.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, ConfigError> {
        let letter = text.starts_with(|first: char| first.is_ascii_alphabetic());
        let rest = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
        match text {
            "off" => Ok(None),
            text if letter && rest && text.len() <= LONGEST => Ok(Some(Self(text.into()))),
            _ => {
                let error = ConfigError::at("status_header", format!("`{text}` is not a name for a cache"));
                Err(error.help("letters, digits, `-` and `.`, the first a letter: `tidegate`; or `off`"))
            }
        }
    }

    /// What is said of this answer.
    pub(super) fn member(&self, did: CacheStatus, more: &Cached) -> Option<HeaderValue> {
        let mut text = Text(String::with_capacity(self.0.len() + 80));
        text.0.push_str(&self.0);
        match more.forwarded {
            Some(why) => text.forwarded(why, more),
            None if matches!(did, CacheStatus::Hit | CacheStatus::Stale) => text.0.push_str("; hit"),
            None => {}
        }
        if let Some(ttl) = more.ttl {
            text.parameter("ttl");
            text.number(ttl);
        }
        if let Some(why) = more.why.filter(|why| is_token(why)) {
            text.parameter("detail");
            text.0.push_str(why);
        }
        HeaderValue::from_maybe_shared(Bytes::from(text.0)).ok()
    }
}

struct Text(String);

impl Text {
    fn parameter(&mut self, name: &str) {
        self.0.push_str("; ");
        self.0.push_str(name);
        self.0.push('=');
    }

    fn forwarded(&mut self, why: &str, more: &Cached) {
        self.parameter("fwd");
        self.0.push_str(why);
        if let Some(status) = more.upstream_status {
            self.parameter("fwd-status");
            self.number(i64::from(status));
        }
        if more.stored {
            self.0.push_str("; stored");
        }
        if more.collapsed {
            self.0.push_str("; collapsed");
        }
    }

    fn number(&mut self, number: i64) {
        let mut digits = [0_u8; 20];
        let mut at = digits.len();
        let mut rest = number.unsigned_abs();
        loop {
            at -= 1;
            digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            self.0.push('-');
        }
        self.0.extend(digits[at..].iter().map(|digit| char::from(*digit)));
    }
}

fn is_token(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_alphabetic())
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}
