//! The store as Pingora's state machine sees it.

use std::any::Any;
use std::sync::Arc;

use tidegate_core::async_trait;
use tidegate_core::cache::engine::{
    CacheKey, CacheMeta, Error, ErrorType, HitHandler, MissHandler, PurgeOutcome, PurgeTarget, PurgeType, Result,
    SpanHandle, Storage,
};

use super::write::Writer;
use super::{Head, Hit, Slot, Store};

#[async_trait]
impl Storage for Store {
    async fn lookup(&'static self, key: &CacheKey, _: &SpanHandle) -> Result<Option<(CacheMeta, HitHandler)>> {
        let (slot, whole_key) = (Slot::of(key), full_key(key));
        Ok(self.memory.hit(&slot, whole_key).map(found))
    }

    async fn lookup_streaming_write(
        &'static self,
        key: &CacheKey,
        tag: Option<&[u8]>,
        _: &SpanHandle,
    ) -> Result<Option<(CacheMeta, HitHandler)>> {
        let tag = tag.and_then(|tag| tag.try_into().ok()).map(u64::from_be_bytes);
        let flight = tag.and_then(|tag| self.memory.flight(&Slot::of(key), tag));
        Ok(flight.and_then(Hit::writers_own).map(found))
    }

    async fn get_miss_handler(&'static self, key: &CacheKey, meta: &CacheMeta, _: &SpanHandle) -> Result<MissHandler> {
        let head = Head::of(meta);
        let length = head.length();
        if length.is_some_and(|length| !self.fits(length)) {
            // Pingora then goes on without its cache.
            self.memory.metrics().too_long.inc();
            return Error::e_explain(ErrorType::InternalError, "longer than what the cache keeps");
        }
        let flight = self.memory.begin(Slot::of(key), full_key(key), Arc::new(head));
        Ok(Box::new(Writer::new(&self.memory, flight, length)))
    }

    async fn purge(
        &'static self,
        target: PurgeTarget<'_>,
        _: PurgeType,
        _: &SpanHandle,
    ) -> Result<PurgeOutcome> {
        let removed = self.memory.remove(&Slot::of(target.key()));
        Ok(if removed { PurgeOutcome::Purged(None) } else { PurgeOutcome::NotFound })
    }

    async fn update_meta(&'static self, key: &CacheKey, meta: &CacheMeta, _: &SpanHandle) -> Result<bool> {
        Ok(self.memory.replace_head(&Slot::of(key), full_key(key), Arc::new(Head::of(meta))))
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

fn full_key(key: &CacheKey) -> &[u8] {
    key.primary_key()
}
