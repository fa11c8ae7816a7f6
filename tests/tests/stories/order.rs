//! In which order plugins see a request and its answer (A32, A33).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::{
    BuildCx, Bytes, ConfigErrors, Cx, Flow, Handler, NoConfig, Outcome, Plugin, Reply, RequestHeader, ResponseHeader,
    Result, Route,
};
use tidegate_routing::Routing;
use tidegate_testkit::{GatewayBuilder, Http, Script, Upstream, gateway, upstream, wait_until};

/// What happened to a request, by the name it gives itself.
static TRACES: Mutex<Option<HashMap<String, Vec<String>>>> = Mutex::new(None);

fn note(cx: &Cx<'_>, what: String) {
    let name = cx.head().query.unwrap_or_default().to_owned();
    let mut traces = TRACES.lock().unwrap_or_else(PoisonError::into_inner);
    traces.get_or_insert_default().entry(name).or_default().push(what);
}

fn trace(name: &str) -> Vec<String> {
    let traces = TRACES.lock().unwrap_or_else(PoisonError::into_inner);
    traces.as_ref().and_then(|traces| traces.get(name)).cloned().unwrap_or_default()
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Policy {
    /// Whether it answers by itself, and where.
    answers: Option<Phase>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Phase {
    Early,
    Request,
}

struct Tracer {
    name: &'static str,
    answers: Option<Phase>,
}

impl Tracer {
    fn flow(&self, phase: Phase) -> Flow {
        match self.answers == Some(phase) {
            true => Flow::Respond(Reply::problem(StatusCode::FORBIDDEN, "blocked", self.name)),
            false => Flow::Continue,
        }
    }
}

impl Handler for Tracer {
    async fn early_request(&self, cx: &mut Cx<'_>) -> Result<Flow> {
        note(cx, format!("{} early_request", self.name));
        Ok(self.flow(Phase::Early))
    }
    async fn request(&self, cx: &mut Cx<'_>) -> Result<Flow> {
        note(cx, format!("{} request", self.name));
        Ok(self.flow(Phase::Request))
    }
    async fn request_body(&self, cx: &mut Cx<'_>, _: &mut Bytes, end: bool) -> Result<Flow> {
        if end {
            note(cx, format!("{} request_body", self.name));
        }
        Ok(Flow::Continue)
    }
    fn upstream_request(&self, cx: &mut Cx<'_>, _: &mut RequestHeader) -> Result<()> {
        note(cx, format!("{} upstream_request", self.name));
        Ok(())
    }
    fn upstream_response(&self, cx: &mut Cx<'_>, _: &mut ResponseHeader) -> Result<()> {
        note(cx, format!("{} upstream_response", self.name));
        Ok(())
    }
    async fn response(&self, cx: &mut Cx<'_>, _: &mut ResponseHeader) -> Result<()> {
        note(cx, format!("{} response", self.name));
        Ok(())
    }
    fn response_body(&self, cx: &mut Cx<'_>, _: &mut Bytes, end: bool) -> Result<()> {
        if end {
            note(cx, format!("{} response_body", self.name));
        }
        Ok(())
    }
    fn finished(&self, cx: &Cx<'_>, outcome: &Outcome) {
        note(cx, format!("{} finished {}", self.name, outcome.status));
    }
}

/// Three plugins that differ in their names alone.
macro_rules! tracer {
    ($type:ident, $name:literal) => {
        struct $type;
        impl Plugin for $type {
            const NAME: &'static str = $name;
            type Config = NoConfig;
            type Policy = Policy;
            type Handler = Tracer;

            fn build(_: NoConfig, _: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
                Ok(Self)
            }
            fn handler(&self, policy: Policy, _: &Route) -> Result<Tracer, ConfigErrors> {
                Ok(Tracer { name: $name, answers: policy.answers })
            }
        }
    };
}

tracer!(Guard, "guard");
tracer!(Auth, "auth");
tracer!(Rewrite, "rewrite");

fn traced() -> GatewayBuilder {
    gateway().router::<Routing>().plugin::<Guard>().plugin::<Auth>().plugin::<Rewrite>()
}

fn yaml(app: &Upstream, plugins: &str) -> String {
    format!(
        "upstreams: {{ app: {{ targets: [\"{}\"] }} }}\nrouting: {{ routes: [{{ name: all, upstream: app, plugins: {plugins} }}] }}\n",
        app.target()
    )
}

/// Sends a POST, and gives what the plugins noted once the last is done with it.
async fn story(yaml: &str, name: &str, http: Http) -> (u16, Vec<String>) {
    let gateway = traced().start(yaml).await;
    let answer = gateway.post(&format!("/?{name}")).by(http).body("x").send().await;
    gateway.access_log(1).await;
    wait_until("the last to finish", || trace(name).last().is_some_and(|last| last.starts_with("guard finished")))
        .await;
    (answer.status, trace(name))
}

#[tokio::test]
async fn requests_go_in_by_the_order_of_the_binary_and_answers_out_in_reverse() {
    let app = upstream().route("*", Script::echo()).start().await;
    // In the file they stand otherwise: that must not matter.
    let yaml = yaml(&app, "{ rewrite: {}, guard: {}, auth: {} }");
    for (http, name) in [(Http::One, "order-h1"), (Http::Two, "order-h2")] {
        let (status, trace) = story(&yaml, name, http).await;
        assert_eq!(status, 200);
        let of = |hook: &str| -> Vec<&str> {
            let notes = trace.iter().filter(|note| note.split(' ').nth(1) == Some(hook));
            notes.filter_map(|note| note.split(' ').next()).collect()
        };
        for hook in ["early_request", "request", "upstream_request", "request_body"] {
            assert_eq!(of(hook), ["guard", "auth", "rewrite"], "{hook}: {trace:#?}");
        }
        for hook in ["response", "response_body", "finished"] {
            assert_eq!(of(hook), ["rewrite", "auth", "guard"], "{hook}: {trace:#?}");
        }
        assert_eq!(of("upstream_response").len(), 3);
        // Phases don't mix: all have seen a request early before one sees it late, and so on.
        let first = |hook: &str| trace.iter().position(|note| note.split(' ').nth(1) == Some(hook)).expect(hook);
        let phases = [
            "early_request",
            "request",
            "upstream_request",
            "upstream_response",
            "response",
            "response_body",
            "finished",
        ];
        let places: Vec<_> = phases.iter().map(|hook| first(hook)).collect();
        assert!(places.is_sorted(), "{places:?} {trace:#?}");
    }
}

#[tokio::test]
async fn what_one_plugin_refuses_those_after_it_never_see() {
    let app = upstream().route("*", Script::echo()).start().await;
    for (http, plugin, phase, seen) in [
        (Http::One, "guard", "early", &["guard early_request"][..]),
        (Http::Two, "guard", "early", &["guard early_request"]),
        (Http::One, "auth", "early", &["guard early_request", "auth early_request"]),
        (
            Http::One,
            "auth",
            "request",
            &["guard early_request", "auth early_request", "rewrite early_request", "guard request", "auth request"],
        ),
    ] {
        let name = format!("refused-{plugin}-{phase}-{http:?}");
        let plugins = ["guard", "auth", "rewrite"].map(|each| match each == plugin {
            true => format!("{each}: {{ answers: {phase} }}"),
            false => format!("{each}: {{}}"),
        });
        let (status, trace) = story(&yaml(&app, &format!("{{ {} }}", plugins.join(", "))), &name, http).await;
        assert_eq!(status, 403);
        let on_the_way_in: Vec<_> =
            trace.iter().take_while(|note| !note.contains(" response")).map(String::as_str).collect();
        assert_eq!(on_the_way_in, seen, "{trace:#?}");
        // Every answer goes out through all of them: headers belong on refusals, too.
        for each in ["guard", "auth", "rewrite"] {
            assert!(trace.contains(&format!("{each} response")), "{each}: {trace:#?}");
            assert!(trace.contains(&format!("{each} finished 403")), "{each}: {trace:#?}");
        }
    }
    assert_eq!(app.requests().len(), 0);
}

#[tokio::test]
async fn a_route_that_does_not_name_a_plugin_has_its_default_or_nothing_of_it() {
    let app = upstream().route("*", Script::echo()).start().await;
    let with_default = format!("guard: {{ default: {{}} }}\n{}", yaml(&app, "{ auth: {} }"));
    let (_, trace) = story(&with_default, "default", Http::One).await;
    assert!(trace.iter().any(|note| note.starts_with("guard ")) && trace.iter().any(|note| note.starts_with("auth ")));
    assert!(!trace.iter().any(|note| note.starts_with("rewrite ")), "{trace:#?}");

    let off = format!("auth: {{ default: {{}} }}\n{}", yaml(&app, "{ auth: off, guard: {} }"));
    let (_, trace) = story(&off, "off", Http::One).await;
    assert!(!trace.iter().any(|note| note.starts_with("auth ")), "{trace:#?}");
}

#[tokio::test]
async fn a_request_without_a_route_meets_the_defaults_before_its_404() {
    let gateway = traced()
        .start("guard: { default: { answers: early } }\nrouting: { routes: [{ match: { path: /a }, reply: { body: a }, plugins: { guard: off } }] }")
        .await;
    gateway.get("/a").await.expect(200);
    gateway.get("/none").await.expect(403);
    gateway.request(Method::GET, "/none").h2().send().await.expect(403);
}
