//! Which passwords are good enough (NIST SP 800-63B section 5.1.1.2).

mod breached;
mod guess;
mod similar;

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tidegate_core::{BuildCx, ConfigError, ConfigErrors, HeaderValue, ProblemKind, Reply, header};

use super::answer::Refused;
use crate::config::service::PasswordRules;
use crate::hashing::LONGEST;
pub(crate) use crate::hashing::normal;
use breached::Breached;

/// The fewest characters that a configuration may ask for.
const FEWEST: u32 = 8;
const KINDS: &str = "lower case, upper case, digits, others";

/// The rules for new passwords.
pub(crate) struct Policy {
    min: usize,
    max: usize,
    classes: u32,
    min_score: u8,
    breached: Option<Breached>,
}

/// What is wrong with a member of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// RFC 6901.
    pub(crate) pointer: &'static str,
    /// For the person at the other end. Never what they sent.
    pub(crate) detail: String,
    /// Whether it is a password that is not good enough.
    pub(crate) weak: bool,
}

impl Fault {
    /// Of something else than how good a password is.
    pub(crate) fn at(pointer: &'static str, detail: impl Into<String>) -> Self {
        Self { pointer, detail: detail.into(), weak: false }
    }
}

impl Policy {
    /// Reads the list of breached passwords. Errors are relative to `service.password`.
    pub(crate) fn build(config: &PasswordRules, cx: &mut BuildCx<'_>) -> Result<Arc<Self>, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        if config.max as usize > LONGEST {
            let error = ConfigError::at("max", format!("{} is more than {LONGEST}", config.max));
            errors.push(error.help("bcrypt looks at no more than 72 bytes"));
        }
        if config.min < FEWEST {
            let error = ConfigError::at("min", format!("{} is less than {FEWEST}", config.min));
            errors.push(error.help("shorter ones are guessed (NIST SP 800-63B section 5.1.1.2)"));
        }
        if config.min > config.max {
            errors.push(ConfigError::at("min", format!("{} is more than `max`, {}", config.min, config.max)));
        }
        if !(1..=4).contains(&config.classes) {
            errors.push(ConfigError::at("classes", "must be between 1 and 4").help(format!("there are {KINDS}")));
        }
        if config.min_score > 4 {
            errors.push(ConfigError::at("min_score", "must be between 0 and 4").help("3 is what zxcvbn calls safe"));
        }
        let breached = config.breached.as_ref().map(|breached| Breached::open(&breached.file, cx));
        let breached = breached.transpose().map_err(|error| error.under(&"breached.file".into()));
        let breached = errors.collect(breached).flatten();
        let (min, max) = (config.min as usize, config.max as usize);
        let (classes, min_score) = (config.classes, config.min_score);
        errors.into_result(Arc::new(Self { min, max, classes, min_score, breached }))
    }

    /// Refuses a password that is not good enough, saying all that is wrong. `about` is what is known of the user:
    /// name, e-mail address, what they are called.
    pub(crate) async fn demand(&self, pointer: &'static str, password: &str, about: &[&str]) -> Result<(), Refused> {
        match self.check(pointer, password, about).await? {
            faults if faults.is_empty() => Ok(()),
            faults => Err(refusal(&faults).into()),
        }
    }

    /// What is wrong with it.
    pub(crate) async fn check(
        &self,
        pointer: &'static str,
        password: &str,
        about: &[&str],
    ) -> Result<Vec<Fault>, Refused> {
        let password = &**normal(password);
        let mut details = self.form(password);
        // What is far too long is not worth looking at.
        if password.len() <= LONGEST {
            if similar::is_similar(password, about, self.min) {
                details.push("is too similar to the name or the e-mail address".to_owned());
            }
            if self.min_score > 0 && guess::score(password, about).await < self.min_score {
                details.push("is too easy to guess: it is made of words, names, dates or rows of keys".to_owned());
            }
            if self.is_breached(password).await? {
                details.push("is in a list of passwords that everybody knows".to_owned());
            }
        }
        Ok(details.into_iter().map(|detail| Fault { pointer, detail, weak: true }).collect())
    }

    fn form(&self, password: &str) -> Vec<String> {
        let mut details = Vec::new();
        if password.chars().count() < self.min {
            details.push(format!("must have at least {} characters", self.min));
        }
        if password.len() > self.max {
            details.push(format!("must have at most {} bytes", self.max));
        }
        // bcrypt would look at what comes before alone.
        if password.contains('\0') {
            details.push("must not contain a zero character".to_owned());
        }
        if classes(password) < self.classes {
            details.push(format!("must have at least {} kinds of characters of {KINDS}", self.classes));
        }
        details
    }

    async fn is_breached(&self, password: &str) -> Result<bool, Refused> {
        let Some(list) = &self.breached else { return Ok(false) };
        list.contains(password).await.map_err(|error| {
            log::error!("the list of breached passwords can't be read: {error}");
            let later = Reply::unavailable("busy", "passwords can't be checked right now, try again later");
            later.header(header::RETRY_AFTER, HeaderValue::from_static("5")).into()
        })
    }
}

/// 400 that points at all that is wrong.
pub(crate) fn refusal(faults: &[Fault]) -> Reply {
    let (code, detail) = match faults.iter().all(|fault| fault.weak) {
        true => ("weak_password", "this password is not good enough"),
        false => ("invalid_input", "some of what was sent can't be taken"),
    };
    let errors = faults.iter().map(|fault| json!({ "pointer": fault.pointer, "detail": fault.detail }));
    let members = Map::from_iter([("errors".to_owned(), Value::Array(errors.collect()))]);
    Reply::bad_request(code, detail).kind(ProblemKind { uri: "about:blank", members })
}

/// How many kinds of characters there are.
fn classes(password: &str) -> u32 {
    let kinds = password.chars().fold(0_u8, |kinds, c| {
        kinds
            | if c.is_lowercase() {
                1
            } else if c.is_uppercase() {
                2
            } else if c.is_numeric() {
                4
            } else {
                8
            }
    });
    kinds.count_ones()
}

#[cfg(test)]
mod tests;
