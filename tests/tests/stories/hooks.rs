//! Plugins that fail: never a request let through, never the process taken down (L8).

use std::panic;

use http::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::{
    BuildCx, Bytes, ConfigErrors, Cx, Error, Flow, Handler, NoConfig, Outcome, Plugin, RequestHeader, ResponseHeader,
    Result, Route,
};
use tidegate_routing::Routing;
use tidegate_testkit::{GatewayBuilder, Http, Script, Upstream, gateway, upstream};

/// Fails in one hook, in one way.
struct Faulty;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Policy {
    /// In which hook.
    hook: Hook,
    /// In which way.
    how: How,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Hook {
    EarlyRequest,
    Request,
    RequestBody,
    UpstreamRequest,
    UpstreamResponse,
    Response,
    ResponseBody,
    Finished,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum How {
    Error,
    Panic,
}

impl Plugin for Faulty {
    const NAME: &'static str = "faulty";
    type Config = NoConfig;
    type Policy = Policy;
    type Handler = Policy;

    fn build(_: NoConfig, _: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }
    fn handler(&self, policy: Policy, _: &Route) -> Result<Policy, ConfigErrors> {
        Ok(policy)
    }
}

impl Policy {
    fn act(&self, hook: Hook) -> Result<()> {
        match (hook == self.hook, self.how) {
            (false, _) => Ok(()),
            (true, How::Error) => Err(Error::internal("canary-cause")),
            // Without the hook, whose report would fill the test's output.
            (true, How::Panic) => panic::resume_unwind(Box::new("canary-cause")),
        }
    }
}

impl Handler for Policy {
    async fn early_request(&self, _: &mut Cx<'_>) -> Result<Flow> {
        self.act(Hook::EarlyRequest).map(|()| Flow::Continue)
    }
    async fn request(&self, _: &mut Cx<'_>) -> Result<Flow> {
        self.act(Hook::Request).map(|()| Flow::Continue)
    }
    async fn request_body(&self, _: &mut Cx<'_>, _: &mut Bytes, _: bool) -> Result<Flow> {
        self.act(Hook::RequestBody).map(|()| Flow::Continue)
    }
    fn upstream_request(&self, _: &mut Cx<'_>, _: &mut RequestHeader) -> Result<()> {
        self.act(Hook::UpstreamRequest)
    }
    fn upstream_response(&self, _: &mut Cx<'_>, _: &mut ResponseHeader) -> Result<()> {
        self.act(Hook::UpstreamResponse)
    }
    async fn response(&self, _: &mut Cx<'_>, _: &mut ResponseHeader) -> Result<()> {
        self.act(Hook::Response)
    }
    fn response_body(&self, _: &mut Cx<'_>, _: &mut Bytes, _: bool) -> Result<()> {
        self.act(Hook::ResponseBody)
    }
    fn finished(&self, _: &Cx<'_>, _: &Outcome) {
        let _ = self.act(Hook::Finished);
    }
}

fn faulty() -> GatewayBuilder {
    gateway().router::<Routing>().plugin::<Faulty>()
}

fn yaml(app: &Upstream, hook: &str, how: &str) -> String {
    format!(
        "upstreams: {{ app: {{ targets: [\"{}\"] }} }}\nrouting:\n  routes:\n\
         \x20   - {{ name: faulty, match: {{ path: /faulty }}, upstream: app, plugins: {{ faulty: {{ hook: {hook}, how: {how} }} }} }}\n\
         \x20   - {{ name: sound, upstream: app }}\n",
        app.target()
    )
}

/// The hooks before a request is let through.
const BEFORE: [&str; 4] = ["early_request", "request", "upstream_request", "request_body"];

#[tokio::test]
async fn a_plugin_that_fails_before_the_upstream_never_lets_a_request_through() {
    // It answers only when it has a whole request: an answer that has begun can't be taken back.
    let app = upstream().route("*", Script::reply("done")).start().await;
    for hook in BEFORE {
        for (how, status) in [("error", 503), ("panic", 500)] {
            for http in Http::BOTH {
                app.forget();
                let gateway = faulty().start(&yaml(&app, hook, how)).await;
                let answer = gateway.post("/faulty").by(http).body("x").try_send().await;
                let answer = answer.unwrap_or_else(|error| panic!("{hook} {how} {http:?}: {error}"));
                assert_eq!(answer.status, status, "{hook} {how} {http:?}: {answer:?}");
                assert!(!answer.text().contains("canary"), "{hook} {how}: {}", answer.text());
                assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{hook} {how}");
                assert!(app.requests().iter().all(|request| !request.complete), "{hook} {how} {http:?} let it through");
                let metric = format!("tidegate_plugin_{how}s_total");
                assert_eq!(gateway.metric(&metric, &[("plugin", "faulty")]).await, 1.0, "{hook} {how} {http:?}");
                assert!(
                    gateway.access_log(1).await[0].contains("canary-cause"),
                    "{hook} {how}: the cause is not logged"
                );
                gateway.post("/sound").by(http).body("x").send().await.expect(200);
            }
        }
    }
}

#[tokio::test]
async fn a_plugin_that_fails_on_the_way_out_gives_no_answer_that_it_has_not_seen() {
    let app = upstream().reply("*", "canary-body").start().await;
    for hook in ["upstream_response", "response", "response_body"] {
        for how in ["error", "panic"] {
            for http in Http::BOTH {
                let gateway = faulty().start(&yaml(&app, hook, how)).await;
                let answer = gateway.request(Method::GET, "/faulty").by(http).try_send().await;
                if let Ok(answer) = answer {
                    assert!(answer.status >= 500, "{hook} {how} {http:?}: {answer:?}");
                    assert!(!answer.text().contains("canary"), "{hook} {how} {http:?}: {}", answer.text());
                }
                let metric = format!("tidegate_plugin_{how}s_total");
                assert!(gateway.metric(&metric, &[("plugin", "faulty")]).await >= 1.0, "{hook} {how} {http:?}");
                gateway.request(Method::GET, "/sound").by(http).send().await.expect(200);
            }
        }
    }
}

#[tokio::test]
async fn a_plugin_that_panics_when_all_is_over_harms_nobody() {
    let app = upstream().reply("*", "fine").start().await;
    let gateway = faulty().start(&yaml(&app, "finished", "panic")).await;
    let mut client = gateway.connect().await;
    for _ in 0..5 {
        assert_eq!(client.get("/faulty").await.expect(200).text(), "fine");
    }
    assert_eq!(gateway.metric("tidegate_plugin_panics_total", &[("plugin", "faulty")]).await, 5.0);
    assert_eq!(gateway.metric("http_requests_total", &[("route", "faulty")]).await, 5.0);
    assert_eq!(gateway.access_log(5).await.len(), 5);
}

#[tokio::test]
async fn a_plugin_that_fails_under_many_requests_leaves_nothing_behind() {
    let app = upstream().reply("*", "fine").start().await;
    let gateway = faulty().start(&yaml(&app, "request", "panic")).await;
    let mut client = gateway.connect_h2().await;
    for _ in 0..200 {
        client.get("/faulty").await.expect(500);
    }
    tidegate_testkit::wait_until_async("nothing in flight", async || {
        gateway.metric("tidegate_requests_in_flight", &[]).await == 0.0
    })
    .await;
}
