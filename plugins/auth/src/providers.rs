//! All providers of the section, and which of them decides.

use std::sync::Arc;

use tidegate_core::{BuildCx, ConfigErrors, ConfigPath};

use crate::config::Config;
use crate::plugin::Parts;
use crate::verdict::Authenticator;

/// All providers, in order.
pub(crate) struct Providers(pub(crate) Vec<Arc<dyn Authenticator>>);

impl Providers {
    /// Errors are relative to the section.
    pub(crate) fn build(config: &Config, parts: &Parts, cx: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let mut all = Vec::new();
        for (index, provider) in config.providers.iter().enumerate() {
            let at = ConfigPath::from("providers").index(index);
            let name = provider.name.as_deref().unwrap_or("jwt");
            if let Some(jwt) = &provider.jwt {
                let built = crate::jwt::build(jwt, name, parts, cx);
                all.extend(errors.collect(built.map_err(|e| e.under(&at.key("jwt")))));
            }
        }
        errors.into_result(Self(all))
    }
}
