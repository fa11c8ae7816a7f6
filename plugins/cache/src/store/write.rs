//! An answer on its way into the store.

use std::sync::Arc;

use tidegate_core::cache::engine::{Error, ErrorType, HandleMiss, MissFinishType, Result};
use tidegate_core::{Bytes, async_trait};

use super::memory::{Flight, Memory};

/// Writes one answer. Dropped before it has finished, nothing is stored, and whoever reads it gets an error.
pub(super) struct Writer {
    memory: &'static Memory,
    flight: Arc<Flight>,
    /// As the head says.
    length: Option<u64>,
    tag: [u8; 8],
}

impl Writer {
    pub(super) fn new(memory: &'static Memory, flight: Arc<Flight>, length: Option<u64>) -> Self {
        let tag = flight.tag().to_be_bytes();
        Self { memory, flight, length, tag }
    }
}

#[async_trait]
impl HandleMiss for Writer {
    async fn write_body(&mut self, data: Bytes, _: bool) -> Result<()> {
        if !data.is_empty() {
            self.memory.append(&self.flight, &data);
        }
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<MissFinishType> {
        let written = self.flight.written();
        if self.length.is_some_and(|length| length != written) {
            self.memory.metrics().wrong_length.inc();
            return Error::e_explain(ErrorType::InternalError, "the body is not as long as its head says");
        }
        self.memory.commit(&self.flight);
        Ok(MissFinishType::Created(usize::try_from(written).unwrap_or(usize::MAX)))
    }

    fn streaming_write_tag(&self) -> Option<&[u8]> {
        Some(&self.tag)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.memory.give_up(&self.flight);
    }
}
