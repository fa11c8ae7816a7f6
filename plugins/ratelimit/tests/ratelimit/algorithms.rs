//! Each algorithm does what its name says, through the whole gateway in virtual time.

use tidegate_core::Method;
use tidegate_testkit::{Script, gate, upstream, wait_until};

use super::*;

#[tokio::test]
async fn a_token_bucket_replays_the_timeline_to_the_integer() {
    let (gateway, clock) =
        start("{ algorithm: token_bucket, capacity: 100, refill: 10/s, per: client, cost: 1 }").await;
    let left = async |asked: usize, admits: usize, remaining: u64| {
        let mut last = None;
        let mut ok = 0;
        for _ in 0..asked {
            let answer = ask(&gateway, "192.0.2.1", &[]).await;
            ok += usize::from(answer.status == 200);
            last = answer.header("ratelimit").map(str::to_owned);
        }
        assert_eq!(ok, admits);
        let last = last.expect("a field on every answer");
        assert!(last.contains(&format!(";r={remaining};")), "{last}: {remaining} left?");
    };
    left(50, 50, 50).await;
    clock.advance(SECOND); // 60
    left(20, 20, 40).await;
    clock.advance(SECOND); // 50
    left(100, 50, 0).await;
    clock.advance(3 * SECOND); // 30: the source says 50, which 3 s at 10/s are not
    left(1, 1, 29).await;
    left(40, 29, 0).await;
}

#[tokio::test]
async fn fractions_of_a_token_are_kept() {
    let (gateway, clock) = start("{ capacity: 1, refill: 3/s, per: client }").await;
    assert_eq!(admitted(&gateway, 2, "192.0.2.1").await, 1);
    // 333 ms are not a third of a second, 334 are.
    clock.advance(Duration::from_millis(333));
    assert_eq!(admitted(&gateway, 1, "192.0.2.1").await, 0);
    clock.advance(Duration::from_millis(1));
    assert_eq!(admitted(&gateway, 2, "192.0.2.1").await, 1);
}

#[tokio::test]
async fn a_hundred_in_fifteen_minutes_and_then_the_next_window() {
    let (gateway, clock) = start("{ algorithm: fixed_window, rate: 100/15m, per: client }").await;
    assert_eq!(admitted(&gateway, 101, "192.0.2.1").await, 100);
    assert_eq!(admitted(&gateway, 1, "192.0.2.2").await, 1, "another client");
    clock.advance(15 * MINUTE - Duration::from_micros(1));
    assert_eq!(admitted(&gateway, 1, "192.0.2.1").await, 0);
    clock.advance(Duration::from_micros(1));
    assert_eq!(admitted(&gateway, 101, "192.0.2.1").await, 100);
}

/// The burst at the boundary: what tells the windows apart.
#[tokio::test]
async fn a_fixed_window_lets_two_bursts_meet_at_its_edge_and_the_others_do_not() {
    for (algorithm, second) in [("fixed_window", 100), ("sliding_window", 1), ("token_bucket", 2)] {
        let (gateway, clock) = start(&format!("{{ algorithm: {algorithm}, rate: 100/m, per: client }}")).await;
        assert_eq!(admitted(&gateway, 1, "192.0.2.1").await, 1);
        clock.advance(MINUTE - SECOND);
        assert_eq!(admitted(&gateway, 99, "192.0.2.1").await, 99, "{algorithm}");
        clock.advance(SECOND);
        assert_eq!(admitted(&gateway, 101, "192.0.2.1").await, second, "{algorithm}");
    }
}

#[tokio::test]
async fn a_leaky_bucket_paces_what_it_queues_and_refuses_what_does_not_fit() {
    let app = upstream().reply("/app/x", "app").start().await;
    let clock = manual_clock();
    let yaml = format!(
        "upstreams: {{ app: {{ targets: [\"{}\"] }} }}\nrouting: {{ routes: [{{ name: app, upstream: app, plugins: {{ \
         ratelimit: {{ limits: [{{ algorithm: leaky_bucket, rate: 1/s, queue: 2, per: route }}] }} }} }}] }}",
        app.target()
    );
    let gateway = std::sync::Arc::new(builder().clock(&clock).start(&yaml).await);
    let before = clock.sleepers();
    gateway.get("/app/x").await.expect(200);
    let mut queued = Vec::new();
    for place in 1..=2 {
        let gateway = gateway.clone();
        queued.push(tokio::spawn(async move { gateway.get("/app/x").await.status }));
        wait_until("it is queued", || clock.sleepers() == before + place).await;
    }
    gateway.get("/app/x").await.expect(429);
    assert_eq!(app.requests().len(), 1);
    for served in 2..=3 {
        clock.advance(SECOND);
        app.wait_for(served).await;
        wait_until("the next one still waits", || clock.sleepers() == before + 3 - served).await;
    }
    for request in queued {
        assert_eq!(request.await.expect("answered"), 200);
    }
}

