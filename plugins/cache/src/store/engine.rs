//! The store as Pingora's state machine sees it.

use std::any::Any;
use std::sync::Arc;

use tidegate_core::async_trait;
use tidegate_core::cache::engine::{
    CacheKey, CacheMeta, Error, ErrorType, HitHandler, MissHandler, PurgeOutcome, PurgeTarget, PurgeType, Result,
    SpanHandle, Storage,
};

use super::{Head, Hit, Slot, Store};

#[async_trait]
impl Storage for Store {
    async fn lookup(&'static self, key: &CacheKey, _: &SpanHandle) -> Result<Option<(CacheMeta, HitHandler)>> {
        Ok(self.look_up(&Slot::of(key), key.primary_key()).await.map(found))
    }

    async fn lookup_streaming_write(
        &'static self,
        key: &CacheKey,
        tag: Option<&[u8]>,
        _: &SpanHandle,
    ) -> Result<Option<(CacheMeta, HitHandler)>> {
        let tag = tag.and_then(|tag| tag.try_into().ok()).map(u64::from_be_bytes);
        Ok(tag.and_then(|tag| self.writers_own(&Slot::of(key), tag)).map(found))
    }

    async fn get_miss_handler(&'static self, key: &CacheKey, meta: &CacheMeta, _: &SpanHandle) -> Result<MissHandler> {
        match self.write(Slot::of(key), key.primary_key(), Arc::new(Head::of(meta))) {
            Some(writer) => Ok(Box::new(writer)),
            // Pingora then goes on without its cache.
            None => Error::e_explain(ErrorType::InternalError, "longer than what the cache keeps"),
        }
    }

    async fn purge(&'static self, target: PurgeTarget<'_>, _: PurgeType, _: &SpanHandle) -> Result<PurgeOutcome> {
        let removed = self.remove(&Slot::of(target.key())).await;
        Ok(if removed { PurgeOutcome::Purged(None) } else { PurgeOutcome::NotFound })
    }

    async fn update_meta(&'static self, key: &CacheKey, meta: &CacheMeta, _: &SpanHandle) -> Result<bool> {
        Ok(self.replace_head(&Slot::of(key), key.primary_key(), Arc::new(Head::of(meta))).await)
    }

    fn support_streaming_partial_write(&self) -> bool {
        true
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync + 'static) {
        self
    }
}

fn found(hit: Hit) -> (CacheMeta, HitHandler) {
    (hit.head().to_meta(), Box::new(hit))
}
