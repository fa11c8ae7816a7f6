//! The certificate of the TLS connection.

use std::sync::Arc;

use tidegate_core::{BuildCx, ConfigErrors};

use crate::config::ClientCertificate;
use crate::plugin::Parts;
use crate::verdict::Authenticator;

/// The provider. Errors are relative to its own map.
pub(crate) fn build(
    _config: &ClientCertificate,
    _name: &str,
    _parts: &Parts,
    _cx: &mut BuildCx<'_>,
) -> Result<Arc<dyn Authenticator>, ConfigErrors> {
    Err(ConfigErrors::new())
}
