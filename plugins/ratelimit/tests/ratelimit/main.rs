//! YAML in, HTTP out.

mod algorithms;
mod answers;
mod bans;
mod config;
mod costs;
mod faults;
mod keys;
mod operators;
mod several;
mod shared;
mod state;
mod who;

use std::time::Duration;

use tidegate_core::Method;
use tidegate_ratelimit::RateLimit;
use tidegate_testkit::{Answer, GatewayBuilder, ManualClock, TestGateway, gateway, manual_clock};
use who::Who;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A gateway with this plugin in front of one that says who is asking.
fn builder() -> GatewayBuilder {
    gateway().plugin::<RateLimit>().plugin::<Who>()
}

/// Routes `/app/**` (with these limits) and `/other/**` (with none), both answered by the gateway itself; who is
/// behind `x-forwarded-for` is believed. `section` is the plugin's own.
fn limited(limits: &str, section: &str) -> String {
    format!(
        "trusted_proxies: [127.0.0.0/8]\n\
         ratelimit: {{ {section} }}\n\
         routing:\n  routes:\n    - {{ name: app, match: {{ path: \"/app/**\" }}, reply: {{ body: app }}, plugins: {{ \
         who: {{}}, ratelimit: {{ limits: [{limits}] }} }} }}\n    - {{ name: other, match: {{ path: \"/other/**\" }}, \
         reply: {{ body: other }} }}\n"
    )
}

/// The same, started on a clock that only the test turns.
async fn start(limits: &str) -> (TestGateway, ManualClock) {
    start_with(limits, "").await
}

async fn start_with(limits: &str, section: &str) -> (TestGateway, ManualClock) {
    let clock = manual_clock();
    let gateway = builder().clock(&clock).start(&limited(limits, section)).await;
    (gateway, clock)
}

/// A GET from the client `from`, with these fields.
async fn ask(gateway: &TestGateway, from: &str, fields: &[(&str, &str)]) -> Answer {
    ask_at(gateway, "/app/x", from, fields).await
}

async fn ask_at(gateway: &TestGateway, path: &str, from: &str, fields: &[(&str, &str)]) -> Answer {
    let request = gateway.request(Method::GET, path).header("x-forwarded-for", from);
    fields.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await
}

/// How many of `count` requests are let through, the rest being 429.
async fn admitted(gateway: &TestGateway, count: usize, from: &str) -> usize {
    let mut admitted = 0;
    for _ in 0..count {
        match ask(gateway, from, &[]).await.status {
            200 => admitted += 1,
            429 => {}
            other => panic!("{other}"),
        }
    }
    admitted
}
