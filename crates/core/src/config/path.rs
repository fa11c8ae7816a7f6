//! Where in the configuration something is: `routing.routes[0].match.path`.

use std::convert::Infallible;
use std::fmt::{self, Write as _};
use std::iter::Peekable;
use std::str::{Chars, FromStr};
use std::sync::Arc;

/// One step into the configuration tree.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Segment {
    /// The value under this key of a map.
    Key(Arc<str>),
    /// The element at this place of a list, counted from 0.
    Index(usize),
}

/// The place of a value in the configuration, from the root.
///
/// Written `routing.routes[0].plugins.auth.require`; a key that isn't made of letters, digits, `_` and `-` is quoted:
/// `upstreams."a.b"`. The root is the empty text.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConfigPath(Vec<Segment>);

impl ConfigPath {
    /// The path of the whole configuration.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// Whether this is the whole configuration.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path of the value under `key`.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.child(Segment::Key(key.into()))
    }

    /// The path of the list element at `index`.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.child(Segment::Index(index))
    }

    /// The path of a child.
    #[must_use]
    pub fn child(&self, segment: Segment) -> Self {
        let mut segments = Vec::with_capacity(self.0.len() + 1);
        segments.extend_from_slice(&self.0);
        segments.push(segment);
        Self(segments)
    }

    /// This path, then `rest`.
    #[must_use]
    pub fn join(&self, rest: &ConfigPath) -> Self {
        Self(self.0.iter().chain(&rest.0).cloned().collect())
    }

    /// The path of what this is in; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let (_, before) = self.0.split_last()?;
        Some(Self(before.to_vec()))
    }

    /// The steps from the root.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// The steps left after `base`, if this path starts with it.
    pub fn strip_prefix<'a>(&'a self, base: &ConfigPath) -> Option<&'a [Segment]> {
        self.0.strip_prefix(base.segments())
    }

    /// Whether the name of this place says that its value is nobody's business (`password`, `token`, `key`, …).
    ///
    /// A net under [`Secret`](super::Secret): used to keep literal values out of error texts.
    pub fn looks_secret(&self) -> bool {
        self.0.iter().rev().find_map(|segment| match segment {
            Segment::Key(key) => Some(key_looks_secret(key)),
            Segment::Index(_) => None,
        }) == Some(true)
    }
}

/// Whether a value under this key is to be kept out of messages.
pub(super) fn key_looks_secret(key: &str) -> bool {
    const ANYWHERE: [&str; 6] = ["secret", "password", "passwd", "passphrase", "credential", "pepper"];
    const AT_THE_END: [&str; 4] = ["key", "keys", "token", "tokens"];
    let key = key.to_ascii_lowercase();
    ANYWHERE.iter().any(|word| key.contains(word)) || AT_THE_END.iter().any(|word| key.ends_with(word))
}

impl fmt::Display for ConfigPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) => {
                    if place > 0 {
                        f.write_char('.')?;
                    }
                    write_key(f, key)?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for ConfigPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigPath({self})")
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

fn write_key(f: &mut fmt::Formatter<'_>, key: &str) -> fmt::Result {
    if !key.is_empty() && key.chars().all(is_plain) {
        return f.write_str(key);
    }
    f.write_char('"')?;
    for c in key.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            // A key must not be able to move the cursor of the terminal that shows the error.
            c if c.is_control() => write!(f, "\\u{{{:x}}}", c as u32)?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

impl FromStr for ConfigPath {
    type Err = Infallible;

    /// Reads the displayed form. Lenient: what is not of that form is taken as a key, so it never fails.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let mut chars = text.chars().peekable();
        let mut segments = Vec::new();
        while let Some(&c) = chars.peek() {
            match c {
                '.' => {
                    chars.next();
                }
                '[' => {
                    chars.next();
                    segments.push(parse_index(&mut chars));
                }
                '"' => {
                    chars.next();
                    segments.push(Segment::Key(parse_quoted(&mut chars).into()));
                }
                _ => segments.push(Segment::Key(parse_plain(&mut chars).into())),
            }
        }
        Ok(Self(segments))
    }
}

fn parse_plain(chars: &mut Peekable<Chars<'_>>) -> String {
    std::iter::from_fn(|| chars.next_if(|&c| c != '.' && c != '[')).collect()
}

fn parse_index(chars: &mut Peekable<Chars<'_>>) -> Segment {
    let inside: String = std::iter::from_fn(|| chars.next_if(|&c| c != ']')).collect();
    chars.next();
    match inside.parse() {
        Ok(index) => Segment::Index(index),
        Err(_) => Segment::Key(inside.into()),
    }
}

fn parse_quoted(chars: &mut Peekable<Chars<'_>>) -> String {
    let mut key = String::new();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next() {
                Some('u') => key.extend(parse_code_point(chars)),
                Some(escaped) => key.push(escaped),
                None => break,
            },
            c => key.push(c),
        }
    }
    key
}

