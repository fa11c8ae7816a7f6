//! Faults of one section, as they are found.

use std::fmt::Display;

use tidegate_core::config::{ConfigError, ConfigPath, Duration};

/// What was found in one section. Keys are relative to it: `backoff.max`.
pub(super) struct Faults {
    at: ConfigPath,
    found: Vec<ConfigError>,
}

impl Faults {
    pub(super) fn of(section: impl Into<ConfigPath>) -> Self {
        Self { at: section.into(), found: Vec::new() }
    }

    pub(super) fn found(self) -> Vec<ConfigError> {
        self.found
    }

    pub(super) fn place(&self, key: &str) -> ConfigPath {
        self.at.join(&ConfigPath::from(key))
    }

    /// `message` is wrong at `key` if `wrong`.
    pub(super) fn fault(&mut self, wrong: bool, key: &str, message: impl Display, help: impl Display) {
        if wrong {
            self.found.push(ConfigError::at(self.place(key), message.to_string()).help(help.to_string()));
        }
    }

    /// The same at a place that isn't made of plain keys.
    pub(super) fn fault_at(&mut self, at: ConfigPath, message: impl Display, help: impl Display) {
        self.found.push(ConfigError::at(at, message.to_string()).help(help.to_string()));
    }

    /// The same about the key at the end of the place, and not its value.
    pub(super) fn fault_at_key(&mut self, at: ConfigPath, message: impl Display, help: impl Display) {
        self.found.push(ConfigError::at(at, message.to_string()).help(help.to_string()).about_key());
    }

    /// What is set but would change nothing: whoever wrote it expects otherwise.
    pub(super) fn idle(&mut self, set: bool, key: &str, beside: impl Display, help: impl Display) {
        self.fault(set, key, format_args!("has no use {beside}"), help);
    }

    pub(super) fn longer_than_zero(&mut self, key: &str, value: Duration) {
        self.at_least(key, value, Duration::from(std::time::Duration::from_nanos(1)));
    }

    pub(super) fn at_least(&mut self, key: &str, value: Duration, least: Duration) {
        if value.is_zero() {
            return self.fault(true, key, "must be longer than zero", "leave it out for the default");
        }
        if value < least {
            self.found.push(ConfigError::at(self.place(key), format!("must be at least {least}")));
        }
    }

    pub(super) fn at_least_one(&mut self, key: &str, value: impl Into<Option<u32>>) {
        if value.into() == Some(0) {
            self.found.push(ConfigError::at(self.place(key), "must be at least 1"));
        }
    }

    /// Not a number is within nothing.
    pub(super) fn within(&mut self, key: &str, fine: bool, value: f64, help: impl Display) {
        self.fault(!fine, key, format_args!("{value} is not possible"), help);
    }
}
