//! Which store has the revocations.

use std::sync::Arc;
use std::time::Duration;

use tidegate_core::{BuildCx, ConfigError, ConfigErrors};

use crate::config::service::StoreChoice;
use crate::config::{Revocation as RevocationConfig, RevocationMode};
use crate::store::Store;

/// More often than every half of this, nobody's store is to be read.
const SHORTEST_LEARN: Duration = Duration::from_millis(50);
const LONGEST_LEARN: Duration = Duration::from_secs(3600);

/// A store, and by what it is known over reloads.
type Opened = (Arc<dyn Store>, String);

/// The store. Errors are relative to `revocation`.
pub(super) fn store(
    config: &RevocationConfig,
    service: Option<(&StoreChoice, Arc<dyn Store>)>,
    cx: &mut BuildCx<'_>,
) -> Result<Option<Opened>, ConfigErrors> {
    let mut errors = ConfigErrors::new();
    if !(SHORTEST_LEARN..=LONGEST_LEARN).contains(&config.learn.get()) {
        errors.push(ConfigError::at("learn", "must be from 50ms to 1h"));
    }
    let store = match (service, &config.store) {
        (Some((choice, store)), None) => Some((store, name(choice))),
        (Some((choice, store)), Some(named)) if choice.redis.as_ref() == Some(named) => Some((store, name(choice))),
        (Some(_), Some(_)) => {
            let error = ConfigError::at("store", "the token service keeps what it revokes in its own store");
            errors.push(error.help("leave it out, or name the store of `service.store.redis`"));
            None
        }
        (None, Some(named)) => errors.collect(open(named, cx)),
        (None, None) => None,
    };
    if store.is_none() && errors.is_empty() && config.mode == RevocationMode::Strict {
        let error = ConfigError::at("mode", "there is no store that could be asked about tokens");
        errors.push(error.help("name one of `stores:` with `store:`, or leave `mode` out"));
    }
    errors.into_result(store)
}

/// Opens a store of `stores:` that somebody else's token service writes to, or operators do.
fn open(named: &str, cx: &mut BuildCx<'_>) -> Result<Opened, ConfigError> {
    let store = crate::store::open_shared(named, cx).map_err(|error| error.under(&"store".into()))?;
    Ok((store, name(&StoreChoice { redis: Some(named.to_owned()), ..StoreChoice::default() })))
}

fn name(choice: &StoreChoice) -> String {
    match (&choice.file, &choice.redis) {
        (Some(file), _) => format!("file/{}", file.display()),
        (None, Some(redis)) => format!("redis/{redis}/{}", choice.prefix.as_deref().unwrap_or_default()),
        (None, None) => String::new(),
    }
}
