//! What clients are told when something goes wrong, and what they are not.

use std::time::Duration;

use http::Method;
use tidegate_testkit::{Answer, Http, Script, TestGateway, Upstream, call, refusing, upstream, wait_until};

use crate::{all_to, all_to_with, route_to, tidegate};

/// Asserts the one shape of errors (RFC 9457), and that nothing of the upstream is in it.
fn is_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{answer:#?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:#?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.json();
    assert_eq!(body["status"], status, "{body}");
    assert_eq!(body["code"], code, "{body}");
    assert_eq!(body["request_id"].as_str(), answer.header("x-request-id"), "{body}");
    let keys: Vec<_> = body.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(keys, ["type", "title", "status", "detail", "code", "request_id"]);
    let all = format!("{answer:?}");
    for secret in ["127.0.0.1", "secret-upstream-text", "pingora", "Pingora"] {
        assert!(!all.contains(secret), "{secret} shows in {all}");
    }
}

/// A route of its own for `path`, and one for the rest: to one upstream, with different timeouts.
fn timed(upstream: &Upstream, path: &str, [own, rest]: [&str; 2]) -> String {
    format!(
        "upstreams: {{ app: {{ targets: [\"{}\"] }} }}\n\
         routing:\n  routes:\n\
         \x20   - {{ name: own, match: {{ path: {path} }}, upstream: app, timeouts: {{ {own} }} }}\n\
         \x20   - {{ name: rest, upstream: app, timeouts: {{ {rest} }} }}\n",
        upstream.target()
    )
}

async fn assert_logged(gateway: &TestGateway, status: u16, code: &str) {
    let line = gateway.access_log(1).await.pop().expect("a line");
    let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!((line["status"].as_u64(), line["code"].as_str()), (Some(status.into()), Some(code)), "{line}");
}

#[tokio::test]
async fn what_the_listener_refuses_has_the_same_shape_and_names_nobody() {
    let gateway = tidegate().start("routing: { routes: [{ reply: { body: a } }] }").await;
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET /?q=\"quoted\" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /\u{e9} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nConnection: close\r\n\r\n",
        "TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ] {
        let answer = gateway.raw(request).await;
        let status = answer.status().unwrap_or_default();
        if status == 200 {
            continue;
        }
        assert!((400..500).contains(&status) || status == 501, "{request:?}: {}", answer.text());
        let text = answer.text();
        assert!(!text.contains("ingora"), "{request:?}: {text}");
        assert!(text.contains("application/problem+json") && text.contains("\"title\":"), "{request:?}: {text}");
        assert!(text.contains("\"code\":\"") && text.contains("\"request_id\":\""), "{request:?}: {text}");
    }
}

#[tokio::test]
async fn what_the_listener_refuses_is_logged_with_its_cause_and_the_id_that_the_client_got() {
    let gateway = tidegate().start("routing: { routes: [{ reply: { body: a } }] }").await;
    let answer = gateway.raw("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").await;
    assert_eq!(answer.status(), Some(400), "{}", answer.text());
    let line: serde_json::Value = serde_json::from_str(&gateway.access_log(1).await.remove(0)).expect("JSON");
    let id = line["request_id"].as_str().expect("an id");
    assert!(answer.text().contains(id), "{line} {}", answer.text());
    assert_eq!((line["status"].as_u64(), line["code"].as_str()), (Some(400), Some("bad_request")), "{line}");
    assert!(line["error"].as_str().is_some_and(|error| error.contains("Host")), "{line}");
}

#[tokio::test]
async fn a_refused_connection_is_502() {
    let refusing = refusing();
    for http in Http::BOTH {
        let gateway = tidegate().start(&route_to(&refusing.addr().to_string(), "")).await;
        let answer = gateway.request(Method::GET, "/").by(http).send().await;
        is_problem(&answer, 502, "upstream_refused");
        assert_logged(&gateway, 502, "upstream_refused").await;
    }
}

#[tokio::test]
async fn an_upstream_that_says_nothing_is_504() {
    let app = upstream().route("*", Script::stall()).start().await;
    for http in Http::BOTH {
        let gateway = tidegate().start(&all_to_with(&app, "timeouts: { read: 50ms }")).await;
        let answer = gateway.request(Method::GET, "/").by(http).send().await;
        is_problem(&answer, 504, "upstream_timeout");
        assert_logged(&gateway, 504, "upstream_timeout").await;
    }
}

#[tokio::test]
async fn a_request_that_takes_longer_than_it_may_is_504_and_the_connection_is_cut_after_the_head() {
    let app = upstream()
        .route("/slow", Script::stall())
        .route("/half", Script::reply("0123456789").stall_after(5))
        .start()
        .await;
    // The head has to come in time, on a busy machine as well.
    let gateway = tidegate().start(&timed(&app, "/slow", ["request: 100ms", "request: 5s"])).await;
    let answer = gateway.get("/slow").await;
    assert_eq!(answer.status, 504, "{answer:?}");
    let cut = gateway.request(Method::GET, "/half").try_send().await;
    assert!(cut.is_err(), "{cut:?}");
}

