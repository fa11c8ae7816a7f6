//! Keeping what came from outside of the file out of messages.

use super::path::key_looks_secret;
use super::{ConfigPath, Segment, Value};

/// A text this short is replaced in quotes only: `1` would be found in every message.
const SHORT: usize = 4;
/// Values looked at before we stop collecting. Only an error pays for this.
const MOST: usize = 100_000;

/// What must not be shown, and what to show instead.
///
/// Collected from a [`Value`]: each interpolated text is shown as its `${VAR}`; a literal under a key such as
/// `password` as `***`.
#[derive(Clone, Default)]
pub struct Redactions {
    pairs: Vec<(String, String)>,
}

impl Redactions {
    /// Everything below `value`, which stands at `path`, that must not be shown.
    pub fn of(value: &Value, path: &ConfigPath) -> Self {
        let mut redactions = Self::default();
        let mut left = MOST;
        redactions.collect(value, path.looks_secret(), &mut left);
        redactions.sort();
        redactions
    }

    /// The longest first, so that a text that is part of another one does not spoil it.
    fn sort(&mut self) {
        self.pairs.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.pairs.dedup();
    }

    /// The interpolated texts below `value` of at least `shortest` bytes.
    ///
    /// For messages about something else: there, a short text is more likely a word than a leak.
    pub fn of_interpolated(value: &Value, shortest: usize) -> Self {
        let mut all = Self::of(value, &ConfigPath::root());
        all.pairs.retain(|(text, shown)| shown != HIDDEN && text.len() >= shortest);
        all
    }

