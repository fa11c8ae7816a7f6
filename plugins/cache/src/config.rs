//! The plugin's section, and what a route asks of it.

mod disk;
mod policy;
mod purge;
mod warm;
mod zone;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

pub use disk::*;
pub use policy::*;
pub use purge::*;
pub use warm::*;
pub use zone::*;

/// The section.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where answers are kept, by name. A route names one with `zone`; without any there is one, called `main`.
    pub zones: BTreeMap<String, ZoneConfig>,
    /// Other gateways that purge what this one purges. Default: none.
    pub fleet: Option<FleetConfig>,
    /// What is fetched before anybody asks for it. Default: nothing.
    pub warm: Option<WarmConfig>,
}
