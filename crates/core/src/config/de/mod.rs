//! From a [`Value`] to a typed configuration, with every fault and its place.

mod access;
mod error;
mod node;
mod prune;
mod standin;
#[cfg(test)]
mod tests;
mod track;
pub(super) mod words;

use serde::de::DeserializeOwned;

use super::raw::SecretPlaces;
use super::redact::nearest;
use super::{ConfigErrors, ConfigPath, Redactions, Value};
use error::DeError;
use node::Node;
use prune::Prune;
use track::Track;

/// More errors than this help nobody.
const MOST_ERRORS: usize = 50;
/// Readings, of which some find only the consequence of an error already known.
const MOST_READINGS: usize = 200;

/// Reads `value`, which stands at `base`, as a `T`.
///
/// Serde stops at the first error. So what is at fault is noted, then read around: the next reading does not see it,
/// and finds the next fault. An error that only says that we left something out is not reported.
pub(super) fn read_all<T: DeserializeOwned>(
    value: &Value,
    base: &ConfigPath,
    secrets: &SecretPlaces,
) -> Result<T, ConfigErrors> {
    let mut prune = Prune::default();
    let mut errors = ConfigErrors::new();
    for _ in 0..MOST_READINGS {
        let error = match read_once(value, Track::root(base, &prune, secrets)) {
            Ok(read) => return errors.into_result(read),
            Err(error) => error,
        };
        let path = error.path().unwrap_or(base).clone();
        let below = path.strip_prefix(base).unwrap_or_default();
        if !prune.explains(&error, below) {
            errors.push(error.describe(path.clone(), &redactions(value, &path, below)));
        }
        if errors.len() >= MOST_ERRORS || !prune.read_around(&error, below) {
            break;
        }
    }
    debug_assert!(!errors.is_empty(), "a reading failed, yet no error was noted");
    Err(errors)
}

fn read_once<T: DeserializeOwned>(value: &Value, track: Track<'_>) -> Result<T, DeError> {
    T::deserialize(Node { value, track: &track })
}

fn redactions(value: &Value, path: &ConfigPath, below: &[super::Segment]) -> Redactions {
    Redactions::of(nearest(value, below), path)
}
