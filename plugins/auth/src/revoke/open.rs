//! Which store has the revocations.

use std::sync::Arc;
use std::time::Duration;

use tidegate_core::{BuildCx, ConfigError, ConfigErrors};

use crate::config::service::StoreChoice;
use crate::config::{Revocation as RevocationConfig, RevocationMode};
use crate::store::{Store, place};

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
    if config.prefix.is_some() && (service.is_some() || config.store.is_none()) {
        let error = ConfigError::at("prefix", "it says nothing without `store`");
        errors.push(error.help("the token service's own keys begin with `service.store.prefix`"));
    }
    let store = match (service, &config.store) {
        (Some((choice, store)), None) => Some((store, place(choice, cx))),
        (Some((choice, store)), Some(named)) if choice.redis.as_ref() == Some(named) => {
            Some((store, place(choice, cx)))
        }
        (Some(_), Some(_)) => {
            let error = ConfigError::at("store", "the token service keeps what it revokes in its own store");
            errors.push(error.help("leave it out, or name the store of `service.store.redis`"));
            None
        }
        (None, Some(named)) => errors.collect(open(named, config.prefix.as_deref(), cx)),
        (None, None) => None,
    };
    if store.is_none() && errors.is_empty() && config.mode == RevocationMode::Strict {
        let error = ConfigError::at("mode", "there is no store that could be asked about tokens");
        errors.push(error.help("name one of `stores:` with `store:`, or leave `mode` out"));
    }
    errors.into_result(store)
}

/// Opens a store of `stores:` that somebody else's token service writes to, or operators do.
fn open(named: &str, prefix: Option<&str>, cx: &mut BuildCx<'_>) -> Result<Opened, ConfigError> {
    let choice =
        StoreChoice { redis: Some(named.to_owned()), prefix: prefix.map(ToOwned::to_owned), ..StoreChoice::default() };
    let store = crate::store::open_shared(&choice, cx)?;
    Ok((store, place(&choice, cx)))
}
