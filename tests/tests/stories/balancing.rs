//! Which server gets a request: the least loaded, the user's own, one that has room (B1-B3, X13).

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::Method;
use tidegate_testkit::{
    Answer, Script, Tally, TestGateway, Upstream, call, free_port, gate, load, upstream, wait_until, wait_until_async,
};

use crate::tidegate;

/// One upstream called `app`, and a route to it for everything.
fn pool(targets: &[&Upstream], more: &str) -> String {
    let targets: Vec<String> = targets.iter().map(|target| format!("\"{}\"", target.target())).collect();
    pool_of(&targets.join(", "), more)
}

fn pool_of(targets: &str, more: &str) -> String {
    format!(
        "upstreams:\n  app:\n    targets: [{targets}]\n{}\nrouting: {{ routes: [{{ name: all, upstream: app }}] }}\n",
        more.lines().map(|line| format!("    {}\n", line.trim())).collect::<String>()
    )
}

async fn replying(body: &'static str) -> Upstream {
    upstream().reply("*", body).start().await
}

async fn taking(body: &'static str, time: Duration) -> Upstream {
    upstream().route("*", Script::reply(body).delay(time)).start().await
}

fn share(tally: &Tally, name: &str) -> f64 {
    let all: usize = tally.values().sum();
    tally.get(name).copied().unwrap_or_default() as f64 / all as f64
}

/// The same load on one server that takes ten times as long as the other two, by each algorithm. They take so long that
/// what a busy machine adds is little.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_server_gets_its_turn_by_round_robin_and_little_by_load() {
    const CLIENTS: usize = 12;
    let usual = Duration::from_millis(100);
    let [one, two] = [taking("fast", usual).await, taking("fast", usual).await];
    let slow = taking("slow", 10 * usual).await;
    for lb in ["round_robin", "least_request", "peak_ewma"] {
        let gateway = tidegate().start(&pool(&[&one, &two, &slow], &format!("lb: {lb}"))).await;
        let load = load(gateway.addr(), "/", CLIENTS);
        // Until the slow one has as much to do as it will ever have.
        load.next(5 * CLIENTS).await;
        let shared = async || share(&load.next(240).await, "slow");
        match lb {
            "round_robin" => {
                let share = shared().await;
                assert!((share - 1.0 / 3.0).abs() < 0.06, "{share}");
            }
            // A stall makes all of them slow, and is remembered for some seconds.
            _ => wait_until_async(&format!("{lb} to spare the slow one"), async || shared().await < 0.25).await,
        }
        load.finish().await;
    }
}

#[tokio::test]
async fn a_user_has_one_server_and_every_gateway_knows_which() {
    let servers = [replying("a").await, replying("b").await, replying("c").await];
    let lb = "lb: { algorithm: consistent_hash, hash_on: [header.x-user, client] }";
    let yaml = pool(&servers.each_ref(), lb);
    let gateways = [tidegate().start(&yaml).await, tidegate().start(&yaml).await];
    let mut users = Tally::new();
    for user in 0..60 {
        let mut seen = Vec::new();
        for gateway in gateways.iter().chain(&gateways) {
            let answer = gateway.request(Method::GET, "/").header("X-User", user.to_string()).send().await;
            seen.push(answer.expect(200).text());
        }
        assert!(seen.iter().all(|body| *body == seen[0]), "user {user}: {seen:?}");
        *users.entry(seen.remove(0)).or_default() += 1;
    }
    assert_eq!(users.len(), 3, "{users:?}");
    // Whoever sends no such field is known by the address.
    let strangers: Vec<String> = [gateways[0].get("/").await, gateways[1].get("/").await].map(|a| a.text()).to_vec();
    assert_eq!(strangers[0], strangers[1]);
}

/// The sticky cookie as a browser would send it back.
fn cookie_of(answer: &Answer) -> Option<String> {
    let cookie = answer.headers.all("set-cookie").find(|cookie| cookie.starts_with("tidegate_target="))?;
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && cookie.contains("Secure"), "{cookie}");
    cookie.split(';').next().map(str::to_owned)
}

