//! A router that knows paths with parameters, so that rules about them need no other plugin.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_auth::Auth;
use tidegate_core::{
    BuildCx, ConfigErrors, ConfigPath, Cx, Endpoint, Match, Params, RawConfig, Reply, RequestHead, Result, RouteId,
    RouteSpec, RouteTable, Routed, Router, Serve, StatusCode, async_trait,
};
use tidegate_testkit::{GatewayBuilder, gateway};

/// A gateway with the plugin and paths with parameters; what is let through is answered with 200.
pub(crate) fn with_paths() -> GatewayBuilder {
    gateway().router::<Paths>().plugin::<Auth>()
}

/// The first route whose path it is: `/users/{id}` and, with the rest of the path as a parameter, `/files/{rest}/**`.
pub(crate) struct Paths(Vec<(String, RouteId)>);

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    routes: Vec<Route>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Route {
    name: String,
    path: String,
    #[serde(default)]
    plugins: BTreeMap<String, RawConfig>,
}

struct Through;

#[async_trait]
impl Endpoint for Through {
    async fn serve(&self, _: &mut Cx<'_>) -> Result<Reply> {
        Ok(Reply::new(StatusCode::OK))
    }
}

impl Router for Paths {
    const NAME: &'static str = "routing";
    type Config = Config;

    fn build(config: Config, table: &mut RouteTable, _: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        let mut paths = Vec::new();
        for (index, route) in config.routes.into_iter().enumerate() {
            let place = ConfigPath::root().key("routes").index(index);
            let mut spec = RouteSpec::new(route.name, place, Serve::Here(Arc::new(Through)));
            spec.params = route.path.split('/').filter_map(name).map(Box::from).collect();
            spec.policies = route.plugins;
            paths.push((route.path, table.add(spec)));
        }
        Ok(Self(paths))
    }

    fn route(&self, head: &RequestHead<'_>) -> Routed {
        let found = self.0.iter().find_map(|(path, route)| Some((places(path, head.path)?, *route)));
        match found {
            Some((params, route)) => Routed::Found(Match { route, params, path: None }),
            None => Routed::None,
        }
    }
}

fn name(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// Where the parameters of `pattern` are in `path`.
fn places(pattern: &str, path: &str) -> Option<Params> {
    let (pattern, open) = pattern.strip_suffix("/**").map_or((pattern, false), |pattern| (pattern, true));
    let (mut params, mut at) = (Params::default(), 0);
    let mut segments = path.split('/');
    for wanted in pattern.split('/') {
        let segment = segments.next()?;
        match name(wanted) {
            Some(_) => params.push(at, at + segment.len()),
            None if wanted == segment => {}
            None => return None,
        }
        at += segment.len() + 1;
    }
    (open || segments.next().is_none()).then_some(params)
}
