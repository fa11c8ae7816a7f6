//! The kit's gateway, in front of the kit's upstreams.

use http::Method;
use tidegate_testkit::{Http, Script, certs, gateway, pattern, refusing, upstream};

#[tokio::test]
async fn a_gateway_stands_before_an_upstream() {
    let users = upstream().reply("/users", "hello").route("/echo", Script::echo()).start().await;
    let gateway = gateway()
        .start(&format!(
            "upstreams: {{ users: {{ targets: [\"{}\"] }} }}\n\
             routing: {{ routes: [{{ name: users, upstream: users }}, {{ name: here, match: {{ path: /here }}, reply: {{ body: hi }} }}] }}",
            users.target()
        ))
        .await;
    for http in Http::BOTH {
        let answer = gateway.request(Method::GET, "/users").by(http).send().await.expect(200);
        assert_eq!(answer.text(), "hello");
        assert_eq!(gateway.request(Method::GET, "/here").by(http).send().await.text(), "hi");
        let echo = gateway.post("/echo").generated(200_000).by(http).send().await;
        assert_eq!(echo.body, pattern(200_000));
    }
    assert_eq!(gateway.metric("http_requests_total", &[("route", "users")]).await, 4.0);
    assert_eq!(gateway.access_log(6).await.len(), 6);
    let raw = gateway.raw("GET / HTTP/9\r\n\r\n").await;
    assert!(raw.closed, "{raw:?}");
    assert!(gateway.shutdown().await);
}

#[tokio::test]
async fn a_configuration_is_refused_replaced_and_kept() {
    let refusing = refusing();
    let good = format!(
        "routing: {{ routes: [{{ upstream: users }}] }}\nupstreams: {{ users: {{ targets: [\"{}\"] }} }}",
        refusing.addr()
    );
    let error = gateway().try_start("routing: { ruotes: [] }").await.unwrap_err();
    assert!(error.contains("routing.ruotes") && error.contains("did you mean `routes`"), "{error}");
    let gateway = gateway().start_from_file(&good).await;
    gateway.get("/").await.expect(502);
    assert!(gateway.reload("nonsense: 1").await.is_err());
    gateway.get("/").await.expect(502);
    gateway.reload("routing: { routes: [{ reply: { body: new } }] }").await.expect("a good configuration");
    assert_eq!(gateway.get("/").await.text(), "new");
}

#[tokio::test]
async fn tls_listeners_are_reached_by_name() {
    let certs = certs();
    let leaf = certs.leaf(&["a.test"]);
    let gateway = gateway()
        .start(&format!(
            "listeners: [{{ name: secure, bind: \"127.0.0.1:0\", tls: {{ certificates: [{}] }} }}]\n\
             routing: {{ routes: [{{ reply: {{ body: hi }} }}] }}",
            leaf.yaml()
        ))
        .await;
    for http in Http::BOTH {
        let answer = gateway.request(Method::GET, "/").tls(&certs, "a.test").by(http).send().await;
        assert_eq!(answer.expect(200).text(), "hi");
    }
    assert_eq!(gateway.addr(), gateway.addr_of("secure"));
}