async fn with_cookie(gateway: &TestGateway, cookie: &str) -> Answer {
    gateway.request(Method::GET, "/").header("Cookie", format!("a=1; {cookie}; b=2")).send().await.expect(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_stays_on_its_server_over_a_restart_of_it_and_can_not_choose_one() {
    // Their ports are not the kernel's to give, or somebody else could have the one of the server that stops.
    let start = async |name: String, addr: SocketAddr| upstream().at(addr).reply("*", name).start().await;
    let addr = || SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let [a, b] = [start("a".to_owned(), addr()).await, start("b".to_owned(), addr()).await];
    let more = "sticky: { secret: \"0123456789abcdef0123456789abcdef\" }\n\
                health: { path: /health, interval: 20ms, timeout: 20s, healthy: 1, unhealthy: 1 }";
    let gateway = tidegate().start(&pool(&[&a, &b], more)).await;
    let first = gateway.get("/").await.expect(200);
    let cookie = cookie_of(&first).expect("a cookie");
    assert!(!cookie.contains(&a.addr().port().to_string()) && !cookie.contains(&b.addr().port().to_string()));
    for _ in 0..6 {
        let answer = with_cookie(&gateway, &cookie).await;
        assert_eq!((answer.text(), cookie_of(&answer)), (first.text(), None));
    }
    // A cookie that nobody gave out is none.
    let forged = with_cookie(&gateway, "tidegate_target=AAAAAAAAAAAAAAAAAAAAAA").await;
    assert!(cookie_of(&forged).is_some());

    let (own, other) = if first.text() == "a" { (a, b) } else { (b, a) };
    let (name, addr) = (first.text(), own.addr());
    own.stop().await;
    until_usable(&gateway, &addr.to_string(), false).await;
    let meanwhile = with_cookie(&gateway, &cookie).await;
    assert_eq!((meanwhile.text() == name, cookie_of(&meanwhile).is_some()), (false, true));

    let _own = start(name.clone(), addr).await;
    until_usable(&gateway, &addr.to_string(), true).await;
    for _ in 0..4 {
        assert_eq!(with_cookie(&gateway, &cookie).await.text(), name);
    }
    drop(other);
}

pub(crate) async fn until_usable(gateway: &TestGateway, target: &str, usable: bool) {
    wait_until_async(&format!("{target} to be usable: {usable}"), async || {
        gateway.metric("tidegate_upstream_usable", &[("target", target)]).await == f64::from(u8::from(usable))
    })
    .await;
}

/// A request that is held until its gate opens, and then answered.
fn held(gateway: &TestGateway) -> tokio::task::JoinHandle<Answer> {
    let addr = gateway.addr();
    tokio::spawn(async move { tidegate_testkit::Client::connect(addr).await.send(call(Method::GET, "/held")).await })
}

#[tokio::test]
async fn a_server_never_has_more_requests_than_it_may_and_what_is_over_goes_elsewhere_or_is_503() {
    let open = gate();
    let start = async || upstream().route("/held", Script::reply("held").wait(&open)).start().await;
    let (small, large) = (start().await, start().await);
    let targets = format!(
        "{{ address: \"{}\", max_in_flight: 1 }}, {{ address: \"{}\", max_in_flight: 3 }}",
        small.target(),
        large.target()
    );
    let gateway = tidegate().start(&pool_of(&targets, "")).await;
    let requests: Vec<_> = (0..4).map(|_| held(&gateway)).collect();
    let (few, many) = (small.wait_for(1).await, large.wait_for(3).await);
    assert_eq!((few.len(), many.len()), (1, 3));

    let refused = gateway.get("/held").await.expect(503);
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    open.open();
    for request in requests {
        request.await.expect("an answer").expect(200);
    }
    gateway.get("/held").await.expect(200);
    assert_eq!(small.requests().len() + large.requests().len(), 5);
}

#[tokio::test]
async fn a_full_upstream_lets_some_wait_and_refuses_the_rest() {
    let open = gate();
    let app = upstream().route("/held", Script::reply("held").wait(&open)).start().await;
    let limits = "limits: { in_flight: 1, queue: 1, queue_timeout: 60s }";
    let gateway = tidegate().start(&pool(&[&app], limits)).await;
    let first = held(&gateway);
    app.wait_for(1).await;
    let second = held(&gateway);
    let queued = async || gateway.metric("tidegate_upstream_queued", &[("upstream", "app")]).await == 1.0;
    wait_until_async("the second to wait", queued).await;

    let third = gateway.get("/held").await.expect(503);
    assert!(third.header("retry-after").is_some(), "{third:?}");
    assert_eq!(app.requests().len(), 1);
    open.open();
    for request in [first, second] {
        request.await.expect("an answer").expect(200);
    }
    wait_until("the second to have come", || app.requests().len() == 2).await;
}

#[tokio::test]
async fn a_queue_is_left_in_time() {
    let open = gate();
    let app = upstream().route("/held", Script::reply("held").wait(&open)).start().await;
    let limits = "limits: { in_flight: 1, queue: 1, queue_timeout: 30ms }";
    let gateway = tidegate().start(&pool(&[&app], limits)).await;
    let first = held(&gateway);
    app.wait_for(1).await;
    let second = gateway.get("/held").await.expect(503);
    assert!(second.header("retry-after").is_some(), "{second:?}");
    open.open();
    first.await.expect("an answer").expect(200);
    assert_eq!(app.requests().len(), 1);
}
