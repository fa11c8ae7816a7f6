//! Lists of names, some of which stand for all that begin alike.

use std::borrow::Cow;

use tidegate_core::{ConfigError, ConfigErrors, ConfigPath, fields};

/// Names, or beginnings of names (`utm_*`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names(Box<[Name]>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Whole(Box<str>),
    Begins(Box<str>),
}

impl Names {
    /// Errors have paths from the list.
    pub(crate) fn build(list: &[String]) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let mut names = Vec::with_capacity(list.len());
        for (index, text) in list.iter().enumerate() {
            let (stem, begins) = match text.strip_suffix('*') {
                Some(stem) => (stem, true),
                None => (text.as_str(), false),
            };
            if stem.contains('*') || (stem.is_empty() && !begins) || text.len() > LONGEST {
                let error = ConfigError::at(ConfigPath::root().index(index), format!("`{text}` is not a name"));
                errors.push(error.help("a name, or the beginning of names with a `*` at its end: `utm_*`"));
                continue;
            }
            names.push(if begins { Name::Begins(stem.into()) } else { Name::Whole(stem.into()) });
        }
        errors.into_result(Self(names.into()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn has(&self, name: &[u8]) -> bool {
        self.0.iter().any(|known| match known {
            Name::Whole(whole) => whole.as_bytes() == name,
            Name::Begins(stem) => name.starts_with(stem.as_bytes()),
        })
    }

    /// Whether a query has a parameter of such a name.
    pub(crate) fn meet_query(&self, query: Option<&str>) -> bool {
        !self.is_empty() && query.is_some_and(|query| query.split('&').any(|pair| self.has(&name_of(pair))))
    }

    /// Whether a `Cookie` line has such a name.
    pub(crate) fn meet_cookies(&self, line: &[u8]) -> bool {
        let names =
            line.split(|byte| *byte == b';').map(|pair| pair.split(|byte| *byte == b'=').next().unwrap_or(pair));
        names.map(<[u8]>::trim_ascii).any(|name| self.has(name))
    }
}

/// Longest name.
const LONGEST: usize = 256;

/// The name of a query parameter, as the upstream reads it.
pub(super) fn name_of(pair: &str) -> Cow<'_, [u8]> {
    let name = pair.split_once('=').map_or(pair, |(name, _)| name);
    if !name.contains(['%', '+']) {
        return Cow::Borrowed(name.as_bytes());
    }
    let mut decoded = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = match (first, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        decoded.push(escaped.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = match escaped {
            Some(_) => tail.get(2..).unwrap_or(&[]),
            None => tail,
        };
    }
    Cow::Owned(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// RFC 9110 section 5.6.2: what names of cookies are made of.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(fields::is_token)
}
