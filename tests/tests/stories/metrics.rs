//! Rate, errors, duration, by the names, labels and buckets that dashboards know (K2, K3).

use std::time::Duration;

use http::Method;
use tidegate_testkit::{Client, H2Client, Metrics, Script, Upstream, call, upstream};

use crate::{all_to, tidegate};

fn two_routes(app: &Upstream) -> String {
    format!(
        "upstreams: {{ app: {{ targets: [\"{}\"] }} }}\n\
         routing: {{ routes: [{{ name: users, match: {{ path: \"/users/**\" }}, upstream: app }}, {{ name: rest, upstream: app }}] }}\n",
        app.target()
    )
}

#[tokio::test]
async fn a_thousand_requests_are_counted_exactly() {
    let app = upstream().reply("*", "ok").route("/users/none", Script::status(404)).start().await;
    let gateway = tidegate().start(&two_routes(&app)).await;
    let mut h1 = Client::connect(gateway.addr()).await;
    let mut h2 = H2Client::connect(gateway.addr()).await;
    for _ in 0..100 {
        for path in ["/users/1", "/users/2", "/users/none"] {
            h1.get(path).await;
            h2.get(path).await;
        }
        h1.send(call(Method::POST, "/x").body("1")).await;
        h1.send(call(Method::DELETE, "/y")).await;
        h2.send(call(Method::POST, "/z").body("1")).await;
        h2.send(call(Method::from_bytes(b"BREW").expect("a method"), "/z")).await;
    }
    let metrics = gateway.metrics().await;
    let mut counted: Vec<_> = metrics
        .series("http_requests_total")
        .map(|series| {
            let labels: Vec<_> = series.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            (labels.join(","), series.value)
        })
        .collect();
    counted.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [
        ("method=DELETE,route=rest,status_code=200", 100.0),
        ("method=GET,route=users,status_code=200", 400.0),
        ("method=GET,route=users,status_code=404", 200.0),
        ("method=POST,route=rest,status_code=200", 200.0),
        ("method=other,route=rest,status_code=200", 100.0),
    ];
    assert_eq!(counted, expected.map(|(labels, count)| (labels.to_owned(), count)));
}

#[tokio::test]
async fn durations_fall_into_the_buckets_that_alert_rules_are_written_for() {
    let slow = Duration::from_millis(120);
    let app = upstream().reply("/fast", "ok").route("/slow", Script::reply("ok").delay(slow)).start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    gateway.get("/slow").await.expect(200);
    let metrics = gateway.metrics().await;
    let bounds: Vec<_> = metrics
        .series("http_request_duration_seconds_bucket")
        .map(|series| series.label("le").expect("a bound").to_owned())
        .collect();
    assert_eq!(bounds, ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "+Inf"]);
    let bucket = |metrics: &Metrics, le: &str| metrics.sum("http_request_duration_seconds_bucket", &[("le", le)]);
    assert_eq!((bucket(&metrics, "0.1"), bucket(&metrics, "5")), (0.0, 1.0));
    for _ in 0..9 {
        gateway.get("/fast").await.expect(200);
    }
    let metrics = gateway.metrics().await;
    let labels = [("method", "GET"), ("route", "all"), ("status_code", "200")];
    assert_eq!(metrics.sum("http_request_duration_seconds_count", &labels), 10.0);
    assert_eq!(bucket(&metrics, "+Inf"), 10.0);
    assert!(metrics.sum("http_request_duration_seconds_sum", &labels) >= slow.as_secs_f64());
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_paths_hosts_and_methods_add_no_series() {
    let app = upstream().reply("*", "ok").start().await;
    let gateway = tidegate().start(&two_routes(&app)).await;
    let warm_up = async |client: &mut Client| {
        for (method, path) in
            [("GET", "/users/1"), ("GET", "/x"), ("BREW", "/users/1"), ("BREW", "/x"), ("GET", "//%2F")]
        {
            client.send(call(Method::from_bytes(method.as_bytes()).expect("a method"), path)).await;
        }
    };
    warm_up(&mut Client::connect(gateway.addr()).await).await;
    let series = async || {
        let metrics = gateway.metrics().await;
        let mut all: Vec<_> = metrics
            .iter()
            .filter(|series| series.name.starts_with("http_"))
            .map(|s| (s.name.clone(), s.labels.clone()))
            .collect();
        all.sort();
        all
    };
    let before = series().await;
    let all_before = gateway.metrics().await.len();
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..4_u64 {
        let addr = gateway.addr();
        clients.spawn(async move {
            let mut connection = Client::connect(addr).await;
            for turn in 0..2500_u64 {
                let random = (client * 2500 + turn).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let method = if turn % 50 == 0 { format!("M{turn}") } else { "GET".to_owned() };
                let path = if turn % 2 == 0 { format!("/users/{random:x}") } else { format!("/{random:x}?{turn}") };
                let call = call(Method::from_bytes(method.as_bytes()).expect("a method"), path);
                // A connection serves only so many requests.
                let Ok(answer) = connection.try_send(call.host(format!("h{random:x}.test"))).await else {
                    connection = Client::connect(addr).await;
                    continue;
                };
                if answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
                    connection = Client::connect(addr).await;
                }
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.expect("a client that did not panic");
    }
    let metrics = gateway.metrics().await;
    assert!(metrics.sum("http_requests_total", &[]) >= 9_990.0, "{}", metrics.sum("http_requests_total", &[]));
    let added: Vec<_> = series().await.into_iter().filter(|series| !before.contains(series)).collect();
    assert!(added.is_empty(), "series were added: {added:#?}");
    assert!(metrics.len() < all_before + 20, "{} series, {all_before} before", metrics.len());
}

#[tokio::test]
async fn admin_answers_health_readiness_and_metrics_only() {
    let gateway = tidegate().start("routing: { routes: [{ reply: { body: hi } }] }").await;
    assert_eq!(gateway.admin("/healthz").await.expect(200).text(), "ok\n");
    assert_eq!(gateway.admin("/readyz").await.expect(200).text(), "ready\n");
    let metrics = gateway.admin("/metrics").await.expect(200);
    assert!(metrics.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")), "{metrics:?}");
    gateway.admin("/").await.expect(404);
    let mut client = Client::connect(gateway.admin_addr()).await;
    client.send(call(Method::POST, "/metrics")).await.expect(405);
    gateway.request(Method::GET, "/metrics").send().await.expect(200);
    assert_eq!(gateway.get("/metrics").await.text(), "hi", "the traffic listener must not show metrics");
}
