//! The keys that the token service signs with.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};
use tidegate_core::{BuildCx, Bytes, ConfigErrors};

use crate::config::service::Service;
use crate::jwt::{KeySource, Keys};
use crate::store::Store;

/// The current signing key, the next one and those whose tokens still live.
pub(crate) struct KeyRing {}

/// There are no keys yet: the store has not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no signing keys yet")]
pub(crate) struct NoKeys;

impl KeyRing {
    /// Opens or makes the keys, and spawns their rotation. In a dry run nothing is read or made. Errors are relative to
    /// `service`.
    pub(crate) fn open(
        _config: &Service,
        _store: &Arc<dyn Store>,
        _cx: &mut BuildCx<'_>,
    ) -> Result<Arc<Self>, ConfigErrors> {
        Ok(Arc::new(Self {}))
    }

    /// Signs a token.
    pub(crate) fn sign(&self, _typ: &str, _claims: &Map<String, Value>) -> Result<String, NoKeys> {
        Err(NoKeys)
    }

    /// What is published (RFC 7517).
    pub(crate) fn jwks(&self) -> Result<Bytes, NoKeys> {
        Err(NoKeys)
    }

    /// HMAC-SHA256 with a key of the ring that never leaves the gateways, for one purpose.
    pub(crate) fn mac(&self, _purpose: &str, _data: &[u8]) -> Result<[u8; 32], NoKeys> {
        Err(NoKeys)
    }
}

#[async_trait]
impl KeySource for KeyRing {
    fn keys(&self) -> Option<Arc<Keys>> {
        None
    }

    async fn renew(&self) -> Result<(), String> {
        Err(NoKeys.to_string())
    }
}