#[tokio::test]
async fn a_token_bucket_holds_back_up_to_its_delay_and_refuses_beyond() {
    let (gateway, clock) = start("{ capacity: 1, refill: 10/s, delay: 100ms, per: client }").await;
    let before = clock.sleepers();
    assert_eq!(admitted(&gateway, 1, "192.0.2.1").await, 1);
    let held = ask(&gateway, "192.0.2.1", &[]);
    let turn = async {
        wait_until("it is held back", || clock.sleepers() == before + 1).await;
        ask(&gateway, "192.0.2.1", &[]).await.expect(429);
        clock.advance(Duration::from_millis(100));
    };
    let (held, ()) = tokio::join!(held, turn);
    held.expect(200);
    let labels = &[("result", "delayed")];
    assert_eq!(gateway.metric("tidegate_ratelimit_requests_total", labels).await, 1.0);
}

#[tokio::test]
async fn so_many_at_the_same_time_and_one_that_ends_or_leaves_makes_room() {
    let open = gate();
    let slow = Script::reply("app").wait(&open);
    let app = upstream().route("/app/x", slow).start().await;
    let yaml = format!(
        "upstreams: {{ app: {{ targets: [\"{}\"] }} }}\nrouting: {{ routes: [{{ name: app, upstream: app, plugins: {{ \
         ratelimit: {{ limits: [{{ algorithm: concurrency, limit: 2, per: route }}] }} }} }}] }}",
        app.target()
    );
    let gateway = builder().start(&yaml).await;
    let mut first = gateway.connect().await;
    first.begin(&tidegate_testkit::call(Method::GET, "/app/x")).await;
    let mut second = gateway.connect().await;
    second.begin(&tidegate_testkit::call(Method::GET, "/app/x")).await;
    app.wait_for_heads(2).await;
    gateway.get("/app/x").await.expect(429);
    // One that goes away unanswered gives its place back.
    drop(first);
    let room = async || gateway.metric("http_requests_total", &[("status_code", "499")]).await == 1.0;
    tidegate_testkit::wait_until_async("the gateway has seen it leave", room).await;
    let mut third = gateway.connect().await;
    third.begin(&tidegate_testkit::call(Method::GET, "/app/x")).await;
    app.wait_for_heads(3).await;
    gateway.get("/app/x").await.expect(429);
    open.open();
    second.answer().await.expect(200);
    third.answer().await.expect(200);
    gateway.get("/app/x").await.expect(200);
}

#[tokio::test]
async fn a_quota_begins_anew_with_the_day_of_its_time_zone() {
    // 2026-01-01 00:00 UTC is 01:00 in Berlin; their day ends at 23:00 UTC.
    let (gateway, clock) = start("{ quota: 2/day, time_zone: Europe/Berlin, per: client }").await;
    assert_eq!(admitted(&gateway, 3, "192.0.2.1").await, 2);
    clock.advance(23 * 60 * MINUTE - SECOND);
    let refused = ask(&gateway, "192.0.2.1", &[]).await.expect(429);
    assert_eq!(refused.header("retry-after"), Some("1"));
    clock.advance(SECOND);
    assert_eq!(admitted(&gateway, 3, "192.0.2.1").await, 2);
}

#[tokio::test]
async fn a_clock_that_jumps_neither_opens_a_window_twice_nor_locks_anybody_out() {
    let (gateway, clock) = start("{ quota: 2/day, time_zone: UTC, per: client }, { rate: 100/m, per: client }").await;
    use tidegate_core::TimeSource;
    let noon = clock.wall() + 12 * 60 * MINUTE;
    clock.set_wall(noon);
    assert_eq!(admitted(&gateway, 3, "192.0.2.1").await, 2);
    clock.set_wall(noon - 24 * 60 * MINUTE);
    assert_eq!(admitted(&gateway, 3, "192.0.2.1").await, 0, "yesterday again");
    clock.set_wall(noon + 365 * 24 * 60 * MINUTE);
    assert_eq!(admitted(&gateway, 3, "192.0.2.1").await, 2, "in a year");
    clock.set_wall(noon);
    assert_eq!(admitted(&gateway, 1, "192.0.2.1").await, 0, "what was asked in that year counts today");
    clock.set_wall(noon + 24 * 60 * MINUTE);
    assert_eq!(admitted(&gateway, 3, "192.0.2.1").await, 2, "and tomorrow is another day");
}
