//! Stories of requests through a gateway in the test's own process.

mod balancing;
mod client_address;
mod client_certificates;
mod connections;
mod discovery;
mod embedding;
mod errors;
mod hedge;
mod hooks;
mod http10;
mod identity;
mod identity_provider;
mod limits;
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
use tidegate_headers::Headers;
use tidegate_ratelimit::RateLimit;
use tidegate_routing::Routing;
use tidegate_testkit::{GatewayBuilder, Upstream, gateway};

/// The gateway as the binary has it.
fn tidegate() -> GatewayBuilder {
    gateway().router::<Routing>().plugin::<RateLimit>().plugin::<Auth>().plugin::<Headers>()
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
