//! YAML in, HTTP out.

mod bodies;
mod bypass;
mod config;
mod openapi;
mod parameters;
mod property;
mod report;
mod shops;

use tidegate_core::Method;
use tidegate_testkit::{Answer, GatewayBuilder, TestGateway, Upstream, gateway, upstream};
use tidegate_validation::Validation;

/// A gateway with this plugin.
fn builder() -> GatewayBuilder {
    gateway().plugin::<Validation>()
}

/// The user of requirement F41: a name of three characters and an address.
const USER: &str = "{ json_schema: { inline: { type: object, required: [name, email], additionalProperties: false, \
                    properties: { name: { type: string, minLength: 3 }, email: { type: string, format: email }, \
                    notes: { type: array, items: { type: string } } } } } }";

/// One route, `app`, with this policy, in front of an upstream that answers 200.
async fn guarded(policy: &str) -> (Upstream, TestGateway) {
    let upstream = upstream().reply("/*", "let through").start().await;
    let gateway = builder().start(&yaml(&upstream, policy)).await;
    (upstream, gateway)
}

fn yaml(upstream: &Upstream, policy: &str) -> String {
    format!(
        "upstreams: {{ app: {{ targets: [\"{}\"] }} }}\n\
         routing: {{ routes: [{{ name: app, match: {{ path: \"/**\" }}, upstream: app, \
         plugins: {{ validation: {policy} }} }}] }}\n",
        upstream.target()
    )
}

/// A POST with this body as JSON.
async fn post(gateway: &TestGateway, body: impl Into<tidegate_core::Bytes>) -> Answer {
    gateway.post("/users").header("Content-Type", "application/json").body(body).send().await
}

async fn get(gateway: &TestGateway, path: &str) -> Answer {
    gateway.request(Method::GET, path).send().await
}

/// What an answer lists, as `place: what`.
fn errors(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    let errors = json["errors"].as_array().expect("a list").iter();
    let error = |error: &serde_json::Value| {
        let members = error.as_object().expect("an object");
        let (key, place) = members.iter().find(|(key, _)| *key != "detail").expect("a place");
        let key = if key == "pointer" { String::new() } else { format!("{key} ") };
        format!("{key}{}: {}", place.as_str().expect("a text"), error["detail"].as_str().expect("a text"))
    };
    errors.map(error).collect()
}

async fn failures(gateway: &TestGateway, mode: &str, reason: &str) -> f64 {
    let labels = [("route", "app"), ("mode", mode), ("reason", reason)];
    gateway.metric("tidegate_validation_failures_total", &labels).await
}

/// What came whole, to this path: heads whose bodies never came may come at any time.
fn seen(upstream: &Upstream, path: &str) -> Vec<tidegate_testkit::Recorded> {
    upstream.requests().into_iter().filter(|request| request.complete && request.target == path).collect()
}
