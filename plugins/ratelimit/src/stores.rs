//! Where this configuration counts: one memory, and as many shared stores as its policies name.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tidegate_core::{BuildCx, Clock, ConfigError, ConfigErrors};

use crate::config::{self, Config, Consistency, OnStoreError, StoreName};
use crate::metrics::{LimitMetrics, Policies};
use crate::store::memory::{Memory, Size};
use crate::store::redis::{Pace, RedisStore, Shared};
use crate::store::{Guarded, Store};

/// The memory that every configuration of a gateway counts in, once one of them does.
#[derive(Default)]
pub(crate) struct Kept(Mutex<Option<Arc<Memory>>>);

impl Kept {
    /// The memory, if anybody has counted in it.
    pub(crate) fn get(&self) -> Option<Arc<Memory>> {
        self.0.lock().clone()
    }

    /// Gives it another size. Not while a configuration is built: one that is refused must not push keys out.
    pub(crate) fn resize(&self, size: Size) {
        let mut kept = self.0.lock();
        if let Some(memory) = kept.as_ref().filter(|memory| memory.size() != size) {
            let resized = memory.resized(size);
            *kept = Some(resized);
        }
    }
}

/// Where this configuration counts.
pub(crate) struct Stores {
    config: config::Memory,
    clock: Clock,
    kept: Arc<Kept>,
    consistency: Consistency,
    /// Every store that could be named, with what its groups share over all configurations.
    known: BTreeMap<String, RedisStore>,
    all: tidegate_core::Stores,
    /// Those that are named.
    used: Arc<Mutex<BTreeMap<String, RedisStore>>>,
    policies: Arc<Policies>,
}

impl Stores {
    pub(crate) fn build(config: &Config, cx: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        let all = cx.stores().clone();
        let known = all.names().filter_map(|name| {
            let redis = all.redis(name)?.clone();
            let shared = cx.retain(&format!("store {name} {}", config.prefix), || Shared::new(Pace::default()));
            Some((name.to_owned(), RedisStore::new(redis, &config.prefix, shared)))
        });
        let known = known.collect();
        let stores = Self {
            config: config.memory.clone(),
            clock: cx.clock().clone(),
            kept: cx.retain("memory", Kept::default),
            consistency: config.consistency.clone(),
            known,
            all,
            used: Arc::default(),
            policies: cx.retain("policies", Policies::default),
        };
        // A section that names a store that isn't there is wrong, whether a route comes to need it or not.
        if let StoreName::Named(name) = &config.store {
            stores.all.named(name).map_err(|error| error.under(&"store".into()))?;
        }
        Ok(stores)
    }

    /// The store called so, for limits that are asked for together and with no others. Errors have no path.
    pub(crate) fn of(
        &self,
        name: &StoreName,
        on_error: OnStoreError,
        tag: &str,
        metrics: &LimitMetrics,
    ) -> Result<Store, ConfigError> {
        let StoreName::Named(name) = name else { return Ok(Store::Memory(self.memory())) };
        self.all.named(name)?;
        let Some(redis) = self.known.get(&**name) else { return Ok(Store::Memory(self.memory())) };
        self.used.lock().entry(name.to_string()).or_insert_with(|| redis.clone());
        let lease = match self.consistency {
            Consistency::Strict => None,
            Consistency::Leased(lease) => Some(lease),
        };
        let local = (on_error == OnStoreError::Local).then(|| self.memory());
        Ok(Store::Shared(Arc::new(Guarded::new(redis.group(tag), lease, on_error, local, metrics.store_lost(name)))))
    }

    /// The memory: what the configuration before counted in, or what a file has kept.
    pub(crate) fn memory(&self) -> Arc<Memory> {
        self.kept.0.lock().get_or_insert_with(|| Arc::new(self.first())).clone()
    }

    /// How large the memory is to be.
    pub(crate) fn size(&self) -> Size {
        Size::from(self.config.size.as_usize())
    }

    fn first(&self) -> Memory {
        let size = self.size();
        let loaded = self.config.file.as_deref().map(|file| Memory::load(file, size, self.clock.clone()));
        match loaded {
            Some(Ok(Some(memory))) => memory,
            Some(Err(error)) => {
                log::warn!("what was counted before is lost: {error}");
                Memory::new(size, self.clock.clone())
            }
            Some(Ok(None)) | None => Memory::new(size, self.clock.clone()),
        }
    }

    /// The number by which the memory knows a limit.
    pub(crate) fn number(&self, limit: &str) -> u16 {
        self.policies.number(limit)
    }

    pub(crate) fn kept(&self) -> Arc<Kept> {
        self.kept.clone()
    }

    pub(crate) fn policies(&self) -> Arc<Policies> {
        self.policies.clone()
    }

    /// Complete once all routes are built.
    pub(crate) fn used(&self) -> Arc<Mutex<BTreeMap<String, RedisStore>>> {
        self.used.clone()
    }
}