    fn collect(&mut self, value: &Value, secret: bool, left: &mut usize) {
        let Some(fewer) = left.checked_sub(1) else { return };
        *left = fewer;
        match value {
            Value::Interpolated(of) => self.add(&of.text, &of.source),
            Value::Seq(elements) => elements.iter().for_each(|element| self.collect(element, secret, left)),
            Value::Map(map) => map.iter().for_each(|(key, value)| self.collect(value, key_looks_secret(key), left)),
            Value::Str(text) if secret => self.add(text, HIDDEN),
            Value::Int(_) | Value::UInt(_) | Value::Float(_) if secret => {
                // Fewer digits are a setting, and no secret anybody could keep.
                let digits = value.to_string();
                if digits.len() >= SHORT {
                    self.add(&digits, HIDDEN);
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, text: &str, shown: &str) {
        if !text.is_empty() && text != shown {
            self.pairs.push((text.to_owned(), shown.to_owned()));
        }
    }

    /// Hides what stands at `path` below `value`, too.
    pub fn hide(&mut self, value: &Value, path: &ConfigPath) {
        let mut left = MOST;
        let mut more = Self::default();
        more.collect(nearest(value, path.segments()), true, &mut left);
        self.pairs.extend(more.pairs.into_iter().filter(|(text, _)| text.len() >= SHORT));
        self.sort();
    }

    /// `message` without what must not be shown.
    pub fn apply(&self, message: &str) -> String {
        let mut message = message.to_owned();
        // What has been put in is not to be searched for the next text: `${VAR:-x}` holds an `x`.
        let stand_ins = STAND_INS.filter(|c| !message.contains(*c)).take(self.pairs.len()).collect::<Vec<_>>();
        let mut put_in = Vec::new();
        for ((text, shown), stand_in) in self.pairs.iter().zip(stand_ins) {
            if replace(&mut message, text, stand_in) {
                put_in.push((shown, stand_in));
            }
        }
        if self.pairs.len() <= FRAGMENTED {
            message = self.hide_fragments(&message);
        }
        for (shown, stand_in) in put_in {
            message = message.replace(stand_in, shown);
        }
        hide_user_info(&message)
    }

    /// Hides a quoted or longer word of the message that is a part of a text: a parser that fails at the port of a
    /// URL quotes just the port.
    fn hide_fragments(&self, message: &str) -> String {
        let hidden = |word: &str| match suspect(word) {
            Some(part) if self.pairs.iter().any(|(text, _)| is_telling(part, text)) => word.replace(part, HIDDEN),
            _ => word.to_owned(),
        };
        message.split_inclusive(char::is_whitespace).map(hidden).collect()
    }
}

const HIDDEN: &str = "***";
/// Characters of no meaning, one for each text.
const STAND_INS: std::ops::RangeInclusive<char> = '\u{F0000}'..='\u{10FFFD}';
/// With more texts than this, only whole ones are looked for.
const FRAGMENTED: usize = 1000;

/// Whether anything was replaced.
fn replace(message: &mut String, text: &str, stand_in: char) -> bool {
    let stand_in = String::from(stand_in);
    let mut apply = |text: &str, by: &str| {
        if message.contains(text) {
            *message = message.replace(text, by);
            return true;
        }
        false
    };
    if text.len() >= SHORT {
        // As `{:?}` would print it, too.
        return apply(text, &stand_in) | apply(&text.escape_debug().to_string(), &stand_in);
    }
    ["`", "\"", "'"]
        .iter()
        .fold(false, |any, quote| any | apply(&format!("{quote}{text}{quote}"), &format!("{quote}{stand_in}{quote}")))
}

/// Whether `part`, which stands in a message, says something of `text`. A long text has every letter and digit in it: a
/// few of them say nothing, and a message without its numbers helps nobody.
fn is_telling(part: &str, text: &str) -> bool {
    let few = part.len() < SHORT && (text.len() >= 2 * SHORT || part.bytes().all(|byte| byte.is_ascii_digit()));
    !few && text.contains(part)
}

/// The word without what is around it, if it says something.
fn suspect(word: &str) -> Option<&str> {
    let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
    let quoted = word.starts_with(['`', '"', '\'']);
    // Not every word of a URL is a secret: `https` may be said.
    let telling = bare.len() >= 2 * SHORT || (bare.len() >= SHORT && bare.contains(|c: char| c.is_ascii_digit()));
    (telling || (quoted && !bare.is_empty())).then_some(bare)
}

/// `redis://user:password@host` without its user and password.
fn hide_user_info(message: &str) -> String {
    let mut parts = message.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let authority = part.split(|c: char| c.is_whitespace() || "/?#\"'`".contains(c)).next().unwrap_or_default();
        let host = authority.rfind('@').filter(|&at| !authority[..at].ends_with("***"));
        shown.push_str("://");
        match host {
            Some(at) if !authority[..at].contains("${") => {
                shown.push_str(HIDDEN);
                shown.push_str(&part[at..]);
            }
            _ => shown.push_str(part),
        }
    }
    shown
}

/// The value at `path` below `value`, as far as it exists.
pub(super) fn nearest<'v>(mut value: &'v Value, path: &[Segment]) -> &'v Value {
    for segment in path {
        let child = match (segment, value) {
            (Segment::Key(key), Value::Map(map)) => map.get(key),
            (Segment::Index(index), Value::Seq(elements)) => elements.get(*index),
            _ => None,
        };
        match child {
            Some(child) => value = child,
            None => break,
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(text: &str, message: &str) -> String {
        Redactions::of(&Value::interpolated(text, "${VAR}"), &ConfigPath::root()).apply(message)
    }

    #[test]
    fn an_interpolated_text_is_shown_as_its_variable() {
        assert_eq!(hidden("hunter2", "cannot use hunter2 here"), "cannot use ${VAR} here");
        assert_eq!(hidden("a\"b\nc", r#"found "a\"b\nc""#), r#"found "${VAR}""#);
    }

    #[test]
    fn what_is_shown_instead_is_left_alone() {
        let value = Value::from(vec![Value::interpolated("many", "${A:-many}"), Value::interpolated("A:-m", "${B}")]);
        let redactions = Redactions::of(&value, &ConfigPath::root());
        assert_eq!(redactions.apply("not many, A:-m"), "not ${A:-many}, ${B}");
    }

    #[test]
    fn a_short_text_is_replaced_in_quotes_only() {
        assert_eq!(hidden("a", "found a `a`"), "found a `${VAR}`");
    }

    #[test]
    fn a_part_of_an_interpolated_text_is_hidden_too() {
        assert_eq!(hidden("10hunter", "unknown unit `hunter`"), "unknown unit `***`");
        assert_eq!(hidden("redis://u:hunter2@db", "bad port hunter2@db"), "bad port ***");
        assert_eq!(hidden("https://a.example", "must begin with https"), "must begin with https");
        assert_eq!(hidden("10x", "unknown unit `x`"), "unknown unit `***`");
    }

    #[test]
    fn a_number_of_the_message_is_shown_though_a_secret_has_its_digit() {
        let secret = "k2Vd8Qe1Zr7Xw4Tn0Lm5Jh9Gc3Sb6Pya";
        for message in ["`password.classes` is `2`, and not between `1` and `4`", "at least `12`", "unknown unit `d`"] {
            assert_eq!(hidden(secret, message), message);
        }
        assert_eq!(hidden("8202", "must be at least `2`"), "must be at least `2`");
        assert_eq!(hidden(secret, "bad `Vd8Qe1`"), "bad `***`");
    }

    #[test]
    fn the_user_and_password_of_a_url_are_hidden() {
        let shown = |message| Redactions::default().apply(message);
        assert_eq!(shown("bad `redis://u:p@db:1/0`"), "bad `redis://***@db:1/0`");
        assert_eq!(shown("a://h/x@y and b://u@h"), "a://h/x@y and b://***@h");
        assert_eq!(shown("redis://${USER}@db"), "redis://${USER}@db");
    }

    #[test]
    fn a_literal_is_hidden_by_the_name_of_its_key() {
        let value = Value::map([("password", Value::from("hunter2")), ("path", Value::from("/health"))]);
        let redactions = Redactions::of(&value, &ConfigPath::root());
        assert_eq!(redactions.apply("not hunter2 at /health"), "not *** at /health");
    }
}
