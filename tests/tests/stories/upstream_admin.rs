//! `/upstreams` on the admin listener: what it shows, what it changes, and what it turns away.

use http::Method;
use tidegate_testkit::{Answer, Client, TestGateway, call, upstream};

use crate::retries::pool;
use crate::tidegate;

async fn ask(gateway: &TestGateway, method: Method, path: &str, body: &str) -> Answer {
    let call = match body {
        "" => call(method, path),
        body => call(method, path).body(body.to_owned()),
    };
    Client::connect(gateway.admin_addr()).await.send(call).await
}

#[tokio::test]
async fn pools_are_shown_and_unknown_ones_are_not() {
    let app = upstream().reply("*", "ok").start().await;
    let gateway = tidegate().start(&pool(&[app.target()], "")).await;
    let all = gateway.admin("/upstreams").await.expect(200);
    assert_eq!(all.header("content-type"), Some("application/json"));
    let all = all.json();
    assert_eq!(
        (all["upstreams"][0]["name"].as_str(), all["upstreams"].as_array().map(Vec::len)),
        (Some("app"), Some(1))
    );
    let one = gateway.admin("/upstreams/app").await.expect(200).json();
    assert_eq!(one["targets"][0]["target"].as_str(), Some(&*app.target()), "{one}");
    for path in ["/upstreams/none", "/upstreams/app/x", "/upstreams/app/targets/x", "/upstreamsx"] {
        gateway.admin(path).await.expect(404);
    }
    assert!(gateway.admin("/").await.expect(404).text().contains("/upstreams"));
}

#[tokio::test]
async fn targets_are_replaced_and_restored_and_a_bad_list_changes_nothing() {
    let (one, two) = (upstream().reply("*", "one").start().await, upstream().reply("*", "two").start().await);
    let gateway = tidegate().start(&pool(&[one.target()], "")).await;
    let list = format!("[{{\"address\": \"{}\", \"weight\": 2}}]", two.target());
    let shown = ask(&gateway, Method::PUT, "/upstreams/app/targets", &list).await.expect(200).json();
    assert!(shown["targets"].to_string().contains(&two.target()), "{shown}");
    assert_eq!(gateway.get("/").await.expect(200).text(), "two");
    for (bad, says) in [
        ("", "not a JSON list of targets"),
        ("{}", "not a JSON list of targets"),
        ("[]", "no targets"),
        ("[\"nowhere\"]", "targets[0]"),
        ("[{\"address\": \"127.0.0.1:1\", \"wieght\": 1}]", "wieght"),
    ] {
        let refused = ask(&gateway, Method::PUT, "/upstreams/app/targets", bad).await.expect(400);
        assert!(refused.text().contains(says), "{bad}: {}", refused.text());
        assert_eq!(gateway.get("/").await.expect(200).text(), "two", "{bad}");
    }
    let long = format!("[\"{}\"]", "a".repeat(1024 * 1024));
    ask(&gateway, Method::PUT, "/upstreams/app/targets", &long).await.expect(413);
    ask(&gateway, Method::DELETE, "/upstreams/app/targets", "").await.expect(200);
    assert_eq!(gateway.get("/").await.expect(200).text(), "one");
}

#[tokio::test]
async fn a_target_is_drained_by_its_address_however_that_is_written() {
    let (tcp, unix) = (upstream().reply("*", "tcp").start().await, upstream().reply("*", "unix").unix().start().await);
    let gateway = tidegate().start(&pool(&[tcp.target(), unix.target()], "")).await;
    let encoded = unix.target().replace('/', "%2F").replace(':', "%3A");
    let drain = format!("/upstreams/app/targets/{encoded}/drain");
    ask(&gateway, Method::PUT, &drain, "").await.expect(200);
    for _ in 0..4 {
        assert_eq!(gateway.get("/").await.expect(200).text(), "tcp");
    }
    ask(&gateway, Method::DELETE, &drain, "").await.expect(200);
    ask(&gateway, Method::PUT, &format!("/upstreams/app/targets/{}/drain", tcp.target()), "").await.expect(200);
    assert_eq!(gateway.get("/").await.expect(200).text(), "unix");
    ask(&gateway, Method::PUT, "/upstreams/app/targets/10.0.0.1:1/drain", "").await.expect(404);
    // With everybody drained there is nobody left to ask.
    ask(&gateway, Method::PUT, &drain, "").await.expect(200);
    let answer = gateway.get("/").await.expect(503);
    assert_eq!((answer.json()["code"].as_str(), answer.header("retry-after")), (Some("no_target"), Some("1")));
}

#[tokio::test]
async fn other_methods_and_web_pages_are_turned_away() {
    let app = upstream().reply("*", "ok").start().await;
    let gateway = tidegate().start(&pool(&[app.target()], "")).await;
    let target = format!("/upstreams/app/targets/{}/drain", app.target());
    for (method, path) in [
        (Method::POST, "/upstreams"),
        (Method::DELETE, "/upstreams/app"),
        (Method::GET, "/upstreams/app/targets"),
        (Method::POST, target.as_str()),
    ] {
        let answer = ask(&gateway, method.clone(), path, "").await.expect(405);
        assert!(answer.header("allow").is_some(), "{method} {path}");
    }
    for (name, value) in [("Origin", "https://evil.test"), ("Sec-Fetch-Site", "cross-site")] {
        let call = call(Method::PUT, target.as_str()).header(name, value);
        Client::connect(gateway.admin_addr()).await.send(call).await.expect(403);
    }
    gateway.get("/").await.expect(200);
}
