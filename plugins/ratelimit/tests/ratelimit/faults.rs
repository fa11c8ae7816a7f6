//! The store is killed, stopped, slow, empty or talks nonsense: never a 500, and limits hold as the policy says.

use tidegate_core::redis::cmd;
use tidegate_testkit::{redis, slow_proxy, wait_until_async};

use super::shared::{flood, gateways, keys, limited_by, limited_within};
use super::*;

const HUNDRED: &str = "{ name: a, rate: 100/100d, algorithm: fixed_window, per: client }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_killed_stopped_or_back_empty_costs_no_request_a_500() {
    let mut redis = redis().await;
    // A window, so that whatever is counted in the store can be seen there afterwards.
    let limits = "{ name: a, rate: 1000000/h, algorithm: fixed_window, per: client }";
    let mut gateways = Vec::new();
    for _ in 0..2 {
        gateways.push(builder().start(&limited_within("50ms", &redis.url(), limits, "")).await);
    }
    let only_200 = async |what: &str| {
        let statuses = flood(&gateways, 2000).await;
        assert_eq!(statuses.get(&200), Some(&2000), "{what}: {statuses:?}");
    };
    only_200("up").await;
    let up = async || gateways[0].metric("tidegate_store_up", &[("store", "shared")]).await == 1.0;
    redis.stop_answering();
    only_200("stopped").await;
    assert!(!up().await);
    redis.go_on();
    wait_until_async("the store is seen again", up).await;
    only_200("going on").await;
    redis.kill().await;
    only_200("killed").await;
    assert!(!up().await);
    redis.restart().await;
    wait_until_async("the store is seen again", up).await;
    only_200("back and empty").await;
    // Its timeout is short: on a busy machine it may have been lost once more.
    let counted = async || {
        ask(&gateways[0], "192.0.2.1", &[]).await.expect(200);
        keys(&redis).await.iter().any(|key| key.starts_with("rl:{app}"))
    };
    wait_until_async("counted there again", counted).await;
}

#[tokio::test]
async fn while_the_store_is_lost_the_policy_decides() {
    for (policy, admits, refusal) in [("allow", 150, 0), ("deny", 0, 503), ("local", 100, 429)] {
        let mut redis = redis().await;
        let yaml = limited_by(&redis.url(), HUNDRED, &format!("on_store_error: {policy}"));
        let gateway = builder().start(&yaml).await;
        redis.kill().await;
        let mut statuses = std::collections::BTreeMap::new();
        for _ in 0..150 {
            *statuses.entry(ask(&gateway, "192.0.2.1", &[]).await.status).or_insert(0) += 1;
        }
        assert_eq!(statuses.get(&200).copied().unwrap_or(0), admits, "{policy}: {statuses:?}");
        if refusal != 0 {
            assert_eq!(statuses.get(&refusal), Some(&(150 - admits)), "{policy}: {statuses:?}");
        }
        let lost = gateway.metric("tidegate_ratelimit_store_lost_total", &[("store", "shared")]).await;
        assert_eq!(lost, 150.0, "{policy}");
    }
}

#[tokio::test]
async fn a_shadow_refuses_nobody_while_the_store_is_lost() {
    let nobody = tidegate_testkit::free_port();
    let limit = "{ rate: 1/h, per: client, mode: shadow }";
    let yaml = limited_by(&format!("redis://127.0.0.1:{nobody}"), limit, "on_store_error: deny");
    let gateway = builder().start(&yaml).await;
    assert_eq!(admitted(&gateway, 3, "192.0.2.1").await, 3);
}

#[tokio::test]
async fn alone_each_gateway_allows_its_share_of_those_seen_lately() {
    let mut redis = redis().await;
    let gateways = gateways(4, &redis.url(), HUNDRED, "").await;
    let four = async || {
        let mut known = true;
        for gateway in &gateways {
            known &= gateway.metric("tidegate_ratelimit_gateways", &[]).await == 4.0;
        }
        known
    };
    wait_until_async("each gateway knows of the other three", four).await;
    redis.kill().await;
    for gateway in &gateways {
        assert_eq!(admitted(gateway, 60, "192.0.2.1").await, 25);
    }
}

#[tokio::test]
async fn a_store_that_answers_nonsense_is_a_lost_store() {
    let redis = redis().await;
    for garbage in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"+OK\r\n+OK\r\n",
        b"$-2\r\n",
        b":99999999999999999999999\r\n",
        b"*1000000000\r\n",
        b"*3\r\n:1\r\n:1\r\n:1\r\n",
    ] {
        let proxy = slow_proxy(redis.addr(), Duration::ZERO).await;
        proxy.garble(Some(garbage));
        let yaml = limited_by(&format!("redis://{}", proxy.addr()), HUNDRED, "");
        let gateway = builder().start(&yaml).await;
        assert_eq!(admitted(&gateway, 101, "192.0.2.1").await, 100, "{:?}", String::from_utf8_lossy(garbage));
    }
}

#[tokio::test]
async fn keys_that_somebody_else_wrote_are_no_500() {
    let redis = redis().await;
    let gateways = gateways(1, &redis.url(), HUNDRED, "").await;
    assert_eq!(admitted(&gateways[0], 1, "192.0.2.1").await, 1);
    let keys = keys(&redis).await;
    for (command, what) in [("SET", "nonsense"), ("LPUSH", "a list")] {
        for key in &keys {
            redis.ask::<i64>(cmd("DEL").arg(key)).await;
            redis.ask::<tidegate_core::redis::Value>(cmd(command).arg(key).arg("\u{0}nonsense")).await;
        }
        let answer = ask(&gateways[0], "192.0.2.1", &[]).await;
        assert!(matches!(answer.status, 200 | 429), "{what}: {answer:?}");
    }
}

#[tokio::test]
async fn a_store_that_is_not_there_at_the_start_does_not_keep_the_gateway_from_starting() {
    let nobody = tidegate_testkit::free_port();
    let yaml = limited_by(&format!("redis://127.0.0.1:{nobody}"), HUNDRED, "");
    let gateway = builder().start(&yaml).await;
    assert_eq!(admitted(&gateway, 101, "192.0.2.1").await, 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_loses_a_master_costs_no_request_a_500() {
    let mut cluster = tidegate_testkit::redis_cluster().await;
    let limits =
        "{ name: a, rate: 20/100d, algorithm: fixed_window, per: client }, { name: b, rate: 100000/h, per: route }";
    let section = limited(limits, "store: shared");
    let yaml = |timeout: &str| {
        format!("stores: {{ shared: {{ cluster: {:?}, timeout: {timeout} }} }}\n{section}", cluster.urls())
    };
    // Where counts are exact, the cluster may take as long as a busy machine needs.
    let gateways = [builder().start(&yaml("10s")).await, builder().start(&yaml("10s")).await];
    let hasty = builder().start(&yaml("200ms")).await;
    for client in 1..=5 {
        let from = format!("192.0.2.{client}");
        let sum = admitted(&gateways[0], 15, &from).await + admitted(&gateways[1], 15, &from).await;
        assert_eq!(sum, 20, "exact over both gateways, {from}");
    }
    assert_eq!(admitted(&hasty, 1, "192.0.2.9").await, 1, "it has begun to count as well");
    // The master of the slot in which all of the route's counters are.
    let master = cluster.master_of("rl:{app}", 0).await.expect("some server is its master");
    cluster.server(master).kill().await;
    for client in 10..=20 {
        let through = admitted(&hasty, 25, &format!("192.0.2.{client}")).await;
        assert!((1..=20).contains(&through), "{through}");
    }
}
