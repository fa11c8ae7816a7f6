//! A server that is lost: what it costs, and how it is found again.

use std::time::Duration;

use tidegate_core::redis::cmd;
use tidegate_core::{Metrics, Redis, StoreError};
use tidegate_testkit::{Script, redis, slow_proxy, upstream, wait_until, wait_until_async};

use crate::{LONG, open, pong, shared, until_it_answers, until_it_is_down};

/// A call to a server that was stopped. Its time is over at once: nothing can happen but that time passes.
async fn late_pong(store: &Redis) -> Result<String, StoreError> {
    tokio::time::pause();
    let answer = pong(store).await;
    tokio::time::resume();
    answer
}

/// Many tasks that use a store until they are dropped.
async fn crowd(store: &Redis) -> tokio::task::JoinSet<()> {
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let store = store.clone();
        crowd.spawn(async move {
            loop {
                let _ = pong(&store).await;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    }
    crowd
}

#[tokio::test]
async fn a_server_that_is_killed_is_down_at_once_and_costs_nothing() {
    let mut redis = redis().await;
    let store = redis.store(LONG);
    assert!(pong(&store).await.is_ok() && store.is_up());
    redis.kill().await;
    let first = pong(&store).await.expect_err("it is dead");
    // Whoever sees it first: this call, or what watches the connections.
    assert!(matches!(first, StoreError::Unreachable { .. } | StoreError::Down { .. }), "{first:?}");
    // The probe has tried and failed by then: a port that nobody listens on refuses.
    until_it_is_down(&store).await;
    assert!(!store.is_up());
    for _ in 0..10_000 {
        // Asked once: whoever waits for anything, the network or another task, is late.
        let answer = tokio::time::timeout(Duration::ZERO, pong(&store)).await;
        assert!(matches!(answer, Ok(Err(StoreError::Down { .. }))), "{answer:?}");
    }
    redis.restart().await;
    until_it_answers(&store).await;
    assert!(store.is_up());
}

#[tokio::test]
async fn a_server_that_goes_and_comes_back_while_nobody_asks_is_not_missed() {
    let mut redis = redis().await;
    let store = redis.store(LONG);
    until_it_answers(&store).await;
    redis.kill().await;
    wait_until("it is seen that it went", || !store.is_up()).await;
    redis.restart().await;
    wait_until("it is found", || store.is_up()).await;
    assert!(pong(&store).await.is_ok());
    let _: u64 = redis.ask(cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal")).await;
    wait_until_async("it is connected to again", async || redis.info("connected_clients").await == 3).await;
    assert!(pong(&store).await.is_ok());
}

#[tokio::test]
async fn a_server_that_was_never_there_is_down_after_the_first_call() {
    let mut redis = redis().await;
    redis.kill().await;
    let store = redis.store(LONG);
    assert!(store.is_up(), "nobody has asked it yet");
    let first = pong(&store).await.expect_err("nobody listens");
    assert!(matches!(first, StoreError::Unreachable { .. }), "{first:?}");
    assert!(matches!(pong(&store).await, Err(StoreError::Down { .. })));
    redis.restart().await;
    until_it_answers(&store).await;
}

#[tokio::test]
async fn a_server_that_stops_is_down_after_three_timeouts() {
    let redis = redis().await;
    let store = redis.store(Duration::from_millis(100));
    until_it_answers(&store).await;
    redis.stop_answering();
    for _ in 0..3 {
        let late = pong(&store).await.expect_err("it stopped");
        assert!(matches!(late, StoreError::Timeout { .. }), "{late:?}");
    }
    assert!(matches!(pong(&store).await, Err(StoreError::Down { .. })));
    redis.go_on();
    until_it_answers(&store).await;
}

#[tokio::test]
async fn an_answer_between_timeouts_keeps_the_server_up() {
    let redis = redis().await;
    let store = redis.store(LONG);
    until_it_answers(&store).await;
    let before = redis.info("total_connections_received").await;
    for _ in 0..3 {
        for _ in 0..2 {
            redis.stop_answering();
            assert!(matches!(late_pong(&store).await, Err(StoreError::Timeout { .. })));
            redis.go_on();
        }
        assert!(pong(&store).await.is_ok());
    }
    assert_eq!(redis.info("total_connections_received").await, before + 1, "only the one that asks");
}

#[tokio::test]
async fn calls_in_flight_end_when_the_server_is_given_up() {
    let redis = redis().await;
    let store = redis.store(LONG);
    until_it_answers(&store).await;
    redis.stop_answering();
    // Nothing can happen from here on but that time passes, so it passes at once.
    tokio::time::pause();
    let first: Vec<_> = (0..3)
        .map(|_| {
            tokio::spawn({
                let store = store.clone();
                async move { pong(&store).await }
            })
        })
        .collect();
    tokio::time::sleep(LONG / 2).await;
    // Its own time would end later, and as a timeout.
    let later = pong(&store).await.expect_err("it stopped");
    assert!(matches!(later, StoreError::Unreachable { .. }), "{later:?}");
    for first in first {
        assert!(matches!(first.await.expect("no panic"), Err(StoreError::Timeout { .. })));
    }
}

#[tokio::test]
async fn a_server_that_comes_back_meets_no_crowd() {
    let mut redis = redis().await;
    let store = redis.store(LONG);
    until_it_answers(&store).await;
    let _crowd = crowd(&store).await;
    redis.kill().await;
    until_it_is_down(&store).await;
    redis.restart().await;
    until_it_answers(&store).await;
    // Two of the store, the one that asks, and the one that saw that it listens again. Where all stood still while the
    // store connected, two more of its second attempt.
    let all = redis.info("total_connections_received").await;
    assert!((4..=6).contains(&all), "{all}");
}

#[tokio::test]
async fn a_server_that_hung_meets_no_crowd() {
    let redis = redis().await;
    let store = redis.store(Duration::from_secs(1));
    until_it_answers(&store).await;
    let before = redis.info("total_connections_received").await;
    let _crowd = crowd(&store).await;
    redis.stop_answering();
    until_it_is_down(&store).await;
    // Long enough for some probes to give up.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    redis.go_on();
    until_it_answers(&store).await;
    let more = redis.info("total_connections_received").await - before;
    // Four, and two for each attempt that a busy machine made too slow.
    assert!(more <= 8, "{more} connections for two that are used");
}

#[tokio::test]
async fn a_slow_server_is_down_and_a_fast_one_up() {
    let redis = redis().await;
    let network = slow_proxy(redis.addr(), Duration::ZERO).await;
    let entry = serde_json::json!({ "redis": format!("redis://{}", network.addr()), "timeout": "100ms" });
    let store = shared(&open(entry, &Default::default(), None).expect("a store"));
    until_it_answers(&store).await;
    network.delay(Duration::from_secs(60));
    until_it_is_down(&store).await;
    network.delay(Duration::ZERO);
    network.cut();
    until_it_answers(&store).await;
}

#[tokio::test]
async fn a_server_that_answers_garbage_is_down_until_it_stops_that() {
    let redis = redis().await;
    let network = slow_proxy(redis.addr(), Duration::ZERO).await;
    let entry = serde_json::json!({ "redis": format!("redis://{}", network.addr()), "timeout": "10s" });
    let store = shared(&open(entry, &Default::default(), None).expect("a store"));
    let garbage: [&[u8]; 5] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\0\xff\0\xff\r\n",
        b":abc\r\n",
        b"*x\r\n",
        b"$99999999999999999999\r\n",
    ];
    for garbage in garbage {
        until_it_answers(&store).await;
        network.garble(Some(garbage));
        let broken = pong(&store).await.expect_err("garbage");
        assert!(matches!(broken, StoreError::Unreachable { .. }), "{broken:?} after {garbage:?}");
        until_it_is_down(&store).await;
        network.garble(None);
    }
    until_it_answers(&store).await;
}

#[tokio::test]
async fn a_server_of_another_kind_is_down() {
    let http = upstream().route("/", Script::reply("hello")).start().await;
    let entry = serde_json::json!({ "redis": format!("redis://{}", http.addr()), "timeout": "10s" });
    let store = shared(&open(entry, &Default::default(), None).expect("a store"));
    let first = pong(&store).await.expect_err("not Redis");
    assert!(matches!(first, StoreError::Unreachable { .. }), "{first:?}");
    assert!(matches!(pong(&store).await, Err(StoreError::Down { .. })));
}

#[tokio::test]
async fn a_server_that_is_not_let_in_to_is_down_and_says_why() {
    let redis = redis().await;
    let _: () = redis.ask(cmd("CONFIG").arg("SET").arg("requirepass").arg("right")).await;
    let entry = |password: &str| serde_json::json!({ "redis": format!("redis://:{password}@{}", redis.addr()), "timeout": "10s" });
    let wrong = shared(&open(entry("wrong"), &Default::default(), None).expect("a store"));
    let refused = pong(&wrong).await.expect_err("the wrong password");
    assert!(matches!(refused, StoreError::Unreachable { .. }), "{refused:?}");
    let cause = std::error::Error::source(&refused).expect("a cause").to_string();
    assert!(cause.contains("WRONGPASS") || cause.to_lowercase().contains("auth"), "{cause}");
    let right = shared(&open(entry("right"), &Default::default(), None).expect("a store"));
    wait_until_async("it lets us in", async || pong(&right).await.is_ok()).await;
}

#[tokio::test]
async fn a_server_slower_than_the_timeout_is_not_taken_for_found() {
    let redis = redis().await;
    let proxy = slow_proxy(redis.addr(), Duration::ZERO).await;
    let url = format!("redis://{}", proxy.addr());
    let entry = serde_json::json!({ "redis": url, "timeout": "200ms", "connections": 1 });
    let store = shared(&open(entry, &Metrics::new(), None).expect("a store"));
    until_it_answers(&store).await;
    // Who looks for it is let in, and hears that it is a Redis, at once. What comes then is late, by far more than the
    // timeout: no pause of the machine brings the two together.
    proxy.delay_after(2, Duration::from_secs(60));
    let (before, mut waited) = (proxy.accepted(), 0);
    wait_until_async("it is looked for, again and again", async || {
        waited += usize::from(!matches!(pong(&store).await, Err(StoreError::Down { .. })));
        proxy.accepted() >= before + 5
    })
    .await;
    assert_eq!(waited, 3, "calls that waited, of all until then");
    proxy.delay(Duration::ZERO);
    until_it_answers(&store).await;
}
