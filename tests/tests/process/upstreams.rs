//! Servers of their own behind the gateway, under load: one dies, stalls, fails or comes back, and no client notices
//! (B4, B7, B9).

use tidegate_testkit::{Load, Metrics, Program, Signal, Tally, load, program, wait_until_async};

use crate::Tidegate;

/// Clients at a time. All of them may be on the target that fails, and retries have a budget: three at a time are
/// always allowed.
const CLIENTS: usize = 3;

/// A server that answers its name to everything, on a port of its own or where another one was.
async fn server(name: &str, port: Option<u16>) -> Program {
    replying(&format!("{{ body: \"{name}\" }}"), port).await
}

async fn replying(reply: &str, port: Option<u16>) -> Program {
    let mut builder = program(crate::tidegate_program(), "nothing: it is built here");
    if let Some(port) = port {
        builder = builder.on(port);
    }
    let yaml = format!(
        "server: {{ threads: 1 }}\nadmin: off\naccess_log: off\n\
         listeners: [{{ name: main, bind: \"127.0.0.1:{}\" }}]\n\
         routing: {{ routes: [{{ name: all, reply: {reply} }}] }}\n",
        builder.port()
    );
    builder.file("tidegate.yaml", yaml).args(["run", "--config", "tidegate.yaml"]).start().await
}

async fn three() -> [Program; 3] {
    [server("a", None).await, server("b", None).await, server("c", None).await]
}

/// The gateway in front of `servers`, with more in the upstream's section.
async fn gateway(servers: &[&Program], upstream: &str) -> Tidegate {
    let targets: Vec<String> = servers.iter().map(|server| format!("\"{}\"", server.addr())).collect();
    serving(&format!("[{}]", targets.join(", ")), upstream).await
}

async fn serving(targets: &str, upstream: &str) -> Tidegate {
    Tidegate::start(&format!(
        "upstreams:\n  app:\n    targets: {targets}\n{}\nrouting: {{ routes: [{{ name: all, upstream: app }}] }}\n",
        upstream.lines().map(|line| format!("    {}\n", line.trim())).collect::<String>()
    ))
    .await
}

/// A server that was killed refuses at once; the time of a check is for one that only waits for its turn on a busy
/// machine.
const HEALTH: &str = "health: { path: /, interval: 20ms, timeout: 5s, healthy: 2, unhealthy: 2 }";

impl Tidegate {
    async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let text = tidegate_testkit::Client::connect(self.admin).await.get("/metrics").await.expect(200).text();
        Metrics::parse(&text).sum(name, labels)
    }

    async fn until_usable(&self, server: &Program, usable: bool) {
        let target = server.addr().to_string();
        wait_until_async(&format!("{target} to be usable: {usable}"), async || {
            self.metric("tidegate_upstream_usable", &[("target", &target)]).await == f64::from(u8::from(usable))
        })
        .await;
    }

    fn load(&self) -> Load {
        load(self.addr(), "/", CLIENTS)
    }
}

