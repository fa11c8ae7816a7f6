//! What can't work.

use tidegate_core::config::Duration;
use tidegate_core::{ConfigError, ConfigErrors, ConfigPath};

use crate::config::service::Service;

/// Errors are relative to `service`.
pub(super) fn faults(config: &Service) -> ConfigErrors {
    let (attempts, lockout) = (&config.attempts, &config.lockout);
    let mut errors = ConfigErrors::new();
    for (key, most) in
        [("client", attempts.client), ("account", attempts.account), ("account_total", attempts.account_total)]
    {
        if most == 0 {
            let error = ConfigError::at(ConfigPath::from("attempts").key(key), "must be at least 1");
            errors.push(error.help("with 0, nobody could log in"));
        }
    }
    errors.extend(nothing("attempts", "window", attempts.window));
    errors.extend(nothing("lockout", "window", lockout.window));
    errors.extend(nothing("lockout", "duration", lockout.duration));
    if lockout.max.get() < lockout.duration.get() {
        let error = ConfigError::at(ConfigPath::from("lockout").key("max"), "is shorter than `duration`");
        errors.push(error);
    }
    errors
}

fn nothing(section: &str, key: &str, duration: Duration) -> Option<ConfigError> {
    let path = ConfigPath::from(section).key(key);
    duration.get().is_zero().then(|| ConfigError::at(path, "must be longer than nothing"))
}
