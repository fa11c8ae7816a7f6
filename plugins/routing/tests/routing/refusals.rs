//! What has no route, and what is no configuration.

use http::Method;
use tidegate_testkit::{Http, gateway};

use crate::started;

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let routing = "routes: [{ match: { path: /x, methods: [GET, PUT] }, reply: { body: x } }]";
    let gateway = started(&[], routing).await;
    for http in Http::BOTH {
        let refused = gateway.request(Method::POST, "/x").host("a.test").by(http).send().await.expect(405);
        assert_eq!(refused.header("allow"), Some("GET, HEAD, PUT"));
        assert_eq!(refused.json()["code"], "method_not_allowed");
        gateway.request(Method::POST, "/y").host("a.test").by(http).send().await.expect(404);
    }
}

#[tokio::test]
async fn options_of_the_server_is_answered() {
    let gateway = started(&[], "routes: [{ reply: { body: x } }]").await;
    gateway.request(Method::OPTIONS, "*").host("a.test").send().await.expect(204);
    gateway.request(Method::GET, "*").host("a.test").send().await.expect(400);
}

#[tokio::test]
async fn conflicts_are_reported_with_line_and_place() {
    let yaml = r#"routing:
  routes:
    - { name: one, match: { path: "/a/{x}" }, reply: {} }
    - { name: two, match: { path: "/b" }, upstream: nowhere, reply: {} }
    - { name: three, match: { path: "/a/*" }, reply: {} }
"#;
    let errors = gateway().router::<tidegate_routing::Routing>().try_start(yaml).await.expect_err("conflicts");
    for part in [
        "4:",
        "routing.routes[1].reply",
        "a route is served by one of",
        "5:",
        "routing.routes[2]",
        "the routes `one` (routes[0]) and `three` can never be told apart: both match /a/*",
    ] {
        assert!(errors.contains(part), "{part:?} is not in:\n{errors}");
    }
}

#[tokio::test]
async fn a_listener_that_is_not_there_is_refused() {
    let yaml = r#"
listeners: [{ name: main, bind: "127.0.0.1:0" }]
routing:
  routes:
    - { name: one, match: { listener: [main, mian] }, reply: {} }
"#;
    let errors = gateway().router::<tidegate_routing::Routing>().try_start(yaml).await.expect_err("a typo");
    for part in ["routing.routes[0].match.listener: no listener is called `mian`", "there are: main"] {
        assert!(errors.contains(part), "{part:?} is not in:\n{errors}");
    }
}
