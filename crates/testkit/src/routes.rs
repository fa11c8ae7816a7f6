//! A router that knows paths and nothing else, so that a plugin's tests need no other plugin.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::{ByteSize, Duration};
use tidegate_core::{
    Body, BuildCx, Bytes, ConfigError, ConfigErrors, ConfigPath, Cx, Endpoint, Match, Params, RawConfig, Reply,
    RequestHead, Result, RouteId, RouteLimits, RouteSpec, RouteTable, Routed, Router, Serve, StatusCode, async_trait,
};

/// The kit's router: exact paths, and prefixes that end in `/**`; the longest wins. Its section is `routing`, and what
/// it reads is written as for the real one.
#[derive(Debug)]
pub struct Routes(Vec<(String, RouteId)>);

/// The kit's `routing` section.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RoutesConfig {
    /// The routes.
    pub routes: Vec<RouteConfig>,
}

/// A route, as far as the kit's router knows one.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RouteConfig {
    /// Its name. Default `route-<n>`, counted from 0.
    pub name: Option<String>,
    /// What it matches: `{ path: "/a/**" }`. What else is in it is the real router's, and not looked at.
    #[serde(rename = "match")]
    pub matches: BTreeMap<String, RawConfig>,
    /// The pool that serves it.
    pub upstream: Option<String>,
    /// A fixed answer.
    pub reply: Option<ReplyConfig>,
    /// An endpoint of a plugin, with its configuration.
    pub endpoint: Option<BTreeMap<String, RawConfig>>,
    /// What requests may be like.
    pub limits: LimitsConfig,
    /// How long things may take.
    pub timeouts: TimeoutsConfig,
    /// What the route asks of plugins.
    pub plugins: BTreeMap<String, RawConfig>,
}

/// A fixed answer.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReplyConfig {
    /// The status. Default 200.
    pub status: Option<u16>,
    /// The body.
    pub body: String,
}

/// What requests of a route may be like.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// The longest body.
    pub body: Option<ByteSize>,
}

/// How long things may take on a route.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TimeoutsConfig {
    /// The whole request.
    pub request: Option<Duration>,
    /// To connect to the upstream.
    pub connect: Option<Duration>,
    /// Between two reads from the upstream.
    pub read: Option<Duration>,
    /// For one write to the upstream.
    pub write: Option<Duration>,
}

impl Router for Routes {
    const NAME: &'static str = "routing";
    type Config = RoutesConfig;

    fn build(config: RoutesConfig, table: &mut RouteTable, _: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let mut paths = Vec::new();
        for (index, route) in config.routes.into_iter().enumerate() {
            let place = ConfigPath::root().key("routes").index(index);
            let pattern = route.matches.get("path").and_then(|path| path.value().as_str()).unwrap_or("/**").to_owned();
            if let Some(spec) = errors.collect(route.spec(index, &place, &pattern)) {
                paths.push((pattern, table.add(spec)));
            }
        }
        errors.into_result(Self(paths))
    }

    fn route(&self, head: &RequestHead<'_>) -> Routed {
        let fits = |pattern: &str| match pattern.strip_suffix("/**") {
            Some(prefix) => {
                let below = head.path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
                below.then_some(prefix.len())
            }
            None => (head.path == pattern).then_some(usize::MAX),
        };
        let best = self.0.iter().filter_map(|(pattern, id)| Some((fits(pattern)?, *id))).max_by_key(|(fit, _)| *fit);
        match best {
            Some((_, route)) => Routed::Found(Match { route, params: Params::default(), path: None }),
            None => Routed::None,
        }
    }
}

impl RouteConfig {
    fn spec(self, index: usize, place: &ConfigPath, pattern: &str) -> Result<RouteSpec, ConfigErrors> {
        let name = self.name.unwrap_or_else(|| format!("route-{index}"));
        let serve = match (self.upstream, self.reply, self.endpoint.and_then(|endpoint| endpoint.into_iter().next())) {
            (Some(upstream), None, None) => Serve::Upstream(upstream),
            (None, Some(reply), None) => Serve::Here(Arc::new(Fixed::new(&reply, place)?)),
            (None, None, Some((name, config))) => Serve::Endpoint(name, config),
            _ => return Err(ConfigError::at(place, "a route has one of `upstream`, `reply` and `endpoint`").into()),
        };
        let mut spec = RouteSpec::new(name, place.clone(), serve);
        spec.summary = pattern.to_owned();
        spec.mounts = pattern.strip_suffix("/**").map(Box::from).into_iter().collect();
        spec.policies = self.plugins;
        spec.limits = RouteLimits {
            body: self.limits.body,
            request: self.timeouts.request,
            connect: self.timeouts.connect,
            read: self.timeouts.read,
            write: self.timeouts.write,
        };
        Ok(spec)
    }
}

struct Fixed(StatusCode, Bytes);

impl Fixed {
    fn new(reply: &ReplyConfig, place: &ConfigPath) -> Result<Self, ConfigErrors> {
        let status = StatusCode::from_u16(reply.status.unwrap_or(200));
        let status = status.map_err(|_| ConfigError::at(place.key("reply").key("status"), "not a status"))?;
        Ok(Self(status, reply.body.clone().into()))
    }
}

#[async_trait]
impl Endpoint for Fixed {
    async fn serve(&self, _: &mut Cx<'_>) -> Result<Reply> {
        Ok(Reply::new(self.0).body(Body::Bytes(self.1.clone())))
    }
}
