//! What works, but not as well as its author will want.

use tidegate_core::config::{ConfigError, ConfigErrors};

use crate::config::UpstreamConfig;

impl UpstreamConfig {
    /// What is allowed and yet likely a mistake, with paths relative to this upstream. `tidegate check --strict`
    /// refuses it.
    ///
    /// Several targets of which nobody would notice that one is down: its share of the requests fails.
    pub fn warnings(&self) -> ConfigErrors {
        let several = self.targets.len() > 1 || !self.discovery.is_empty();
        if !several || self.health.is_some() || self.outlier.is_some() {
            return ConfigErrors::new();
        }
        let place = if self.targets.is_empty() { "discovery" } else { "targets" };
        ConfigError::at(place, "several targets, and nothing notices when one of them fails")
            .help("add `health: {}` to ask them how they are, or `outlier: {}` to judge them by their answers")
            .into()
    }
}
