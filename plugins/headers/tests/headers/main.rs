//! YAML in, HTTP out.

mod config;
mod cors;
mod login;
mod privacy;
mod rules;
mod security;

use login::Login;
use tidegate_headers::Headers;
use tidegate_testkit::{GatewayBuilder, TestGateway, Upstream, gateway};

/// A gateway with this plugin, behind one that says who is asking.
fn builder() -> GatewayBuilder {
    gateway().plugin::<Login>().plugin::<Headers>()
}

/// One route, `app`, which sends everything to `upstream`, with this policy.
async fn before(upstream: &Upstream, policy: &str) -> TestGateway {
    builder().start(&route_to(&upstream.target(), policy)).await
}

/// The configuration of one route to `target`, with this policy.
fn route_to(target: &str, policy: &str) -> String {
    let policy: String = policy.lines().map(|line| format!("          {line}\n")).collect();
    format!(
        "upstreams: {{ app: {{ targets: [\"{target}\"] }} }}\n\
         routing:\n  routes:\n    - name: app\n      match: {{ path: \"/**\" }}\n      upstream: app\n      \
         plugins:\n        login: {{}}\n        headers:\n{policy}"
    )
}
