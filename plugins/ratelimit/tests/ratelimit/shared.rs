//! Several gateways, one real Redis (H5, H9, F37).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tidegate_core::redis::cmd;
use tidegate_testkit::{Client, Redis, call, redis};

use super::*;

/// The configuration of [`limited`], counted in the Redis at `url`, which may take as long as a busy machine needs.
pub(crate) fn limited_by(url: &str, limits: &str, section: &str) -> String {
    limited_within("5s", url, limits, section)
}

/// The same, with a deadline for the store.
pub(crate) fn limited_within(timeout: &str, url: &str, limits: &str, section: &str) -> String {
    let store = format!("stores: {{ shared: {{ redis: \"{url}\", timeout: {timeout} }} }}\n");
    store + &limited(limits, &format!("store: shared, {section}"))
}

/// `count` gateways that share the Redis at `url`.
pub(crate) async fn gateways(count: usize, url: &str, limits: &str, section: &str) -> Vec<TestGateway> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(builder().start(&limited_by(url, limits, section)).await);
    }
    all
}

/// All keys in the store.
pub(crate) async fn keys(redis: &Redis) -> Vec<String> {
    redis.ask(cmd("KEYS").arg("*")).await
}

/// `count` requests of one client over 40 connections, the gateways taking turns: how many got which status.
pub(crate) async fn flood(gateways: &[TestGateway], count: usize) -> BTreeMap<u16, usize> {
    const CONNECTIONS: usize = 40;
    let addrs: Vec<SocketAddr> = gateways.iter().map(TestGateway::addr).collect();
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|nth| {
            let addr = addrs[nth % addrs.len()];
            tokio::spawn(async move {
                let mut client = Client::connect(addr).await;
                let mut statuses = BTreeMap::new();
                for _ in 0..count / CONNECTIONS {
                    let answer = client.send(call(Method::GET, "/app/x").header("x-forwarded-for", "192.0.2.1")).await;
                    *statuses.entry(answer.status).or_insert(0) += 1;
                }
                statuses
            })
        })
        .collect();
    let mut all = BTreeMap::new();
    for sender in senders {
        for (status, count) in sender.await.expect("a sender ends well") {
            *all.entry(status).or_insert(0) += count;
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_and_four_gateways_admit_exactly_as_many_as_one_may() {
    let redis = redis().await;
    for count in [2, 4] {
        let limit = format!("{{ name: of-{count}, rate: 1000/h, algorithm: fixed_window, per: client }}");
        let gateways = gateways(count, &redis.url(), &limit, "").await;
        assert_eq!(flood(&gateways, 10_000).await, BTreeMap::from([(200, 1000), (429, 9000)]), "{count} gateways");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leased_gateways_admit_at_most_a_batch_each_more_or_less() {
    let redis = redis().await;
    for (count, algorithm) in [(2, "fixed_window"), (4, "token_bucket")] {
        // A rate so slow that none comes back while the test runs.
        let limit = format!("{{ name: of-{count}, rate: 1000/100d, algorithm: {algorithm}, per: client }}");
        let gateways = gateways(count, &redis.url(), &limit, "consistency: { leased: { batch: 2% } }").await;
        let statuses = flood(&gateways, 10_000).await;
        let (admitted, batch) = (statuses[&200], 20);
        assert_eq!(admitted + statuses[&429], 10_000, "{statuses:?}");
        assert!(admitted <= 1000, "{admitted} of 1000 by {count} gateways: a lease was spent twice");
        assert!(admitted >= 1000 - count * batch, "{admitted} of 1000 by {count} gateways");
    }
}

#[tokio::test]
async fn several_limits_are_one_round_trip_and_all_or_nothing() {
    let redis = redis().await;
    let limits = "{ name: wide, rate: 5/h, per: route }, { name: narrow, rate: 2/h, per: client }, { name: slide, rate: \
                  100/h, algorithm: sliding_window, per: client }, { name: fixed, rate: 100/h, algorithm: fixed_window, \
                  per: client }";
    let gateways = gateways(2, &redis.url(), limits, "").await;
    assert_eq!(admitted(&gateways[0], 1, "192.0.2.1").await, 1);
    let before = redis.calls("evalsha").await;
    assert_eq!(admitted(&gateways[1], 10, "192.0.2.1").await, 1, "narrow, over both gateways");
    let calls = redis.calls("evalsha").await - before;
    assert!((10..=13).contains(&calls), "{calls} scripts for 10 requests of four limits, heartbeats included");
    assert_eq!(admitted(&gateways[0], 9, "192.0.2.2").await, 2);
    assert_eq!(admitted(&gateways[1], 9, "192.0.2.3").await, 1, "wide: nothing was taken by those that narrow refused");
}

#[tokio::test]
async fn every_algorithm_counts_over_all_gateways() {
    let redis = redis().await;
    for (limit, admits) in [
        ("{ name: t, capacity: 5, refill: 1/h, per: client }", 5),
        ("{ name: f, rate: 5/h, algorithm: fixed_window, per: client }", 5),
        ("{ name: s, rate: 5/h, algorithm: sliding_window, per: client }", 5),
        ("{ name: q, quota: 5/month, time_zone: Asia/Tokyo, per: client }", 5),
        ("{ name: l, algorithm: leaky_bucket, rate: 1/h, queue: 0, per: client }", 1),
    ] {
        let gateways = gateways(2, &redis.url(), limit, "").await;
        let sum = admitted(&gateways[0], 3, "192.0.2.1").await + admitted(&gateways[1], 7, "192.0.2.1").await;
        assert_eq!(sum, admits, "{limit}");
    }
}

#[tokio::test]
async fn what_is_in_flight_is_counted_over_all_gateways() {
    let redis = redis().await;
    let open = tidegate_testkit::gate();
    let slow = tidegate_testkit::Script::reply("app").wait(&open);
    let app = tidegate_testkit::upstream().route("/", slow).start().await;
    let yaml = format!(
        "stores: {{ shared: {{ redis: \"{}\", timeout: 5s }} }}\nratelimit: {{ store: shared }}\nupstreams: {{ app: {{ \
         targets: [\"{}\"] }} }}\nrouting: {{ routes: [{{ name: app, upstream: app, plugins: {{ ratelimit: {{ limits: [{{ \
         algorithm: concurrency, limit: 2, per: route }}] }} }} }}] }}",
        redis.url(),
        app.target()
    );
    let (one, other) = (builder().start(&yaml).await, builder().start(&yaml).await);
    let mut flying = one.connect().await;
    flying.begin(&call(Method::GET, "/")).await;
    let mut also = other.connect().await;
    also.begin(&call(Method::GET, "/")).await;
    app.wait_for_heads(2).await;
    one.get("/").await.expect(429);
    other.get("/").await.expect(429);
    open.open();
    flying.answer().await.expect(200);
    let room = async || other.get("/").await.status == 200;
    tidegate_testkit::wait_until_async("its end is known to the other gateway", room).await;
}

#[tokio::test]
async fn a_ban_holds_on_every_gateway() {
    let redis = redis().await;
    let section = "ban: { status: [401], count: 4, window: 10m, for: 1h }";
    let gateways = gateways(2, &redis.url(), "{ rate: 1000/s, per: client }", section).await;
    for nth in 0..4 {
        ask(&gateways[nth % 2], "192.0.2.1", &[("x-user", "nobody")]).await.expect(401);
    }
    for gateway in &gateways {
        let banned = async || ask(gateway, "192.0.2.1", &[]).await.status == 403;
        tidegate_testkit::wait_until_async("the last strike has reached the store", banned).await;
        ask(gateway, "192.0.2.2", &[]).await.expect(200);
    }
}

#[tokio::test]
async fn one_gateway_sees_and_resets_what_another_has_counted() {
    let redis = redis().await;
    let gateways = gateways(2, &redis.url(), "{ name: a, rate: 3/h, per: client }", "").await;
    assert_eq!(admitted(&gateways[0], 5, "192.0.2.7").await, 3);
    let path = "/ratelimit/key?route=app&limit=a&client=192.0.2.7";
    assert_eq!(gateways[1].admin(path).await.expect(200).json()["remaining"], 0);
    let mut admin = Client::connect(gateways[1].admin_addr()).await;
    admin.send(call(Method::DELETE, path)).await.expect(200);
    assert_eq!(admitted(&gateways[0], 5, "192.0.2.7").await, 3);
}

#[tokio::test]
async fn nothing_of_a_client_is_readable_in_the_store() {
    let redis = redis().await;
    let gateways = gateways(1, &redis.url(), "{ rate: 3/h, per: header.X-Key }", "").await;
    ask(&gateways[0], "192.0.2.7", &[("x-key", "hunter2-secret")]).await.expect(200);
    let keys = keys(&redis).await;
    assert!(keys.iter().any(|key| key.starts_with("rl:")), "{keys:?}");
    assert!(!keys.iter().any(|key| key.contains("hunter2")), "{keys:?}");
}
