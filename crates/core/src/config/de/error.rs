//! Serde's error, kept in parts until its place and its redactions are known.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::words::{self, Found};
use crate::config::{ConfigError, ConfigPath, Redactions};

/// Boxed, since it is part of every result of a reading that mostly succeeds.
#[derive(Debug)]
pub(super) struct DeError(Box<Parts>);

#[derive(Debug)]
struct Parts {
    path: Option<ConfigPath>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    UnknownKey {
        key: String,
        valid: &'static [&'static str],
    },
    MissingKey {
        key: &'static str,
    },
    RepeatedKey {
        key: &'static str,
    },
    WrongType {
        kind: &'static str,
        text: Option<String>,
        expected: String,
        help: Option<&'static str>,
    },
    WrongLength {
        length: usize,
        expected: String,
    },
    UnknownName {
        name: String,
        valid: &'static [&'static str],
    },
    /// An enum wanted, and neither a name nor a map of one entry found.
    NoChoice {
        found: &'static str,
        valid: &'static [&'static str],
    },
    /// A name given that cannot do without a value, or the other way round.
    WrongChoice {
        message: String,
        help: String,
    },
    Custom {
        message: String,
    },
}

impl DeError {
    fn new(kind: Kind) -> Self {
        Self(Box::new(Parts { path: None, kind }))
    }

    /// Says where, unless someone closer to the place has said so.
    pub(super) fn or_at(mut self, path: impl FnOnce() -> ConfigPath) -> Self {
        self.0.path.get_or_insert_with(path);
        self
    }

    pub(super) fn path(&self) -> Option<&ConfigPath> {
        self.0.path.as_ref()
    }

    pub(super) fn no_choice(found: &'static str, valid: &'static [&'static str]) -> Self {
        Self::new(Kind::NoChoice { found, valid })
    }

    pub(super) fn wrong_choice(message: String, help: String) -> Self {
        Self::new(Kind::WrongChoice { message, help })
    }

    /// A type error with a remedy.
    pub(super) fn wrong_type(unexpected: &Unexpected<'_>, expected: &str, help: Option<&'static str>) -> Self {
        let Found { kind, text } = words::found(unexpected);
        Self::new(Kind::WrongType { kind, text, expected: words::expected(expected), help })
    }

    /// The same, which does not say what was found.
    pub(super) fn wrong_secret(unexpected: &Unexpected<'_>) -> Self {
        let Found { kind, text } = words::found(unexpected);
        let (kind, help) = match (kind, text) {
            ("the number", _) => ("a number", Some(QUOTE_IT)),
            ("the value", _) => ("true or false", Some(QUOTE_IT)),
            (kind, _) => (kind, None),
        };
        Self::new(Kind::WrongType { kind, text: None, expected: "a string".into(), help })
    }

    /// The name of the key that is missing, if that is the trouble.
    pub(super) fn missing(&self) -> Option<&'static str> {
        match self.0.kind {
            Kind::MissingKey { key } => Some(key),
            _ => None,
        }
    }

    /// The field that is given twice, under two names.
    pub(super) fn is_repeated_key(&self) -> bool {
        matches!(self.0.kind, Kind::RepeatedKey { .. })
    }

    /// The valid key that was probably meant by an unknown one.
    pub(super) fn meant_key(&self) -> Option<&'static str> {
        match &self.0.kind {
            Kind::UnknownKey { key, valid } => words::nearest(key, valid),
            _ => None,
        }
    }

    /// Whether this may be said of a map or list because of what is, or is no longer, in it.
    pub(super) fn may_be_about_children(&self) -> bool {
        !matches!(self.0.kind, Kind::UnknownKey { .. } | Kind::MissingKey { .. } | Kind::RepeatedKey { .. })
    }

    /// The error for people.
    pub(super) fn describe(&self, path: ConfigPath, redactions: &Redactions) -> ConfigError {
        let (message, help) = self.0.kind.words(redactions);
        let mut error = ConfigError::at(path, message);
        error.help = help;
        if matches!(self.0.kind, Kind::UnknownKey { .. } | Kind::RepeatedKey { .. }) {
            error.about_key()
        } else {
            error
        }
    }
}

