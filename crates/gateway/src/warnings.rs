//! What is allowed in a configuration, and yet likely a mistake.

use tidegate_config::{Document, Report};
use tidegate_core::config::{ConfigErrors, ConfigPath};

use crate::settings::Settings;

/// The warnings about a configuration that can be used, with their places.
pub(crate) fn about(settings: &Settings, document: &Document) -> Report {
    document.render(&all(settings))
}

fn all(settings: &Settings) -> ConfigErrors {
    let at = ConfigPath::root().key("upstreams");
    let upstreams = settings.upstreams.iter();
    upstreams.flat_map(|(name, upstream)| upstream.warnings().under(&at.key(name))).collect()
}

/// One line each. The log has no room for the excerpts that `tidegate check` shows.
pub(crate) fn log(warnings: &Report) {
    for warning in warnings.findings() {
        let place = warning.location.as_ref().map(ToString::to_string).unwrap_or_default();
        let (path, help) = (warning.path.to_string(), warning.help.as_deref().unwrap_or_default());
        log::warn!(place = place.as_str(), path = path.as_str(); "configuration: {}: {help}", warning.message);
    }
}
