//! Stories of requests through a gateway in the test's own process.

mod balancing;
mod cache_policies;
mod cached;
mod client_address;
mod client_certificates;
mod codings;
mod conformance;
mod connections;
mod discovery;
mod embedding;
mod errors;
mod files;
mod hedge;
mod hooks;
mod http10;
mod identity;
mod identity_provider;
mod invalidation;
mod limits;
mod login_with;
mod logs;
mod metrics;
mod mirror;
mod operators;
mod order;
mod paths;
mod proxying;
mod ratelimit;
mod regressions;
mod reload;
mod request_id;
mod retries;
mod smuggling;
mod streaming;
mod upstream_admin;
mod upstream_faults;
mod upstreams;

use tidegate_auth::Auth;
use tidegate_cache::Cache;
use tidegate_compress::Compress;
use tidegate_files::Files;
use tidegate_headers::Headers;
use tidegate_ratelimit::RateLimit;
use tidegate_routing::Routing;
use tidegate_testkit::{GatewayBuilder, Upstream, gateway};
use tidegate_upstream_oauth::UpstreamOauth;
use tidegate_validation::Validation;

/// The gateway as the binary has it.
fn tidegate() -> GatewayBuilder {
    let gateway = gateway().router::<Routing>().plugin::<RateLimit>().plugin::<Auth>();
    let gateway = gateway.plugin::<Validation>().plugin::<UpstreamOauth>().plugin::<Headers>();
    gateway.plugin::<Cache>().plugin::<Compress>().plugin::<Files>()
}

/// A configuration that sends everything to one upstream.
fn all_to(upstream: &Upstream) -> String {
    route_to(&upstream.target(), "")
}

/// The same, with more in the route.
fn all_to_with(upstream: &Upstream, route: &str) -> String {
    route_to(&upstream.target(), route)
}

fn route_to(target: &str, route: &str) -> String {
    format!(
        "upstreams:\n  app:\n    targets: [\"{target}\"]\nrouting:\n  routes:\n    - name: all\n      upstream: app\n{}\n",
        route.lines().map(|line| format!("      {line}\n")).collect::<String>()
    )
}