fn parse_code_point(chars: &mut Peekable<Chars<'_>>) -> Option<char> {
    chars.next_if_eq(&'{')?;
    let digits: String = std::iter::from_fn(|| chars.next_if(char::is_ascii_hexdigit)).collect();
    chars.next_if_eq(&'}')?;
    char::from_u32(u32::from_str_radix(&digits, 16).ok()?)
}

impl From<&str> for ConfigPath {
    fn from(text: &str) -> Self {
        let Ok(path) = text.parse();
        path
    }
}

impl From<String> for ConfigPath {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&ConfigPath> for ConfigPath {
    fn from(path: &ConfigPath) -> Self {
        path.clone()
    }
}

impl From<Vec<Segment>> for ConfigPath {
    fn from(segments: Vec<Segment>) -> Self {
        Self(segments)
    }
}

impl FromIterator<Segment> for ConfigPath {
    fn from_iter<I: IntoIterator<Item = Segment>>(segments: I) -> Self {
        Self(segments.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_path_is_written_as_people_write_it() {
        let path = ConfigPath::root().key("routing").key("routes").index(0).key("match");
        assert_eq!(path.to_string(), "routing.routes[0].match");
        assert_eq!(ConfigPath::root().key("upstreams").key("a.b").to_string(), "upstreams.\"a.b\"");
        assert_eq!(ConfigPath::root().to_string(), "");
    }

    #[test]
    fn a_key_cannot_smuggle_control_characters() {
        let path = ConfigPath::root().key("a\u{1b}[2J");
        assert_eq!(path.to_string(), "\"a\\u{1b}[2J\"");
        assert_eq!(ConfigPath::from(path.to_string()), path);
    }

    #[test]
    fn malformed_text_is_still_a_path() {
        assert_eq!(ConfigPath::from("a[x]").segments().len(), 2);
        assert_eq!(ConfigPath::from("\"open").segments().len(), 1);
        assert_eq!(ConfigPath::from("a[1"), ConfigPath::root().key("a").index(1));
    }

    #[test]
    fn secrets_are_known_by_their_key() {
        assert!(ConfigPath::from("stores.x.password").looks_secret());
        assert!(ConfigPath::from("auth.api_keys[3]").looks_secret());
        assert!(!ConfigPath::from("secrets.path").looks_secret());
    }

    fn segment() -> impl Strategy<Value = Segment> {
        prop_oneof![
            any::<String>().prop_map(|key| Segment::Key(key.into())),
            "[a-z_]{1,8}".prop_map(|key| Segment::Key(key.into())),
            any::<usize>().prop_map(Segment::Index),
        ]
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(segments in proptest::collection::vec(segment(), 0..6)) {
            let path = ConfigPath::from(segments);
            prop_assert_eq!(ConfigPath::from(path.to_string()), path);
        }

        #[test]
        fn any_text_is_some_path(text in any::<String>()) {
            let path = ConfigPath::from(text);
            prop_assert_eq!(ConfigPath::from(path.to_string()), path);
        }
    }
}