pub(super) const QUOTE_IT: &str = "write it in quotes";

impl Kind {
    fn words(&self, redactions: &Redactions) -> (String, Option<String>) {
        match self {
            Self::UnknownKey { key, valid } => (format!("unknown key {}", quoted(key)), Some(valid_keys(key, valid))),
            Self::MissingKey { key } => (format!("missing key `{key}`"), None),
            Self::RepeatedKey { key } => (format!("key `{key}` is given twice, under two of its names"), None),
            Self::WrongType { kind, text, expected, help } => {
                (wrong_type(kind, text.as_deref(), expected, redactions), help.map(Into::into))
            }
            Self::WrongLength { length, expected } => (format!("expected {expected}, found {length} elements"), None),
            Self::UnknownName { name, valid } => {
                let message = redactions.apply(&format!("unknown value {}", quoted(name)));
                // What is near to a hidden value would give it away.
                let hidden = redactions.apply(name) != *name;
                (message, Some(valid_values(if hidden { "" } else { name }, valid)))
            }
            Self::NoChoice { found, valid } => {
                (format!("expected a name or a map with one key, found {found}"), Some(valid_values("", valid)))
            }
            // The help holds a valid name and nothing else.
            Self::WrongChoice { message, help } => (redactions.apply(message), Some(help.clone())),
            Self::Custom { message } => custom(message, redactions),
        }
    }
}

fn wrong_type(kind: &str, text: Option<&str>, expected: &str, redactions: &Redactions) -> String {
    match text.map(|text| (text, redactions.apply(&format!("`{text}`")))) {
        None => format!("expected {expected}, found {kind}"),
        Some((text, shown)) if shown == format!("`{text}`") => format!("expected {expected}, found {kind} {text}"),
        Some((_, shown)) => format!("expected {expected}, found {}", shown.replace('"', "")),
    }
}

/// A check of a type's own may say what to do on a line of its own that begins with `help: `.
fn custom(message: &str, redactions: &Redactions) -> (String, Option<String>) {
    match message.split_once("\nhelp: ") {
        Some((message, help)) => (redactions.apply(message), Some(redactions.apply(help))),
        None => (redactions.apply(message), None),
    }
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.escape_debug())
}

fn valid_keys(key: &str, valid: &'static [&'static str]) -> String {
    match valid {
        [] => "no keys are known here".into(),
        valid => suggestion(key, valid, "valid keys"),
    }
}

fn valid_values(name: &str, valid: &'static [&'static str]) -> String {
    suggestion(name, valid, "valid values")
}

fn suggestion(name: &str, valid: &'static [&'static str], all: &str) -> String {
    let all = format!("{all}: {}", words::list(valid));
    match words::nearest(name, valid) {
        Some(nearest) => format!("did you mean `{nearest}`? {all}"),
        None => all,
    }
}

impl fmt::Display for DeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.kind.words(&Redactions::default()).0)
    }
}

impl std::error::Error for DeError {}

impl de::Error for DeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Kind::Custom { message: message.to_string() })
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = expected.to_string();
        let wants_text = matches!(&*expected, "a string" | "a character");
        let help = (wants_text && is_scalar(&unexpected)).then_some(QUOTE_IT);
        Self::wrong_type(&unexpected, &expected, help)
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::wrong_type(&unexpected, &expected.to_string(), None)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::new(Kind::WrongLength { length, expected: words::expected(&expected.to_string()) })
    }

    fn unknown_variant(name: &str, valid: &'static [&'static str]) -> Self {
        Self::new(Kind::UnknownName { name: name.into(), valid })
    }

    fn unknown_field(key: &str, valid: &'static [&'static str]) -> Self {
        Self::new(Kind::UnknownKey { key: key.into(), valid })
    }

    fn missing_field(key: &'static str) -> Self {
        Self::new(Kind::MissingKey { key })
    }

    fn duplicate_field(key: &'static str) -> Self {
        Self::new(Kind::RepeatedKey { key })
    }
}

fn is_scalar(unexpected: &Unexpected<'_>) -> bool {
    matches!(unexpected, Unexpected::Bool(_) | Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_))
}
