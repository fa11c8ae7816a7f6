//! The smallest router: every request goes to one upstream.
//!
//! Routers are as replaceable as plugins are. A gateway for real use takes `tidegate_routing::Routing` in place of
//! this one: one line in `Cargo.toml`, one word in `main.rs`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::{
    BuildCx, ConfigErrors, ConfigPath, Match, Params, RawConfig, RequestHead, RouteId, RouteSpec, RouteTable, Routed,
    Router, Serve,
};

/// Sends everything to one upstream.
pub struct OnePool(RouteId);

/// The `all:` section.
///
/// ```yaml
/// all: { upstream: app, plugins: { maintenance: {} } }
/// ```
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct All {
    /// The upstream's name under `upstreams:`.
    upstream: String,
    /// What is asked of plugins, by plugin name. Default: nothing.
    #[serde(default)]
    plugins: BTreeMap<String, RawConfig>,
}

impl Router for OnePool {
    const NAME: &'static str = "all";
    type Config = All;

    fn build(config: All, table: &mut RouteTable, _: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        let mut route = RouteSpec::new("all", ConfigPath::root(), Serve::Upstream(config.upstream));
        route.summary = "every request".to_owned();
        route.policies = config.plugins;
        Ok(Self(table.add(route)))
    }

    fn route(&self, _: &RequestHead<'_>) -> Routed {
        Routed::Found(Match { route: self.0, params: Params::default(), path: None })
    }
}
