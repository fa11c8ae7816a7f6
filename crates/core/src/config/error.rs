//! What is wrong with a configuration, where, and what to do about it.

use std::fmt;

use super::ConfigPath;
use super::de::words;

/// One fault of a configuration.
///
/// The message is lowercase, without a full stop, and never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The value at fault, from the root of the file.
    pub path: ConfigPath,
    /// What is wrong with it.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    about_key: bool,
}

impl ConfigError {
    /// `message` is wrong at `path`.
    pub fn at(path: impl Into<ConfigPath>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), help: None, about_key: false }
    }

    /// `name` at `path` is no `what` (`upstream`, `role`) that there is; the help names the nearest of `known`, and the
    /// others.
    pub fn unknown(path: impl Into<ConfigPath>, what: &str, name: &str, known: &[&str]) -> Self {
        let all = match known.is_empty() {
            true => "there is none".to_owned(),
            false => format!("there are: {}", words::list(known)),
        };
        let help = match words::nearest(name, known) {
            Some(near) => format!("did you mean `{near}`? {all}"),
            None => all,
        };
        Self::at(path, format!("unknown {what} `{name}`")).help(help)
    }

    /// Says that the key at the end of the path is at fault, and not the value under it.
    #[must_use]
    pub fn about_key(self) -> Self {
        Self { about_key: true, ..self }
    }

    /// Whether the key at the end of the path is at fault, and not the value under it.
    pub fn is_about_key(&self) -> bool {
        self.about_key
    }

    /// Says what to do about it.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// The same error, its path taken to be relative to `base`.
    #[must_use]
    pub fn under(self, base: &ConfigPath) -> Self {
        Self { path: base.join(&self.path), ..self }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_root() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "\nhelp: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Every fault that was found, in the order of finding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// No fault yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds one.
    pub fn push(&mut self, error: ConfigError) {
        self.0.push(error);
    }

    /// Keeps the value of `result`, or adds its errors.
    pub fn collect<T>(&mut self, result: Result<T, impl Into<ConfigErrors>>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(errors) => {
                self.extend(errors.into());
                None
            }
        }
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The faults, in the order of finding.
    pub fn iter(&self) -> std::slice::Iter<'_, ConfigError> {
        self.0.iter()
    }

    /// The same errors, their paths taken to be relative to `base`.
    #[must_use]
    pub fn under(self, base: &ConfigPath) -> Self {
        Self(self.0.into_iter().map(|error| error.under(base)).collect())
    }

    /// `ok` if nothing is wrong, else the errors.
    pub fn into_result<T>(self, ok: T) -> Result<T, Self> {
        if self.is_empty() { Ok(ok) } else { Err(self) }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, error) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl From<Vec<ConfigError>> for ConfigErrors {
    fn from(errors: Vec<ConfigError>) -> Self {
        Self(errors)
    }
}

impl Extend<ConfigError> for ConfigErrors {
    fn extend<I: IntoIterator<Item = ConfigError>>(&mut self, errors: I) {
        self.0.extend(errors);
    }
}

impl FromIterator<ConfigError> for ConfigErrors {
    fn from_iter<I: IntoIterator<Item = ConfigError>>(errors: I) -> Self {
        Self(errors.into_iter().collect())
    }
}

impl IntoIterator for ConfigErrors {
    type Item = ConfigError;
    type IntoIter = std::vec::IntoIter<ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a ConfigErrors {
    type Item = &'a ConfigError;
    type IntoIter = std::slice::Iter<'a, ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_error_finds_its_place() {
        let error = ConfigError::at("limits[0].rate", "rate must be at least 1/s").help("write 1/s");
        let error = error.under(&ConfigPath::from("routing.routes[2]"));
        assert_eq!(error.to_string(), "routing.routes[2].limits[0].rate: rate must be at least 1/s\nhelp: write 1/s");
    }

    #[test]
    fn errors_add_up() {
        let mut errors = ConfigErrors::new();
        assert_eq!(errors.collect::<u8>(Err(ConfigError::at("a", "wrong"))), None);
        assert_eq!(errors.collect::<u8>(Ok::<_, ConfigError>(1)), Some(1));
        errors.push(ConfigError::at("", "also wrong"));
        assert_eq!(errors.to_string(), "a: wrong\nalso wrong");
        assert_eq!(errors.len(), 2);
        assert!(errors.into_result(()).is_err());
        assert!(ConfigErrors::new().into_result(()).is_ok());
    }
}