fn share(tally: &Tally, name: &str) -> f64 {
    let all: usize = tally.values().sum();
    tally.get(name).copied().unwrap_or_default() as f64 / all as f64
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_servers_is_killed_and_no_get_fails() {
    let [a, b, c] = three().await;
    let gateway = gateway(&[&a, &b, &c], HEALTH).await;
    let load = gateway.load();
    let before = load.next(300).await;
    assert!(["a", "b", "c"].iter().all(|name| share(&before, name) > 0.3), "{before:?}");

    b.signal(Signal::Kill);
    gateway.until_usable(&b, false).await;
    let after = load.next(2_000).await;
    assert!(!after.contains_key("b") && share(&after, "a") > 0.45, "{after:?}");
    load.finish().await;
    assert_eq!(gateway.metric("http_requests_total", &[("status_code", "502")]).await, 0.0);
}

/// Its port still accepts connections, so that only time tells.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stalls_is_left_out_until_it_goes_on_and_no_get_fails() {
    let [a, b, c] = three().await;
    let retry = "retry: { on: [connect, refused_stream, reset, timeout], per_try_timeout: 300ms }";
    let gateway = gateway(&[&a, &b, &c], &format!("{HEALTH}\n{retry}")).await;
    let load = gateway.load();
    load.next(100).await;

    b.signal(Signal::Stop);
    gateway.until_usable(&b, false).await;
    let without = load.next(1_000).await;
    assert!(!without.contains_key("b"), "{without:?}");

    b.signal(Signal::Continue);
    gateway.until_usable(&b, true).await;
    let again = load.next(300).await;
    assert!(share(&again, "b") > 0.3, "{again:?}");
    load.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_answers_500_is_ejected_and_its_requests_are_tried_elsewhere() {
    let (a, c) = (server("a", None).await, server("c", None).await);
    let broken = replying("{ status: 500, body: \"broken\" }", None).await;
    let upstream = "outlier: { consecutive_5xx: 5, base_ejection: 300s }\nretry: { on: [connect, reset, 500] }";
    let gateway = gateway(&[&a, &broken, &c], upstream).await;
    let load = gateway.load();
    gateway.until_usable(&broken, false).await;
    let after = load.next(1_000).await;
    assert_eq!(after.keys().collect::<Vec<_>>(), ["a", "c"]);
    load.finish().await;
    let labels = [("target", &*broken.addr().to_string()), ("reason", "ejected")];
    assert_eq!(gateway.metric("tidegate_upstream_taken_out_total", &labels).await, 1.0);
    // It was asked no more often than it took, and by those who were under way meanwhile.
    let errors = [("target", &*broken.addr().to_string()), ("outcome", "server_error")];
    let errors = gateway.metric("tidegate_upstream_requests_total", &errors).await;
    assert!((5.0..=(5 + CLIENTS) as f64).contains(&errors), "{errors}");
}

/// A ramp far longer than the test, so that a slow machine sees its beginning too.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_begins_with_a_small_share() {
    let [a, b, c] = three().await;
    let gateway = gateway(&[&a, &b, &c], &format!("{HEALTH}\nslow_start: 600s")).await;
    let load = gateway.load();
    b.signal(Signal::Kill);
    gateway.until_usable(&b, false).await;

    let _b = server("b", Some(b.addr().port())).await;
    gateway.until_usable(&b, true).await;
    // The ramp begins at a tenth of a third.
    let first = load.next(600).await;
    assert!((0.01..0.15).contains(&share(&first, "b")), "{first:?}");
    load.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_gets_its_full_share_when_the_ramp_has_ended() {
    let [a, b, c] = three().await;
    let gateway = gateway(&[&a, &b, &c], &format!("{HEALTH}\nslow_start: 2s")).await;
    let load = gateway.load();
    b.signal(Signal::Kill);
    gateway.until_usable(&b, false).await;

    let b = server("b", Some(b.addr().port())).await;
    gateway.until_usable(&b, true).await;
    wait_until_async("the full share", async || share(&load.next(150).await, "b") > 0.3).await;
    load.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_tier_serves_while_the_first_is_down() {
    let [a, b, spare] = three().await;
    let targets = format!("[\"{}\", \"{}\", {{ address: \"{}\", priority: 1 }}]", a.addr(), b.addr(), spare.addr());
    let gateway = serving(&targets, HEALTH).await;
    let load = gateway.load();
    let before = load.next(300).await;
    assert_eq!(before.keys().collect::<Vec<_>>(), ["a", "b"]);

    let ports = [a.addr().port(), b.addr().port()];
    a.signal(Signal::Kill);
    b.signal(Signal::Kill);
    gateway.until_usable(&a, false).await;
    gateway.until_usable(&b, false).await;
    let down = load.next(300).await;
    assert_eq!(down.keys().collect::<Vec<_>>(), ["c"]);

    let a = server("a", Some(ports[0])).await;
    gateway.until_usable(&a, true).await;
    let one = load.next(300).await;
    assert_eq!(one.keys().collect::<Vec<_>>(), ["a"]);
    let b = server("b", Some(ports[1])).await;
    gateway.until_usable(&b, true).await;
    let both = load.next(300).await;
    assert_eq!(both.keys().collect::<Vec<_>>(), ["a", "b"]);
    load.finish().await;
}

/// All targets are down when the gateway starts: clear errors, and service as soon as there is somebody.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_starts_before_its_servers_serves_as_soon_as_one_is_there() {
    let ports = [tidegate_testkit::free_port(), tidegate_testkit::free_port()];
    let targets = format!("[\"127.0.0.1:{}\", \"127.0.0.1:{}\"]", ports[0], ports[1]);
    let gateway = serving(&targets, HEALTH).await;
    let answer = gateway.get("/").await.expect(503);
    assert_eq!(answer.json()["code"].as_str(), Some("no_target"), "{answer:?}");
    let _one = server("one", Some(ports[1])).await;
    wait_until_async("the first answer", async || gateway.get("/").await.status == 200).await;
    let load = gateway.load();
    assert_eq!(load.next(200).await.keys().collect::<Vec<_>>(), ["one"]);
    load.finish().await;
}
