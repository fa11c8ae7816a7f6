//! What limits are called.

use std::collections::HashSet;

use sha2::{Digest, Sha256};
use tidegate_core::ConfigError;

use crate::config::Limit;

/// The names of one route's limits.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<String>);

/// A longer name is a slip.
const LONGEST: usize = 64;

impl Names {
    /// `false` if it is taken.
    pub(super) fn add(&mut self, name: &str) -> bool {
        self.0.insert(name.to_owned())
    }

    /// The name that the limit gives itself, or one made of its first key. Errors have paths relative to the limit.
    pub(super) fn of(&mut self, limit: &Limit) -> Result<String, ConfigError> {
        let Some(name) = &limit.name else { return Ok(self.made_up(limit)) };
        check(name).map_err(|error| error.under(&"name".into()))?;
        match self.add(name) {
            true => Ok(name.clone()),
            false => {
                let message = format!("there is another limit `{name}` on this route");
                Err(ConfigError::at("name", message).help("give each a name of its own"))
            }
        }
    }

    fn made_up(&mut self, limit: &Limit) -> String {
        let key = limit.per.keys().first().map(ToString::to_string).unwrap_or_default();
        let key: String = key.chars().take(LONGEST - 4).map(|c| if is_fit(c) { c } else { '_' }).collect();
        let mut name = key.clone();
        let mut next = 2;
        while !self.add(&name) {
            name = format!("{key}-{next}");
            next += 1;
        }
        name
    }
}

/// A name stands in quotes in the client's fields and as a label in metrics: nothing in it needs an escape.
fn is_fit(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-+".contains(c)
}

pub(super) fn check(name: &str) -> Result<(), ConfigError> {
    if (1..=LONGEST).contains(&name.len()) && name.chars().all(is_fit) {
        return Ok(());
    }
    let help = "write 1 to 64 letters, digits, `.`, `_`, `-` or `+`";
    Err(ConfigError::at("", format!("{name:?} is not a name for a limit")).help(help))
}

/// The same for the same names, in every gateway and in every build.
pub(super) fn id(parts: &[&str]) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    digest.iter().take(8).fold(0, |id, byte| id << 8 | u64::from(*byte))
}
