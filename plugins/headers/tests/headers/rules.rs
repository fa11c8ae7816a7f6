//! Fields removed, renamed, set and added.

use tidegate_core::Method;
use tidegate_testkit::{Http, Script, upstream};

use crate::{before, builder, route_to};

#[tokio::test]
async fn an_identity_can_not_be_forged_by_a_client_that_has_none() {
    let app = upstream().reply("/*", "hello").start().await;
    let gateway = before(&app, "request: { set: { X-User-ID: \"{identity.subject}\" } }").await;
    for http in Http::BOTH {
        let forged = gateway.request(Method::GET, "/").by(http);
        let forged = forged.header("x-user-id", "admin").header("x-user-id", "root").header("x_user_id", "admin");
        forged.send().await.expect(200);
        let known = gateway.request(Method::GET, "/").by(http).header("x-login", "alice").header("x-user-id", "admin");
        known.send().await.expect(200);
    }
    for (index, request) in app.wait_for(4).await.iter().enumerate() {
        let expected: &[&str] = if index % 2 == 0 { &[] } else { &["alice"] };
        assert_eq!(request.headers.all("x-user-id").collect::<Vec<_>>(), expected, "{request:?}");
        assert!(!request.headers.has("x_user_id"), "{request:?}");
    }
}

#[tokio::test]
async fn requests_are_edited_in_order_with_every_value() {
    let app = upstream().reply("/*", "hello").start().await;
    let policy = "request:\n  remove: [X-Internal-*]\n  rename: { X-Old: X-New-Name }\n  set: { X-API-Key: k1 }\n  \
                  add: { X-Seen-By: gateway }";
    let gateway = before(&app, policy).await;
    let request = gateway.request(Method::GET, "/").header("X-INTERNAL-a", "1").header("x_internal_b", "2");
    let request = request.header("x-old", "1").header("x-old", "2").header("x-new-name", "client's own");
    let request = request.header("x-api-key", "client's own").header("X-Seen-By", "client").header("X-Other", "o");
    request.send().await.expect(200);

    let seen = app.request();
    let ours = |name: &'static str| seen.headers.all(name).collect::<Vec<_>>();
    assert_eq!((ours("x-internal-a").len(), ours("x_internal_b").len(), ours("x-old").len()), (0, 0, 0));
    assert_eq!(ours("x-new-name"), ["1", "2"]);
    assert_eq!(ours("x-api-key"), ["k1"]);
    assert_eq!(ours("x-seen-by"), ["client", "gateway"]);
    assert_eq!(ours("x-other"), ["o"]);
    let wire = String::from_utf8_lossy(&seen.raw_head).into_owned();
    assert!(wire.contains("\r\nx-api-key: k1\r\n") && wire.contains("\r\nx-new-name: 1\r\n"), "{wire}");
}

#[tokio::test]
async fn facts_of_the_request_reach_both_sides() {
    let app = upstream().reply("/*", "hello").start().await;
    let policy = "request:\n  set:\n    X-Facts: \"{method} {scheme} {host} {path} {query} {route} {listener} {client}\"\n    \
                  X-Trace: \"{request_id}\"\nresponse:\n  set: { X-Trace: \"{request_id}\", X-None: \"{query}\" }";
    let gateway = before(&app, policy).await;
    let answer = gateway.request(Method::PUT, "/a/b?c=d").host("API.test:80").send().await.expect(200);
    let seen = app.request();
    assert_eq!(seen.header("x-facts"), Some("PUT http API.test /a/b c=d app main 127.0.0.1"));
    assert_eq!(answer.headers.all("x-trace").collect::<Vec<_>>(), [seen.header("x-trace").expect("an id")]);
    assert_eq!((answer.header("x-request-id"), answer.header("x-none")), (seen.header("x-trace"), Some("c=d")));
}

#[tokio::test]
async fn a_response_field_whose_fact_is_missing_is_not_the_upstreams() {
    let app = upstream().route("/*", Script::reply("hello").header("X-User", "somebody")).start().await;
    let gateway = before(&app, "response: { set: { X-User: \"{identity.subject}\" } }").await;
    assert_eq!(gateway.get("/").await.expect(200).header("x-user"), None);
    let answer = gateway.request(Method::GET, "/").header("x-login", "alice").send().await;
    assert_eq!(answer.headers.all("x-user").collect::<Vec<_>>(), ["alice"]);
}

#[tokio::test]
async fn responses_of_upstream_and_gateway_are_edited_alike() {
    let app = upstream().route("/*", Script::reply("hello").header("X-Cost", "3")).start().await;
    let yaml = route_to(&app.target(), "response: { remove: [X-Cost], set: { X-Served: \"{route}\" } }");
    let gateway = builder().start(&yaml.replace("login: {}", "login: { allow: known }")).await;
    let refused = gateway.get("/").await.expect(401);
    assert_eq!(refused.header("x-served"), Some("app"));
    let served = gateway.request(Method::GET, "/").header("x-login", "alice").send().await.expect(200);
    assert_eq!((served.header("x-served"), served.header("x-cost")), (Some("app"), None));
}

#[tokio::test]
async fn a_value_of_the_clients_can_not_break_out_of_its_field() {
    let app = upstream().reply("/*", "hello").start().await;
    let gateway = before(&app, "request: { set: { X-Copy: \"<{header.x-in}>\" } }").await;
    gateway.request(Method::GET, "/").header("X-In", "a: b\tc").send().await.expect(200);
    let seen = app.request();
    assert_eq!(
        seen.header("x-copy").map(|copy| copy.split_whitespace().collect::<Vec<_>>()),
        Some(vec!["<a:", "b", "c>"])
    );
    assert_eq!(seen.headers.count("x-copy"), 1);
}

#[tokio::test]
async fn a_route_without_a_policy_is_left_alone() {
    let app = upstream().route("/*", Script::reply("hello").header("Server", "Express")).start().await;
    let yaml = route_to(&app.target(), "request: { set: { X-A: b } }");
    let bare = yaml.split("      plugins:").next().expect("a route");
    let gateway = builder().start(bare).await;
    let answer = gateway.request(Method::GET, "/").header("X-A", "client's own").send().await.expect(200);
    assert_eq!(answer.header("server"), Some("Express"));
    assert_eq!(app.request().header("x-a"), Some("client's own"));
}

#[tokio::test]
async fn the_sections_default_is_the_policy_of_routes_that_have_none_and_can_be_turned_off() {
    let app = upstream().route("/*", Script::reply("hello").header("Server", "Express")).start().await;
    let target = app.target();
    let yaml = format!(
        "upstreams: {{ app: {{ targets: [\"{target}\"] }} }}\nheaders: {{ default: {{ response: {{ set: {{ X-A: b }} }} }} }}\n\
         routing:\n  routes:\n    - {{ match: {{ path: /with }}, upstream: app }}\n    \
         - {{ match: {{ path: /without }}, upstream: app, plugins: {{ headers: off }} }}\n"
    );
    let gateway = builder().start(&yaml).await;
    let (with, without) = (gateway.get("/with").await, gateway.get("/without").await);
    assert_eq!((with.header("x-a"), with.header("server")), (Some("b"), None));
    assert_eq!((without.header("x-a"), without.header("server")), (None, Some("Express")));
}
