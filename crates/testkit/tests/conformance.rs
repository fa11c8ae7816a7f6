//! The conformance test, on a plugin that keeps to the rules.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::Secret;
use tidegate_core::{BuildCx, ConfigErrors, Handler, Plugin, Route};

struct Stamp;

/// The section.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[allow(dead_code, reason = "only read from the configuration")]
struct StampConfig {
    /// The key.
    key: Option<Secret>,
}

/// The policy.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read from the configuration")]
struct StampPolicy {
    /// What is stamped on.
    text: String,
}

struct Stamper;
impl Handler for Stamper {}

impl Plugin for Stamp {
    const NAME: &'static str = "stamp";
    type Config = StampConfig;
    type Policy = StampPolicy;
    type Handler = Stamper;

    fn build(_: StampConfig, _: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }
    fn handler(&self, _: StampPolicy, _: &Route) -> Result<Stamper, ConfigErrors> {
        Ok(Stamper)
    }
}

tidegate_testkit::conformance!(Stamp, "stamp.md");