#[tokio::test]
async fn an_upstream_that_hangs_up_or_talks_nonsense_is_502() {
    let app = upstream()
        .route("/close", Script::close())
        .route("/reset", Script::reset())
        .route("/garbage", Script::raw("secret-upstream-text is not HTTP\r\n\r\n"))
        .route("/two-lengths", Script::raw("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"))
        .start()
        .await;
    let gateway = tidegate().start(&all_to(&app)).await;
    for path in ["/close", "/reset", "/garbage", "/two-lengths"] {
        for http in Http::BOTH {
            let answer = gateway.request(Method::GET, path).by(http).send().await;
            let code = answer.json()["code"].as_str().unwrap_or_default().to_owned();
            assert!(code.starts_with("upstream_"), "{path}: {answer:?}");
            is_problem(&answer, 502, &code);
        }
    }
}

#[tokio::test]
async fn an_answer_that_stops_half_way_is_cut_and_not_completed() {
    let app = upstream()
        .route("/cut", Script::reply("0123456789").close_after(4))
        .route("/cut-chunked", Script::reply("0123456789").chunked().close_after(4))
        .route("/reset", Script::reply("0123456789").chunked().reset_after(4))
        .start()
        .await;
    let gateway = tidegate().start(&all_to(&app)).await;
    for path in ["/cut", "/cut-chunked", "/reset"] {
        for http in Http::BOTH {
            let answer = gateway.request(Method::GET, path).by(http).try_send().await;
            assert!(answer.is_err(), "{path} by {http:?}: a client would take this for whole: {answer:?}");
        }
    }
}

#[tokio::test]
async fn an_upstream_without_an_address_is_503() {
    let gateway = tidegate().start(&route_to("surely-no-such-host.invalid:80", "")).await;
    for http in Http::BOTH {
        let answer = gateway.request(Method::GET, "/").by(http).send().await;
        is_problem(&answer, 503, "no_target");
    }
}

#[tokio::test]
async fn a_path_without_a_route_is_404() {
    let gateway = tidegate().start("routing: { routes: [{ match: { path: /a }, reply: { body: a } }] }").await;
    for http in Http::BOTH {
        let answer = gateway.request(Method::GET, "/nothing").by(http).send().await;
        is_problem(&answer, 404, "not_found");
    }
    assert_eq!(gateway.metric("http_requests_total", &[("status_code", "404")]).await, 2.0);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_is_logged_as_499() {
    let app = upstream().route("*", Script::stall()).start().await;
    for http in Http::BOTH {
        app.forget();
        let gateway = tidegate().start(&all_to(&app)).await;
        match http {
            Http::One => {
                let mut client = gateway.connect().await;
                client.begin(&call(Method::GET, "/")).await;
                app.wait_for(1).await;
                drop(client);
            }
            Http::Two => {
                let mut client = gateway.connect_h2().await;
                let mut stream = client.begin(&call(Method::GET, "/")).await;
                stream.finish();
                app.wait_for(1).await;
                stream.cancel();
            }
        }
        let line = gateway.access_log(1).await.remove(0);
        assert!(line.contains("\"status\":499"), "{http:?}: {line}");
        let metrics = gateway.metrics().await;
        assert_eq!(metrics.sum("http_requests_total", &[("status_code", "499")]), 1.0, "{http:?}");
        wait_until("the upstream's connection to end", || app.open_connections() == 0).await;
    }
}

#[tokio::test]
async fn a_failed_request_with_a_body_is_sent_once_and_one_without_goes_to_the_next_target() {
    let refusing = refusing();
    let app = upstream().route("*", Script::echo()).start().await;
    let yaml =
        route_to(&refusing.addr().to_string(), "").replace("targets: [", &format!("targets: [\"{}\", ", app.target()));
    let gateway = tidegate().start(&yaml).await;
    for _ in 0..10 {
        gateway.get("/").await.expect(200);
        gateway.post("/").body("x").send().await.expect(200);
    }
    assert_eq!(app.requests().len(), 20);

    let closing = upstream().route("*", Script::close()).start().await;
    let gateway = tidegate().start(&all_to(&closing)).await;
    gateway.post("/").body("pay 10").send().await.expect(502);
    assert_eq!(closing.requests().len(), 1, "a POST that an upstream may have acted on was sent again");
}

#[tokio::test]
async fn the_gateway_goes_on_after_each_failure_on_the_same_connection_or_says_that_it_will_not() {
    let app = upstream().route("/stall", Script::stall()).reply("/ok", "ok").start().await;
    let gateway = tidegate().start(&timed(&app, "/stall", ["read: 50ms", "read: 60s"])).await;
    let mut client = gateway.connect().await;
    let failed = client.get("/stall").await.expect(504);
    let closes = failed.headers.all("connection").any(|value| value.eq_ignore_ascii_case("close"));
    match client.try_send(call(Method::GET, "/ok")).await {
        Ok(answer) => assert_eq!((answer.status, closes), (200, false)),
        Err(error) => assert!(closes, "closed without a word: {error}"),
    }
    tokio::time::timeout(Duration::from_secs(10), gateway.get("/ok")).await.expect("an answer").expect(200);
}
