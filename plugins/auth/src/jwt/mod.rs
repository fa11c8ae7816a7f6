//! Signed tokens: their form, their keys, their claims.

use std::sync::Arc;

use tidegate_core::{BuildCx, ConfigErrors};

use crate::config::Jwt;
use crate::plugin::Parts;
use crate::verdict::Authenticator;

/// The keys that tokens may be checked with, at one moment.
#[derive(Debug, Default)]
pub(crate) struct Keys {}

impl Keys {
    /// The keys of a set (RFC 7517 section 5). Those that can't be used here are left out.
    pub(crate) fn from_jwks(_text: &[u8]) -> Result<Self, String> {
        Ok(Self {})
    }
}

/// Where keys come from.
#[async_trait::async_trait]
pub(crate) trait KeySource: Send + Sync {
    /// The keys as they are known now; `None` if there are none yet.
    fn keys(&self) -> Option<Arc<Keys>>;

    /// Tries to have newer ones, because there are none or one is missing; returns when that is done, or not to be
    /// tried now. The error is why there still are none.
    async fn renew(&self) -> Result<(), String>;
}

/// A provider for the tokens of others.
pub(crate) fn build(
    _config: &Jwt,
    _name: &str,
    _parts: &Parts,
    _cx: &mut BuildCx<'_>,
) -> Result<Arc<dyn Authenticator>, ConfigErrors> {
    Err(ConfigErrors::new())
}

/// A provider for the token service's own access tokens.
pub(crate) fn own(
    _name: &str,
    _issuer: &str,
    _audience: &str,
    _keys: Arc<dyn KeySource>,
    _parts: &Parts,
) -> Arc<dyn Authenticator> {
    unreachable!("built with the providers")
}
