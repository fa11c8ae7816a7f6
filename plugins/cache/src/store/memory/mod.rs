//! Answers in memory, bounded by bytes.

use super::{Found, Slot};

pub(crate) struct Memory {}

impl Memory {
    pub(crate) fn find(&self, _slot: &Slot, _key: &[u8]) -> Option<Found> {
        None
    }
}
