//! What a request costs (H2).

use tidegate_testkit::{Script, upstream};

use super::*;

/// Route `app` to `upstream` with this limit.
fn to(target: &str, limit: &str) -> String {
    format!(
        "upstreams: {{ app: {{ targets: [\"{target}\"] }} }}\nrouting: {{ routes: [{{ name: app, upstream: app, plugins: \
         {{ ratelimit: {{ limits: [{limit}] }} }} }}] }}"
    )
}

#[tokio::test]
async fn a_request_costs_what_the_route_says() {
    let (gateway, clock) = start("{ capacity: 100, refill: 1/m, per: client, cost: 10 }").await;
    assert_eq!(admitted(&gateway, 12, "192.0.2.1").await, 10);
    clock.advance(9 * MINUTE);
    assert_eq!(admitted(&gateway, 1, "192.0.2.1").await, 0);
    clock.advance(MINUTE);
    assert_eq!(admitted(&gateway, 2, "192.0.2.1").await, 1);
}

#[tokio::test]
async fn a_method_can_cost_more_than_others() {
    let (gateway, _clock) = start("{ rate: 10/h, per: client, cost: { method: { POST: 5, otherwise: 1 } } }").await;
    let post = async || gateway.post("/app/x").header("x-forwarded-for", "192.0.2.1").send().await.status;
    assert_eq!([post().await, post().await, post().await], [200, 200, 429]);
    let (gateway, _clock) = start("{ rate: 10/h, per: client, cost: { method: { POST: 5, otherwise: 1 } } }").await;
    assert_eq!(admitted(&gateway, 20, "192.0.2.1").await, 10);
}

#[tokio::test]
async fn a_body_costs_by_its_size_announced_or_not() {
    let app = upstream().route("/", Script::echo()).start().await;
    let clock = manual_clock();
    let limit = "{ rate: 10/h, per: client, cost: { body: 1KiB } }";
    let gateway = builder().clock(&clock).start(&to(&app.target(), limit)).await;
    let left = async || {
        let answer = gateway.get("/").await;
        let field = answer.header("ratelimit").expect("the field").to_owned();
        field.split(";r=").nth(1).and_then(|rest| rest.split(';').next()).expect("r").parse::<u64>().expect("a number")
    };
    assert_eq!(left().await, 9, "no body is one unit");
    gateway.post("/").body(vec![b'x'; 2049]).send().await.expect(200);
    assert_eq!(left().await, 5, "2049 bytes are three units");
    gateway.post("/").chunks([vec![b'x'; 1024], vec![b'x'; 1024]]).send().await.expect(200);
    tidegate_testkit::wait_until_async("what was not announced is charged at the end", async || {
        let answer = gateway.get("/").await;
        answer.status == 429
    })
    .await;
    clock.advance(60 * MINUTE);
    gateway.post("/").body(vec![b'x'; 11 * 1024]).send().await.expect(429);
}

#[tokio::test]
async fn an_upstream_says_afterwards_what_it_cost_and_its_clients_do_not_see_it() {
    let costly = Script::reply("app").header("X-Cost", "10");
    let app = upstream().route("/", costly).route("/free", Script::reply("app").header("X-Cost", "0")).start().await;
    let clock = manual_clock();
    let limit = "{ rate: 25/h, per: client, cost: { response_header: X-Cost, at_most: 100 } }";
    let gateway = builder().clock(&clock).start(&to(&app.target(), limit)).await;
    for _ in 0..3 {
        let answer = gateway.get("/").await.expect(200);
        assert_eq!(answer.header("x-cost"), None);
    }
    // 30 of 25 are spent: a debt of 5 is paid back before anybody is let in again.
    gateway.get("/").await.expect(429);
    clock.advance(12 * MINUTE);
    gateway.get("/").await.expect(429);
    clock.advance(3 * MINUTE);
    for _ in 0..10 {
        gateway.get("/free").await.expect(200);
    }
}

#[tokio::test]
async fn a_cost_that_is_no_number_is_the_one_that_was_taken_and_a_huge_one_is_bounded() {
    let app = upstream().reply("/", "app").start().await;
    let limit =
        "{ rate: 1000/h, algorithm: fixed_window, per: client, cost: { response_header: X-Cost, at_most: 100 } }";
    let gateway = builder().clock(&manual_clock()).start(&to(&app.target(), limit)).await;
    let mut left = 1000;
    for (said, cost) in [("", 1), ("-5", 1), ("1e3", 1), ("ten", 1), ("101", 100), ("99999999999999999999", 100)] {
        app.set("/", Script::reply("app").header("X-Cost", said));
        let answer = gateway.get("/").await.expect(200);
        // Told when the answer's head is written: what this one costs beyond 1 is charged already.
        assert!(
            answer.header("ratelimit").is_some_and(|limit| limit.contains(&format!(";r={};", left - 1))),
            "{said:?}"
        );
        left -= cost;
    }
}
