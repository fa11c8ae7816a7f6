//! YAML in, HTTP out: the plugin in a gateway, before an upstream, asked over real sockets.

use tidegate_maintenance::{Maintenance, OnePool};
use tidegate_testkit::{GatewayBuilder, Upstream, gateway, upstream};

fn with_the_plugin() -> GatewayBuilder {
    gateway().router::<OnePool>().plugin::<Maintenance>()
}

async fn app() -> Upstream {
    upstream().reply("*", "hello").start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_told_when_to_come_back_and_counted() {
    let app = app().await;
    let yaml = format!(
        r#"
        upstreams: {{ app: {{ targets: ["{}"] }} }}
        all: {{ upstream: app, plugins: {{ maintenance: {{ message: "back at noon" }} }} }}
        maintenance: {{ retry_after: 10m }}
        "#,
        app.target()
    );
    let gateway = with_the_plugin().start(&dedent(&yaml)).await;

    let answer = gateway.get("/").await.expect(503);

    assert_eq!(answer.header("retry-after"), Some("600"));
    assert_eq!(answer.json()["code"], "maintenance");
    assert_eq!(answer.json()["detail"], "back at noon");
    assert!(app.requests().is_empty(), "the upstream heard of nothing");
    assert_eq!(gateway.metric("tidegate_maintenance_turned_away_total", &[("route", "all")]).await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_on_the_list_are_let_in_and_see_it() {
    let app = app().await;
    let yaml = format!(
        r#"
        upstreams: {{ app: {{ targets: ["{}"] }} }}
        all: {{ upstream: app, plugins: {{ maintenance: {{ allow: ["127.0.0.1"] }} }} }}
        "#,
        app.target()
    );
    let gateway = with_the_plugin().start(&dedent(&yaml)).await;

    let answer = gateway.get("/").await.expect(200);

    assert_eq!(answer.text(), "hello");
    assert_eq!(answer.header("x-maintenance"), Some("on"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_without_the_policy_is_open() {
    let app = app().await;
    let yaml = format!("upstreams: {{ app: {{ targets: [\"{}\"] }} }}\nall: {{ upstream: app }}\n", app.target());
    let gateway = with_the_plugin().start(&yaml).await;

    let answer = gateway.get("/").await.expect(200);

    assert!(!answer.headers.has("x-maintenance"));
}

#[tokio::test]
async fn an_empty_message_is_refused_with_its_place() {
    let yaml = "upstreams: { app: { targets: [\"127.0.0.1:1\"] } }\n\
                all: { upstream: app, plugins: { maintenance: { message: \"\" } } }\n";
    let error = with_the_plugin().check(yaml).expect_err("it is refused");
    assert!(error.contains("all.plugins.maintenance.message") && error.contains(":2:"), "{error}");
}

#[tokio::test]
async fn the_configuration_beside_this_crate_is_good() {
    assert_eq!(with_the_plugin().check(include_str!("../gateway.yaml")), Ok(()));
}

/// Sections begin at the first column.
fn dedent(yaml: &str) -> String {
    yaml.lines().map(|line| line.trim_start().to_owned() + "\n").collect()
}
