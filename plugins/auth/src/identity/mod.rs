//! What upstreams are told of who is asking.

use std::sync::Arc;

use tidegate_core::facts::Identity;
use tidegate_core::{Clock, ConfigErrors, HeaderName, RequestHeader};

use crate::config::Forwarding;
use crate::keys::KeyRing;

/// Removes what clients say of themselves, and says what is known.
pub(crate) struct Forwarder {}

impl Forwarder {
    /// `spoofable`: more fields to remove. `keys`: for the internal token. Errors are relative to `identity`.
    pub(crate) fn build(
        _config: &Forwarding,
        _spoofable: Vec<HeaderName>,
        _keys: Option<Arc<KeyRing>>,
        _clock: &Clock,
    ) -> Result<Self, ConfigErrors> {
        Ok(Self {})
    }

    /// Removes what the client sent, and writes what is known of it.
    pub(crate) fn apply(&self, _identity: Option<&Identity>, _head: &mut RequestHeader) -> tidegate_core::Result<()> {
        Ok(())
    }
}
