//! Tokens that their issuer is asked about (RFC 7662).

use std::sync::Arc;

use tidegate_core::{BuildCx, ConfigErrors};

use crate::config::Introspection;
use crate::plugin::Parts;
use crate::verdict::Authenticator;

/// The provider. Errors are relative to its own map.
pub(crate) fn build(
    _config: &Introspection,
    _name: &str,
    _parts: &Parts,
    _cx: &mut BuildCx<'_>,
) -> Result<Arc<dyn Authenticator>, ConfigErrors> {
    Err(ConfigErrors::new())
}
