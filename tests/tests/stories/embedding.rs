//! A gateway as a guest in somebody else's program: nothing global, nothing left behind.

use tidegate_testkit::{Script, call, upstream, wait_until, wait_until_async};

use crate::{all_to, tidegate};

#[tokio::test]
async fn two_gateways_in_one_process_do_not_meet() {
    let yaml = |text: &str| format!("routing: {{ routes: [{{ name: same, reply: {{ body: {text} }} }}] }}");
    let (one, two) = (tidegate().start(&yaml("one")).await, tidegate().start(&yaml("two")).await);
    for _ in 0..3 {
        assert_eq!(one.get("/").await.text(), "one");
    }
    assert_eq!(two.get("/").await.text(), "two");
    assert_eq!(one.metric("http_requests_total", &[("route", "same")]).await, 3.0);
    assert_eq!(two.metric("http_requests_total", &[("route", "same")]).await, 1.0);
    one.reload(&yaml("new")).await.expect("a good configuration");
    assert_eq!(two.get("/").await.text(), "two");
    drop(one);
    assert_eq!(two.get("/").await.text(), "two");
}

#[tokio::test]
async fn a_gateway_that_is_dropped_closes_its_ports_and_its_connections() {
    let app = upstream().route("*", Script::stall()).start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    let (addr, admin) = (gateway.addr(), gateway.admin_addr());
    let mut client = gateway.connect().await;
    client.begin(&call(http::Method::GET, "/")).await;
    app.wait_for(1).await;
    drop(gateway);
    assert_eq!(client.until_closed().await, "");
    wait_until("the upstream to be let go", || app.open_connections() == 0).await;
    for port in [addr, admin] {
        wait_until_async("the port to be closed", async || tokio::net::TcpStream::connect(port).await.is_err()).await;
    }
}

#[tokio::test]
async fn a_shutdown_waits_for_requests_and_says_whether_all_ended() {
    let app = upstream().reply("/", "ok").route("/stall", Script::stall()).start().await;
    let drain = |timeout: &str| format!("{}server: {{ drain: {{ timeout: {timeout} }} }}\n", all_to(&app));
    let gateway = tidegate().start(&drain("30s")).await;
    gateway.get("/").await.expect(200);
    assert!(gateway.shutdown().await, "nothing was under way");

    let gateway = tidegate().start(&drain("100ms")).await;
    let mut client = gateway.connect().await;
    client.begin(&call(http::Method::GET, "/stall")).await;
    app.wait_for(2).await;
    assert!(!gateway.shutdown().await, "a request was cut");
}
