//! Whole tables of routes, without a gateway.

mod conditions;
mod conflicts;
mod errors;
mod explain;
mod lookup;
mod model;
mod responses;
mod speed;

use http::{HeaderMap, HeaderName, Method};
use serde_json::{Value as Json, json};
use tidegate_core::config::Value;
use tidegate_core::{ConfigErrors, RawConfig, RequestHead, RouteTable, Routed, Router, Scheme};

use crate::{Routing, RoutingConfig};

/// A router and its table.
struct Built {
    routing: Routing,
    table: RouteTable,
}

/// A request of which only what a test is about is set.
struct Ask {
    method: Method,
    host: String,
    path: String,
    query: Option<String>,
    headers: HeaderMap,
    client: &'static str,
    scheme: Scheme,
    listener: &'static str,
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(b) => (*b).into(),
        Json::Number(n) => n.as_i64().map_or_else(|| n.as_f64().unwrap_or_default().into(), Value::from),
        Json::String(text) => text.as_str().into(),
        Json::Array(items) => items.iter().map(value).collect::<Vec<_>>().into(),
        Json::Object(map) => Value::map(map.iter().map(|(key, json)| (key.as_str(), value(json)))),
    }
}

/// As the gateway does it: reads the section, builds the router.
fn try_build(section: &Json) -> Result<Built, ConfigErrors> {
    let raw = RawConfig::new(value(section), "");
    let config: RoutingConfig = raw.read()?;
    let mut table = RouteTable::new();
    let routing = Routing::from_config(&config, &mut table)?;
    Ok(Built { routing, table })
}

fn build(section: &Json) -> Built {
    try_build(section).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Routes to upstreams of their own names.
fn routes(matches: &[(&str, Json)]) -> Built {
    let routes: Vec<_> =
        matches.iter().map(|(name, m)| json!({ "name": name, "match": m, "upstream": name })).collect();
    build(&json!({ "routes": routes }))
}

fn ask(method: &str, url: &str) -> Ask {
    let (host, rest) = url.split_at(url.find('/').unwrap_or(url.len()));
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query.to_owned())));
    Ask {
        method: method.parse().expect("a method"),
        host: host.into(),
        path: path.into(),
        query,
        headers: HeaderMap::new(),
        client: "192.0.2.1",
        scheme: Scheme::Http,
        listener: "main",
    }
}

fn get(url: &str) -> Ask {
    ask("GET", url)
}

impl Ask {
    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(HeaderName::from_static(name), value.parse().expect("a header value"));
        self
    }

    fn head(&self) -> RequestHead<'_> {
        RequestHead {
            method: &self.method,
            authority: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
            headers: &self.headers,
            client: self.client.parse().expect("an address"),
            scheme: self.scheme,
            listener: self.listener,
        }
    }
}

impl Built {
    fn route(&self, ask: &Ask) -> Routed {
        self.routing.route(&ask.head())
    }

    /// The route's name and its parameters (`users id=7`), or the status and code of the answer, or `none`.
    fn decide(&self, ask: &Ask) -> String {
        match self.route(ask) {
            Routed::None => "none".into(),
            Routed::Respond(reply) => match reply.code() {
                Some(code) => format!("{} {code}", reply.status().as_u16()),
                None => reply.status().as_u16().to_string(),
            },
            Routed::Found(found) => {
                let spec = &self.table.routes()[found.route.index()];
                let path = found.path.as_deref().unwrap_or(&ask.path);
                let mut text = spec.name.clone();
                for (index, name) in spec.params.iter().enumerate() {
                    text +=
                        &format!(" {name}={}", found.params.slice(index, path).expect("as many as there are names"));
                }
                assert_eq!(found.params.len(), spec.params.len());
                text
            }
        }
    }

    /// The path that goes upstream.
    fn path(&self, ask: &Ask) -> Option<String> {
        match self.route(ask) {
            Routed::Found(found) => Some(found.path.map_or_else(|| ask.path.clone(), String::from)),
            _ => None,
        }
    }
}
