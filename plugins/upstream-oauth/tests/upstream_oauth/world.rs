//! An authorization server, an upstream, and a gateway between them on a clock that stands still.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::{
    Answer, ManualClock, Script, TestGateway, Upstream, gateway, manual_clock, upstream, wait_until_async,
};
use tidegate_upstream_oauth::UpstreamOauth;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) struct World {
    pub(crate) server: Upstream,
    pub(crate) upstream: Upstream,
    pub(crate) clock: ManualClock,
    pub(crate) gateway: TestGateway,
}

/// An answer with this token, good for so many seconds.
pub(crate) fn token(text: &str, seconds: u64) -> Script {
    says(json!({ "access_token": text, "token_type": "Bearer", "expires_in": seconds }))
}

pub(crate) fn says(answer: Value) -> Script {
    Script::reply(answer.to_string()).header("Content-Type", "application/json")
}

impl World {
    /// With more terms for the client, and this policy.
    pub(crate) async fn new(answer: Script, terms: &str) -> Self {
        Self::with(answer, terms, "client: crm").await
    }

    pub(crate) async fn with(answer: Script, terms: &str, policy: &str) -> Self {
        let server = upstream().route("/token", answer).start().await;
        let upstream = upstream().reply("/*", "let through").start().await;
        let clock = manual_clock();
        let yaml = yaml(&server.addr().to_string(), &upstream, terms, policy);
        let gateway = gateway().plugin::<UpstreamOauth>().clock(&clock).start(&yaml).await;
        Self { server, upstream, clock, gateway }
    }

    pub(crate) async fn reload(&self, terms: &str) {
        let yaml = yaml(&self.server.addr().to_string(), &self.upstream, terms, "client: crm");
        self.gateway.reload(&yaml).await.expect("reloaded");
    }

    /// Waits until so many fetches have ended so.
    pub(crate) async fn fetched(&self, result: &str, count: u32) {
        let labels = [("client", "crm"), ("result", result)];
        wait_until_async(&format!("{count} fetches: {result}"), async || {
            self.gateway.metric("tidegate_upstream_oauth_fetches_total", &labels).await >= f64::from(count)
        })
        .await;
    }

    /// Waits until the gateway waits for its clock.
    pub(crate) async fn rests(&self) {
        tidegate_testkit::wait_until("somebody to sleep", || self.clock.sleepers() > 0).await;
    }

    /// How often the server was asked.
    pub(crate) fn asked(&self) -> usize {
        self.server.requests().len()
    }

    /// The `Authorization` that the upstream got last.
    pub(crate) fn sent(&self) -> Option<String> {
        let last = self.upstream.requests().pop().expect("a request");
        last.header("authorization").map(str::to_owned)
    }

    /// A request that is let through, and the `Authorization` that the upstream got.
    pub(crate) async fn passes(&self) -> Option<String> {
        self.gateway.get("/x").await.expect(200);
        self.sent()
    }

    pub(crate) async fn get(&self) -> Answer {
        self.gateway.get("/x").await
    }

    pub(crate) async fn standing(&self) -> Value {
        self.gateway.admin("/upstream_oauth/").await.expect(200).json()["clients"][0].clone()
    }
}

pub(crate) fn yaml(server: &str, upstream: &Upstream, terms: &str, policy: &str) -> String {
    let secret = if terms.contains("client_secret") { "" } else { "client_secret: \"s3+cret\", " };
    format!(
        "upstream_oauth: {{ clients: {{ crm: {{ token_url: \"http://{server}/token\", client_id: \"gate:way\", \
         {secret}{terms} }} }} }}\n\
         upstreams: {{ up: {{ targets: [\"{}\"] }} }}\n\
         routing: {{ routes: [{{ name: crm, upstream: up, plugins: {{ upstream_oauth: {{ {policy} }} }} }}] }}\n",
        upstream.target()
    )
}
