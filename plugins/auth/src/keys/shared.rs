//! Keys that gateways share in a store.

use std::sync::Arc;

use tidegate_core::ConfigError;
use tidegate_core::config::Secret;

use super::sealed::Seal;
use super::set::{KeySet, Schedule};
use super::snapshot::Snapshot;
use crate::id::Millis;
use crate::store::Store;

/// How often gateways that change keys at the same moment try again.
const ROUNDS: usize = 8;

/// Keys in a store, sealed.
pub(super) struct Shared {
    store: Arc<dyn Store>,
    seal: Seal,
}

impl Shared {
    /// Errors are relative to `store`.
    pub(super) fn new(store: Arc<dyn Store>, secret: &Secret) -> Result<Self, ConfigError> {
        let seal = Seal::new(secret).ok_or_else(|| ConfigError::at("secret", "no key can be made of it"))?;
        Ok(Self { store, seal })
    }

    pub(super) fn fingerprint(&self) -> &str {
        self.seal.fingerprint()
    }

    /// Brings the store's keys up to the schedule; what they are then, `None` if they are still those that are `known`
    /// here. Of gateways that do so at once one is first, and the others take what it has made. A store that has lost
    /// its keys gets those that are known: the tokens that are out there stay good.
    pub(super) async fn sync(
        &self,
        known: Option<&KeySet>,
        schedule: &Schedule,
        now: Millis,
    ) -> Result<Option<Snapshot>, String> {
        for _ in 0..ROUNDS {
            let kept = self.store.keys().await.map_err(|error| error.to_string())?;
            let (version, kept) = match kept {
                Some((version, sealed)) => (version, Some(self.open(&sealed)?)),
                None => (0, None),
            };
            let base = kept.as_ref().or(known);
            let wanted = match schedule.planned(base, now).await? {
                Some(next) => next,
                None => base.ok_or("there are no keys")?.clone(),
            };
            let changed = kept.as_ref() != Some(&wanted);
            if changed && !self.put(version, &wanted).await? {
                continue;
            }
            let newer = known != Some(&wanted);
            return newer.then(|| Snapshot::new(&wanted)).transpose();
        }
        Err("other gateways change the keys all the time".to_owned())
    }

    async fn put(&self, version: u64, set: &KeySet) -> Result<bool, String> {
        let sealed = self.seal.seal(&set.to_bytes()).ok_or("the keys can't be sealed")?;
        self.store.swap_keys(version, &sealed).await.map_err(|error| error.to_string())
    }

    fn open(&self, sealed: &[u8]) -> Result<KeySet, String> {
        let open = self.seal.open(sealed).ok_or("they were sealed with another `store.secret`")?;
        KeySet::parse(&open)
    }
}
