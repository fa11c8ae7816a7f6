//! A new configuration while requests are under way (L10).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use http::Method;
use tidegate_testkit::{Script, TestGateway, call, gate, pattern, upstream, wait_until, wait_until_async};

use crate::streaming::websocket;
use crate::{all_to, route_to, tidegate};

fn replying(text: &str) -> String {
    format!("routing: {{ routes: [{{ name: fixed, reply: {{ body: \"{text}\" }} }}] }}\n")
}

async fn says(gateway: &TestGateway, text: &str) {
    wait_until_async(text, async || gateway.get("/").await.text() == text).await;
}

#[tokio::test]
async fn a_new_configuration_takes_over_at_once_on_connections_that_are_open() {
    let gateway = tidegate().start(&replying("old")).await;
    let (mut h1, mut h2) = (gateway.connect().await, gateway.connect_h2().await);
    assert_eq!((h1.get("/").await.text(), h2.get("/").await.text()), ("old".to_owned(), "old".to_owned()));
    gateway.reload(&replying("new")).await.expect("a good configuration");
    assert_eq!((h1.get("/").await.text(), h2.get("/").await.text()), ("new".to_owned(), "new".to_owned()));
    assert_eq!(gateway.metric("tidegate_config_reloads_total", &[("result", "success")]).await, 1.0);
}

#[tokio::test]
async fn a_bad_configuration_changes_nothing_and_says_why() {
    let gateway = tidegate().start(&replying("good")).await;
    for (bad, why) in [
        ("routing: { routes: [{ reply: { body: a } }], nonsense: 1 }", "nonsense"),
        ("routing: { routes: [{ upstream: missing }] }", "missing"),
        (
            "routing: { routes: [{ name: a, reply: { body: a } }, { name: a, match: { path: /b }, reply: { body: b } }] }",
            "`a` is taken",
        ),
        ("not yaml: [", "line"),
        ("headers: { default: 7 }\nrouting: { routes: [{ reply: { body: a } }] }", "headers.default"),
    ] {
        let error = gateway.reload(bad).await.expect_err("refused");
        assert!(error.contains(why), "{bad}\n{error}");
        assert_eq!(gateway.get("/").await.text(), "good");
    }
    let metrics = gateway.metrics().await;
    assert_eq!(metrics.sum("tidegate_config_last_reload_failed", &[]), 1.0);
    assert!(metrics.sum("tidegate_config_reloads_total", &[]) >= 5.0);
    gateway.reload(&replying("better")).await.expect("a good configuration");
    assert_eq!(gateway.metric("tidegate_config_last_reload_failed", &[]).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_is_read_again_and_a_bad_one_is_not() {
    let gateway = tidegate().start_from_file(&replying("one")).await;
    says(&gateway, "one").await;
    gateway.rewrite(&replying("two"));
    says(&gateway, "two").await;
    gateway.rewrite("routing: { nonsense: 1 }");
    wait_until_async("the bad file to be noticed", async || {
        gateway.metric("tidegate_config_last_reload_failed", &[]).await == 1.0
    })
    .await;
    assert_eq!(gateway.get("/").await.text(), "two");
    gateway.rewrite(&replying("three"));
    says(&gateway, "three").await;
}

#[tokio::test]
async fn downloads_uploads_and_websockets_survive_a_reload() {
    let held = gate();
    let app = upstream()
        .route("/down", Script::generated(200_000).wait_after(100_000, &held))
        .route("/up", Script::reply("thanks"))
        .route("/ws", Script::upgrade())
        .start()
        .await;
    let gateway = tidegate().start(&all_to(&app)).await;

    let mut socket = gateway.connect().await;
    socket.begin(&websocket("/ws")).await;
    assert_eq!(socket.head().await.status, 101);
    let mut download = gateway.connect().await;
    download.begin(&call(Method::GET, "/down")).await;
    assert_eq!(download.head().await.status, 200);
    let mut h2 = gateway.connect_h2().await;
    let mut upload = h2.begin(&call(Method::POST, "/up")).await;
    upload.send(pattern(1000)).await;
    app.wait_for_heads(3).await;

    // Nothing of the old configuration is in the new one.
    gateway.reload(&replying("new")).await.expect("a good configuration");
    assert_eq!(gateway.get("/down").await.text(), "new");

    socket.write("still here").await;
    assert_eq!(socket.bytes(10).await, "still here");
    held.open();
    let mut body = Vec::new();
    while let Some(piece) = download.piece().await {
        body.extend_from_slice(&piece);
    }
    assert_eq!(body, pattern(200_000));
    upload.send(pattern(2000).slice(1000..)).await;
    upload.finish();
    assert_eq!(upload.head().await.status, 200);
    let uploaded = app.requests().into_iter().find(|request| request.target == "/up").expect("the upload");
    assert_eq!((uploaded.check.length(), uploaded.check.is_intact()), (2000, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_reloads_under_load_fail_no_request() {
    let app = upstream().reply("*", "ok").start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let served = Arc::new(AtomicU32::new(0));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let (addr, stopped, served) = (gateway.addr(), stopped.clone(), served.clone());
        clients.spawn(async move {
            let mut client = tidegate_testkit::Client::connect(addr).await;
            while !*stopped.borrow() {
                let answer = client.get("/").await.expect(200);
                served.fetch_add(1, Ordering::Relaxed);
                if answer.header("connection").is_some_and(|value| value == "close") {
                    client = tidegate_testkit::Client::connect(addr).await;
                }
            }
        });
    }
    let yamls = [all_to(&app), route_to(&app.target(), "timeouts: { read: 20s }")];
    for turn in 0..100 {
        // Each reload meets a request or more.
        let before = served.load(Ordering::Relaxed);
        gateway.reload(&yamls[turn % 2]).await.expect("a good configuration");
        wait_until("a request to be served", || clients.is_empty() || served.load(Ordering::Relaxed) > before).await;
    }
    stop.send(true).expect("clients are there");
    while let Some(client) = clients.join_next().await {
        client.expect("no request failed");
    }
    let served = served.load(Ordering::Relaxed);
    wait_until_async("all to be counted", async || {
        gateway.metric("http_requests_total", &[("status_code", "200")]).await == f64::from(served)
    })
    .await;
}

#[tokio::test]
async fn what_can_not_change_while_running_is_refused_by_name() {
    let listener = |port: u16| format!("listeners: [{{ name: main, bind: \"127.0.0.1:{port}\" }}]\n");
    let gateway = tidegate().start(&format!("{}{}", replying("a"), listener(0))).await;
    let error = gateway.reload(&format!("{}{}", replying("b"), listener(1))).await.expect_err("refused");
    assert!(error.contains("listeners"), "{error}");
    assert_eq!(gateway.get("/").await.text(), "a");
}
