//! An answer on its way into the store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_core::cache::engine::{Error, ErrorType, HandleMiss, MissFinishType, Result};
use tidegate_core::{Bytes, async_trait};

use super::Store;
use super::memory::{Behind, Flight, Memory};
use super::tier::Overflow;

/// How much of a body that isn't kept is held for its readers before its writer waits for them.
const WINDOW: u64 = 1 << 20;

/// How much of it, before the writer waits for its own client. Pingora looks for something new to write seven times as often
/// as for something to send, so a fast client lags as well, though never by much for long.
const OWN_WINDOW: u64 = 4 << 20;

/// For each so much beyond that, the writer waits twice as long.
const STEP: u64 = 512 << 10;

/// The first such wait.
const LEAST_WAIT: Duration = Duration::from_millis(10);

/// How often it is doubled at most: a third of a second. Pingora may wait seven times before it sends the next piece.
const MOST_DOUBLED: u64 = 5;

/// For how long a reader may take nothing while the writer of what it reads waits for it.
const READERS_TIME: Duration = Duration::from_secs(10);

/// The same for the writer's own client, which gets its next piece only when it has taken all that is on its way to it.
const OWN_TIME: Duration = Duration::from_secs(300);

/// Writes one answer. Dropped before it has finished, nothing is stored, and whoever reads it gets an error.
pub(super) struct Writer {
    store: &'static Store,
    memory: &'static Memory,
    flight: Arc<Flight>,
    /// As the head says.
    length: Option<u64>,
    tag: [u8; 8],
    /// How much its own client has had, and since when.
    own: Option<(u64, Instant)>,
    /// What is too long for memory goes to the disk.
    overflow: Option<Overflow>,
}

impl Writer {
    pub(super) fn new(store: &'static Store, flight: Arc<Flight>, length: Option<u64>) -> Self {
        let tag = flight.tag().to_be_bytes();
        Self { store, memory: &store.memory, flight, length, tag, own: None, overflow: None }
    }

    /// Sends to the disk what memory doesn't keep.
    async fn overflow(&mut self, data: &Bytes) {
        let length = self.flight.written() + data.len() as u64;
        if let Some(overflow) = self.overflow.take_if(|_| length > self.store.tier.max_object()) {
            overflow.give_up(&self.store.tier);
            self.memory.metrics().too_long.inc();
        } else if let Some(overflow) = &mut self.overflow {
            overflow.write(data.clone()).await;
        } else if !self.flight.passes() && self.memory.outgrows(&self.flight, data.len() as u64) {
            let (flight, mut body) = (&self.flight, self.flight.body());
            body.push(data.clone());
            self.overflow = self.store.tier.begin(flight.slot, &flight.key, flight.said().clone(), &body).await;
        }
    }

    /// Waits until those who read have come near, if it is not kept for them.
    async fn pace(&mut self) -> Result<()> {
        while let Some(Behind::Others) = self.flight.behind(WINDOW) {
            if tokio::time::timeout(READERS_TIME, self.flight.taken()).await.is_err() {
                self.memory.metrics().slow_reader.inc();
                self.flight.cut_slowest();
            }
        }
        match self.flight.behind(OWN_WINDOW) {
            Some(Behind::Own { held, had }) => self.wait_for_own(held, had).await,
            _ => Ok(()),
        }
    }

    /// Pingora sends nothing to the client while this waits, so this does not wait for the client, but for a time: the more
    /// is held, the longer.
    async fn wait_for_own(&mut self, held: u64, had: u64) -> Result<()> {
        let now = Instant::now();
        let since = match self.own {
            Some((before, since)) if before == had => since,
            _ => now,
        };
        self.own = Some((had, since));
        // One that has not taken anything yet wants none of it: the answer to HEAD.
        let patience = if had == 0 { READERS_TIME } else { OWN_TIME };
        if now.duration_since(since) > patience {
            self.memory.metrics().slow_reader.inc();
            return Error::e_explain(ErrorType::InternalError, "too slow for an answer that is too long to be stored");
        }
        let doubled = (held.saturating_sub(OWN_WINDOW) / STEP).min(MOST_DOUBLED);
        tokio::time::sleep(LEAST_WAIT * (1 << doubled)).await;
        Ok(())
    }
}

#[async_trait]
impl HandleMiss for Writer {
    async fn write_body(&mut self, data: Bytes, _: bool) -> Result<()> {
        if !data.is_empty() {
            self.overflow(&data).await;
            if self.memory.append(&self.flight, &data) && self.overflow.is_none() {
                self.memory.metrics().too_long.inc();
            }
            self.pace().await?;
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<MissFinishType> {
        let written = self.flight.written();
        if self.length.is_some_and(|length| length != written) {
            self.memory.metrics().wrong_length.inc();
            self.memory.give_up(&self.flight);
            return Error::e_explain(ErrorType::InternalError, "the body is not as long as its head says");
        }
        self.memory.commit(&self.flight);
        match self.overflow.take() {
            Some(overflow) => {
                // What memory has is an older one.
                self.memory.forget(&self.flight.slot);
                overflow.finish(&self.store.tier);
            }
            None if !self.flight.passes() => self.store.is_newer(&self.flight.slot),
            None => {}
        }
        Ok(MissFinishType::Created(usize::try_from(written).unwrap_or(usize::MAX)))
    }

    fn streaming_write_tag(&self) -> Option<&[u8]> {
        Some(&self.tag)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(overflow) = self.overflow.take() {
            overflow.give_up(&self.store.tier);
        }
        if self.memory.give_up(&self.flight) {
            self.memory.metrics().broken.inc();
        }
    }
}
