//! One id for a request, wherever it is seen (K11, X17).

use http::Method;
use tidegate_testkit::{Http, TestGateway, upstream};

use crate::{all_to, tidegate};

const TRUSTED: &str = "trusted_proxies: [127.0.0.0/8]\n";

async fn id_of(gateway: &TestGateway, http: Http, sent: &str) -> String {
    let answer = gateway.request(Method::GET, "/").by(http).header("x-request-id", sent).send().await;
    assert_eq!(answer.headers.count("x-request-id"), 1, "{answer:?}");
    answer.header("x-request-id").expect("an id").to_owned()
}

#[tokio::test]
async fn client_upstream_log_and_error_body_have_the_same_id() {
    let app = upstream().reply("/", "ok").start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    for (count, http) in [(1, Http::One), (2, Http::Two)] {
        app.forget();
        let id =
            gateway.request(Method::GET, "/").by(http).send().await.header("x-request-id").expect("an id").to_owned();
        assert_eq!(app.request().header("x-request-id"), Some(id.as_str()));
        let lines = gateway.access_log(count).await;
        assert!(lines.iter().any(|line| line.contains(&id)), "{id} is not in {lines:?}");
        assert_eq!(id.len(), 36, "a UUID: {id}");
    }
    let twice = (gateway.get("/").await, gateway.get("/").await);
    assert_ne!(twice.0.header("x-request-id"), twice.1.header("x-request-id"));
}

#[tokio::test]
async fn a_stranger_s_id_is_replaced() {
    let app = upstream().reply("/", "ok").start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    for http in Http::BOTH {
        assert_ne!(id_of(&gateway, http, "chosen-by-client").await, "chosen-by-client");
    }
    assert!(app.requests().iter().all(|request| request.header("x-request-id") != Some("chosen-by-client")));
}

#[tokio::test]
async fn a_trusted_proxy_s_id_is_taken_over_if_it_is_one() {
    let app = upstream().reply("/", "ok").start().await;
    let gateway = tidegate().start(&format!("{}{TRUSTED}", all_to(&app))).await;
    for http in Http::BOTH {
        for good in ["a", "A-Z.a_z-09", &"x".repeat(128)] {
            assert_eq!(id_of(&gateway, http, good).await, good, "{http:?}");
        }
        let long = "y".repeat(129);
        let huge = "z".repeat(10_000);
        for bad in ["", "a b", "a,b", "a\"b", "{id}", "é", &long, &huge] {
            let id = id_of(&gateway, http, bad).await;
            assert_ne!(id, bad, "{http:?}");
            assert_eq!(id.len(), 36, "{http:?}");
        }
    }
    assert!(app.requests().iter().all(|request| request.header("x-request-id").is_some_and(|id| id.len() <= 128)));
}

#[tokio::test]
async fn line_ends_in_an_id_reach_neither_upstream_nor_log() {
    let app = upstream().reply("/", "ok").start().await;
    let gateway = tidegate().start(&format!("{}{TRUSTED}", all_to(&app))).await;
    for id in ["a\r\n evil: 1", "a\nevil: 1", "a\revil: 1", "a\0evil"] {
        let answer =
            gateway.raw(format!("GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: {id}\r\nConnection: close\r\n\r\n")).await;
        assert_eq!(answer.status(), Some(400), "{id:?}: {answer:?}");
    }
    assert_eq!(app.connections(), 0);
    gateway.get("/").await.expect(200);
    let log = gateway.access_log(1).await.join("\n");
    assert!(!log.contains("evil"), "{log}");
}
