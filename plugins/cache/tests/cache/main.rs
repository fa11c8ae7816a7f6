//! YAML in, HTTP out.

mod collapsing;
mod disk;
mod freshness;
mod http2;
mod identity;
mod invalidation;
mod keys;
mod login;
mod memory;
mod purging;
mod ranges;
mod revalidation;
mod slices;
mod stale;
mod status;
mod storing;
mod vary;
mod warming;

use std::time::Duration;

use http::Method;
use login::Login;
use tidegate_cache::Cache;
use tidegate_testkit::{
    Answer, GatewayBuilder, ManualClock, Script, TestGateway, Upstream, gateway, manual_clock, upstream,
};

/// A gateway with this plugin before one upstream, on a clock that the test turns.
struct Stage {
    gateway: TestGateway,
    app: Upstream,
    clock: ManualClock,
}

/// A gateway with this plugin, behind one that says who is asking.
fn builder(clock: &ManualClock) -> GatewayBuilder {
    gateway().plugin::<Login>().plugin::<Cache>().clock(clock)
}

/// One route, `app`, that sends everything to an upstream which does as `script` says; `policy` is the route's `cache`.
async fn stage(policy: &str, script: Script) -> Stage {
    let clock = manual_clock();
    let app = upstream().route("/*", script).start().await;
    let gateway = builder(&clock).start(&config(&app.target(), policy)).await;
    Stage { gateway, app, clock }
}

/// The configuration of one route to `target`.
fn config(target: &str, policy: &str) -> String {
    let policy: String = policy.lines().map(|line| format!("          {line}\n")).collect();
    format!(
        "upstreams: {{ app: {{ targets: [\"{target}\"] }} }}\n\
         routing:\n  routes:\n    - name: app\n      match: {{ path: \"/**\" }}\n      upstream: app\n      \
         plugins:\n        login: {{}}\n        cache:\n{policy}"
    )
}

impl Stage {
    async fn get(&self, path: &str) -> Answer {
        self.gateway.get(path).await
    }

    /// A GET with these fields.
    async fn ask(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(Method::GET, path, fields).await
    }

    async fn send(&self, method: Method, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = self.gateway.request(method, path);
        fields.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// How many requests the upstream got.
    fn asked(&self) -> usize {
        self.app.requests().len()
    }

    fn now(&self, script: Script) {
        self.app.set("/*", script);
    }
}

/// What `Cache-Status` says.
fn told(answer: &Answer) -> String {
    answer.headers.all("cache-status").collect::<Vec<_>>().join(", ")
}

fn is_hit(answer: &Answer) -> bool {
    told(answer).contains("tidegate; hit")
}

/// 200 with this body, fresh for a minute.
fn minute(body: &'static str) -> Script {
    Script::reply(body).header("Cache-Control", "max-age=60")
}
