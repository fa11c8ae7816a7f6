//! What is allowed in a configuration, and yet likely a mistake.

use tidegate_config::{Document, Report};
use tidegate_core::config::{ConfigErrors, ConfigPath};

use crate::generation::Generation;

/// The warnings about a configuration that can be used, with their places.
pub(crate) fn about(generation: &Generation, document: &Document) -> Report {
    document.render(&all(generation))
}

fn all(generation: &Generation) -> ConfigErrors {
    let at = ConfigPath::root().key("upstreams");
    let upstreams = generation.settings.upstreams.iter();
    let upstreams = upstreams.flat_map(|(name, upstream)| upstream.warnings().under(&at.key(name)));
    upstreams.chain(generation.warnings.clone()).collect()
}

/// One line each. The log has no room for the excerpts that `tidegate check` shows.
pub(crate) fn log(warnings: &Report) {
    for warning in warnings.findings() {
        let place = warning.location.as_ref().map(ToString::to_string).unwrap_or_default();
        let (path, help) = (warning.path.to_string(), warning.help.as_deref().unwrap_or_default());
        log::warn!(place = place.as_str(), path = path.as_str(); "configuration: {}: {help}", warning.message);
    }
}
