//! Connections: their end, and what keeps them.

use http::Method;
use tidegate_testkit::{Client, Script, call, gate, upstream, wait_until, wait_until_async};

use crate::{all_to, tidegate};

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_requests_need_no_more_than_a_few_connections_to_the_upstream() {
    let app = upstream().reply("*", "ok").start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let addr = gateway.addr();
        clients.spawn(async move {
            for _ in 0..5 {
                let mut client = Client::connect(addr).await;
                for _ in 0..500 {
                    client.get("/").await.expect(200);
                }
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.expect("every request was answered");
    }
    assert_eq!(app.requests().len(), 10_000);
    assert!(app.connections() <= 20, "{} connections", app.connections());
}

#[tokio::test]
async fn an_upstream_connection_that_died_while_idle_costs_no_request() {
    let app = upstream().reply("/", "ok").route("/last", Script::reply("bye").closing()).start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    let mut client = gateway.connect().await;
    for _ in 0..20 {
        client.get("/last").await.expect(200);
        wait_until("the upstream to hang up", || app.open_connections() == 0).await;
        client.get("/").await.expect(200);
    }
}

#[tokio::test]
async fn requests_on_one_h2_connection_do_not_wait_for_one_another() {
    let held = gate();
    let app = upstream().route("/held", Script::reply("late").wait(&held)).reply("/now", "now").start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    let client = gateway.connect_h2().await;
    let mut slow = client.clone();
    let late = tokio::spawn(async move { slow.get("/held").await });
    app.wait_for(1).await;
    let mut fast = client.clone();
    for _ in 0..10 {
        assert_eq!(fast.get("/now").await.text(), "now");
    }
    assert!(!late.is_finished());
    held.open();
    assert_eq!(late.await.expect("an answer").text(), "late");
}

#[tokio::test]
async fn a_slow_reader_holds_the_upstream_back_instead_of_filling_memory() {
    let app = upstream().route("/big", Script::generated(1 << 40)).start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    let mut client = gateway.connect().await;
    client.begin(&call(Method::GET, "/big")).await;
    client.head().await;
    client.piece().await;
    drop(client);
    wait_until("the upstream to be let go", || app.open_connections() == 0).await;
    wait_until_async("nothing in flight", async || gateway.metric("tidegate_requests_in_flight", &[]).await == 0.0)
        .await;
}
