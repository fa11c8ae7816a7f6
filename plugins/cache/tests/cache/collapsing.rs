//! Many requests for the same are one for the upstream (row I10).

use http::Method;
use tidegate_testkit::{Answer, Client, Script, call, gate, wait_until};
use tokio::task::JoinSet;

use crate::{Stage, is_hit, minute, stage, told};

/// So many requests at once, each on a connection of its own.
fn crowd(stage: &Stage, count: usize) -> JoinSet<Answer> {
    let mut all = JoinSet::new();
    for _ in 0..count {
        let addr = stage.gateway.addr();
        all.spawn(async move {
            let mut client = Client::connect(addr).await;
            client.try_send(call(Method::GET, "/a")).await.expect("an answer")
        });
    }
    all
}

#[tokio::test]
async fn a_thousand_misses_at_once_are_one_request_for_the_upstream() {
    let gate = gate();
    let stage = stage("lock: { timeout: 60s }", minute("x").wait(&gate)).await;
    let mut all = crowd(&stage, 1_000);
    let in_flight = async || stage.gateway.metric("tidegate_requests_in_flight", &[]).await;
    tidegate_testkit::wait_until_async("all at the gateway", async || in_flight().await >= 1_000.0).await;
    gate.open();
    let (mut collapsed, mut hits) = (0, 0);
    while let Some(answer) = all.join_next().await {
        let answer = answer.expect("no panic").expect(200);
        assert_eq!(answer.text(), "x");
        collapsed += u32::from(told(&answer).contains("fwd=uri-miss; collapsed"));
        hits += u32::from(is_hit(&answer));
    }
    assert_eq!(stage.asked(), 1);
    // A few may have come to the gateway and not yet to the cache when the answer came.
    assert_eq!(collapsed + hits, 999, "{collapsed} waited");
    assert!(collapsed >= 900, "{collapsed}");
    let counted = stage.gateway.metric("tidegate_cache_collapsed_total", &[("zone", "main")]).await;
    assert_eq!(counted, f64::from(collapsed));
}

#[tokio::test]
async fn who_waits_too_long_asks_by_itself() {
    let gate = gate();
    let stage = stage("lock: { timeout: 50ms }", minute("slow").wait(&gate).then(minute("quick"))).await;
    let mut first = crowd(&stage, 1);
    stage.app.wait_for(1).await;
    assert_eq!(stage.get("/a").await.expect(200).text(), "quick");
    gate.open();
    assert_eq!(first.join_next().await.expect("one").expect("no panic").text(), "slow");
}

#[tokio::test]
async fn without_a_lock_each_asks_at_once() {
    let gate = gate();
    let stage = stage("lock: { timeout: 0s }", minute("x").wait(&gate)).await;
    let mut all = crowd(&stage, 5);
    stage.app.wait_for(5).await;
    gate.open();
    while let Some(answer) = all.join_next().await {
        answer.expect("no panic").expect(200);
    }
}

#[tokio::test]
async fn when_the_answer_is_not_stored_everybody_gets_their_own() {
    let gate = gate();
    let stage =
        stage("lock: { timeout: 60s }", Script::reply("x").header("Cache-Control", "no-store").wait(&gate)).await;
    let mut all = crowd(&stage, 20);
    stage.app.wait_for(1).await;
    gate.open();
    while let Some(answer) = all.join_next().await {
        assert!(!told(&answer.expect("no panic").expect(200)).contains("collapsed"));
    }
    assert_eq!(stage.asked(), 20);
}

#[tokio::test]
async fn when_the_one_that_asks_fails_another_one_asks() {
    let gate = gate();
    let stage = stage("lock: { timeout: 60s }", Script::reset().then(minute("x").wait(&gate))).await;
    let mut all = crowd(&stage, 10);
    stage.app.wait_for(2).await;
    gate.open();
    let mut good = 0;
    while let Some(answer) = all.join_next().await {
        good += usize::from(answer.expect("no panic").status == 200);
    }
    assert!(good >= 9, "{good}");
    wait_until("few requests", || stage.asked() <= 4).await;
}
