//! An account is locked for the client that failed, longer each time. Nobody can lock others out from elsewhere.

use std::time::Duration;

use super::{Guard, Marks};
use crate::id::Millis;
use crate::store::{Counter, StoreError};

/// What is kept of a lock. It is remembered for `max` after its end, for the next one to be longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lock {
    until: Millis,
    /// How many came before it.
    level: u8,
}

impl Guard {
    /// How long the account is still locked for this client.
    pub(super) async fn locked(&self, marks: &Marks, now: Millis) -> Result<Option<Duration>, StoreError> {
        if self.lockout.failures == 0 || marks.account.is_none() {
            return Ok(None);
        }
        let lock = self.lock(marks, now).await?;
        Ok(lock.filter(|lock| lock.until > now).map(|lock| lock.until.since(now)))
    }

    /// Counts a failure; whether it was one too many.
    pub(super) async fn lock_after(&self, marks: &Marks, now: Millis) -> Result<bool, StoreError> {
        if self.lockout.failures == 0 || marks.account.is_none() {
            return Ok(false);
        }
        let counter = Counter { key: marks.failures, window: self.lockout.window.get() };
        let counted = self.store.count(&[counter], 1, now).await?;
        // Of failures at the same time one locks: their counts differ.
        let locks = counted.first().is_some_and(|counted| counted.count % self.lockout.failures == 0);
        if locks {
            let level = self.lock(marks, now).await?.map_or(0, |lock| lock.level.saturating_add(1));
            let until = now.plus(self.duration(level));
            let (value, remembered) = (Lock { until, level }.to_bytes(), until.plus(self.lockout.max.get()));
            self.store.put(marks.lock, &value, remembered, false, now).await?;
        }
        Ok(locks)
    }

    async fn lock(&self, marks: &Marks, now: Millis) -> Result<Option<Lock>, StoreError> {
        Ok(self.store.get(marks.lock, now).await?.and_then(|value| Lock::read(&value)))
    }

    fn duration(&self, level: u8) -> Duration {
        let doubled = 1_u32.checked_shl(u32::from(level)).unwrap_or(u32::MAX);
        self.lockout.duration.get().saturating_mul(doubled).min(self.lockout.max.get())
    }
}

impl Lock {
    fn to_bytes(self) -> [u8; 9] {
        let mut bytes = [0; 9];
        bytes[..8].copy_from_slice(&self.until.0.to_be_bytes());
        bytes[8] = self.level;
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (until, level) = bytes.split_first_chunk::<8>()?;
        let [level] = *level else { return None };
        Some(Self { until: Millis(u64::from_be_bytes(*until)), level })
    }
}
