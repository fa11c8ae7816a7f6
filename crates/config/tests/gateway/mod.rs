//! A configuration of the kind that the gateway has: small, but with one of everything.
#![expect(dead_code, reason = "that it can be read is the point, not what is done with it")]

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Deserialize;
use tidegate_core::config::{ByteSize, ConfigError, ConfigErrors, Duration, Percent, Rate, RawConfig, Secret};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gateway {
    pub(crate) listeners: Vec<Listener>,
    #[serde(default)]
    pub(crate) stores: BTreeMap<String, Store>,
    #[serde(default)]
    pub(crate) upstreams: BTreeMap<String, Upstream>,
    #[serde(default)]
    pub(crate) routing: Routing,
    #[serde(default)]
    pub(crate) auth: Auth,
    #[serde(default)]
    pub(crate) server: Server,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Server {
    pub(crate) threads: Option<u16>,
    pub(crate) drain: Option<Drain>,
    pub(crate) access_log: bool,
    pub(crate) sample: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Drain {
    pub(crate) delay: Duration,
    pub(crate) timeout: Duration,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listener {
    pub(crate) bind: SocketAddr,
    pub(crate) tls: Option<Tls>,
    pub(crate) body_limit: Option<ByteSize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    pub(crate) cert: String,
    pub(crate) key: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    pub(crate) redis: String,
    pub(crate) password: Option<Secret>,
    #[serde(default)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upstream {
    pub(crate) targets: Vec<String>,
    pub(crate) policy: Option<Policy>,
    pub(crate) canary: Option<Percent>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Policy {
    RoundRobin,
    LeastRequests,
    Sticky(Sticky),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sticky {
    pub(crate) cookie: String,
    pub(crate) ttl: Duration,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Routing {
    pub(crate) routes: Vec<Route>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Route {
    pub(crate) name: String,
    #[serde(rename = "match")]
    pub(crate) matches: Match,
    pub(crate) upstream: String,
    #[serde(default)]
    pub(crate) plugins: BTreeMap<String, RawConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Match {
    pub(crate) path: String,
    pub(crate) host: Option<String>,
    pub(crate) methods: Option<Vec<Method>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Method {
    Get,
    Post,
    Put,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Auth {
    pub(crate) providers: Vec<Provider>,
    pub(crate) admin_token: Option<Secret>,
    pub(crate) api_keys: Vec<Secret>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Provider {
    Anonymous,
    Jwt { issuer: String, secret: Secret, leeway: Option<Duration> },
    Basic { users: BTreeMap<String, Secret> },
}

/// What a plugin asks of a route.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateLimit {
    pub(crate) limits: Vec<Limit>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limit {
    pub(crate) rate: Rate,
    pub(crate) per: Per,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Per {
    Client,
    Identity,
}

impl Gateway {
    /// What no type can say: names lead somewhere, and policies are what their plugins take.
    pub(crate) fn check(&self) -> Result<(), ConfigErrors> {
        let mut errors = ConfigErrors::new();
        for (at, route) in self.routing.routes.iter().enumerate() {
            let path = format!("routing.routes[{at}]");
            if !self.upstreams.contains_key(&route.upstream) {
                let message = format!("there is no upstream `{}`", route.upstream);
                let known: Vec<&str> = self.upstreams.keys().map(String::as_str).collect();
                let help = format!("add it below `upstreams`, or use one of: {}", known.join(", "));
                errors.push(ConfigError::at(format!("{path}.upstream"), message).help(help));
            }
            for (name, policy) in &route.plugins {
                if name == "ratelimit" {
                    errors.collect(policy.read::<RateLimit>());
                } else {
                    let error = ConfigError::at(policy.path(), format!("there is no plugin `{name}`")).about_key();
                    errors.push(error.help("plugins: ratelimit"));
                }
            }
        }
        errors.into_result(())
    }
}
