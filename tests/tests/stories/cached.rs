//! What a cache has stored is given to nobody whom the rest of the gateway would not have let through.

use http::Method;
use tidegate_testkit::{
    Answer, Client, Http, Incoming, Script, TestGateway, Upstream, call, gate, manual_clock, upstream, wait_until_async,
};

use crate::tidegate;

/// A program with a key.
const KEYS: &str = "{ prefix: ada, owner: ada, roles: [user], sha256: f7287edf0dd71754c20441b8d5c69cb92aea0f091ca0e4f8ca7122b2c2e5a7ad }";
const ADA: &str = "ada.0123456789abcdefghij";

fn config(upstream: &Upstream, policy: &str) -> String {
    format!(
        "upstreams: {{ app: {{ targets: [\"{}\"] }} }}\n\
         auth: {{ providers: [{{ api_key: {{ keys: [{KEYS}] }} }}] }}\n\
         routing: {{ routes: [{{ name: all, upstream: app, plugins: {{ {policy} }} }}] }}\n",
        upstream.target()
    )
}

fn is_hit(answer: &Answer) -> bool {
    answer.headers.all("cache-status").any(|told| told.contains("; hit"))
}

async fn ask(gateway: &TestGateway, http: Http, fields: &[(&str, &str)]) -> Answer {
    let request = gateway.request(Method::GET, "/a").by(http);
    fields.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await
}

#[tokio::test]
async fn nobody_gets_a_stored_answer_of_a_route_that_wants_to_know_who_asks() {
    for mode in ["public", "private_per_identity"] {
        let (app, clock) = (upstream().reply("*", "x").start().await, manual_clock());
        app.set("*", Script::reply("secret").header("Cache-Control", "public, max-age=60, stale-while-revalidate=60"));
        let policy = format!("auth: require, cache: {{ mode: {mode} }}");
        let gateway = tidegate().clock(&clock).start(&config(&app, &policy)).await;
        for http in Http::BOTH {
            ask(&gateway, http, &[("x-api-key", ADA)]).await.expect(200);
            assert!(is_hit(&ask(&gateway, http, &[("x-api-key", ADA)]).await), "{mode} {http:?}");
            for fields in [
                &[][..],
                &[("x-api-key", "ada.0123456789abcdefghix")],
                &[("range", "bytes=0-1")],
                &[("if-none-match", "*")],
                &[("cache-control", "only-if-cached")],
                &[("cache-control", "max-stale")],
                &[("authorization", "Bearer x")],
            ] {
                let answer = ask(&gateway, http, fields).await.expect(401);
                assert!(!answer.text().contains("secret"), "{mode} {http:?} {fields:?}");
                assert!(!answer.headers.has("cache-status"), "{mode} {http:?} {fields:?}");
            }
        }
        // Stale as well.
        clock.advance(std::time::Duration::from_secs(90));
        ask(&gateway, Http::One, &[]).await.expect(401);
    }
}

/// What a client may have at the same time it has until its answers are over, whoever fetches them.
#[tokio::test]
async fn a_limit_on_what_is_in_flight_holds_while_a_body_is_fetched_into_the_cache() {
    for http in Http::BOTH {
        for slices in ["", "slice: 64KiB"] {
            let (app, gate) = (upstream().reply("*", "x").start().await, gate());
            let script = Script::generated(100_000).header("Cache-Control", "max-age=60").wait_after(50_000, &gate);
            app.set("*", script);
            let limit = "ratelimit: { limits: [{ algorithm: concurrency, limit: 1, per: route }] }";
            let policy = format!("cache: {{ {slices} }}, {limit}");
            let gateway = tidegate().start(&config(&app, &policy)).await;
            let (mut one, mut two) = (gateway.connect().await, gateway.connect_h2().await);
            let head = call(Method::GET, "/a");
            let mut two = match http {
                Http::One => {
                    one.begin(&head).await;
                    assert_eq!(one.head().await.status, 200);
                    None
                }
                Http::Two => {
                    let head = two.ask(&head).await.head().await;
                    assert_eq!(head.status, 200);
                    Some(head)
                }
            };
            ask(&gateway, http, &[("x-other", "1")]).await.expect(429);
            gate.open();
            while one_more(&mut one, two.as_mut()).await {}
            wait_until_async("the next one to be let in", async || ask(&gateway, http, &[]).await.status == 200).await;
        }
    }
}

/// Whether there is more of an answer that comes by one of these.
async fn one_more(one: &mut Client, two: Option<&mut Incoming>) -> bool {
    match two {
        Some(two) => two.piece().await.is_some(),
        None => one.piece().await.is_some(),
    }
}

#[tokio::test]
async fn what_an_answer_costs_is_charged_by_both_versions_of_http() {
    for http in Http::BOTH {
        let (app, clock) = (upstream().reply("*", "x").start().await, manual_clock());
        app.set("*", Script::reply("x").header("X-Cost", "7").header("Cache-Control", "max-age=60"));
        let limit =
            "{ rate: 10/h, algorithm: fixed_window, per: route, cost: { response_header: X-Cost, at_most: 100 } }";
        let policy = format!("cache: {{}}, ratelimit: {{ limits: [{limit}] }}");
        let gateway = tidegate().clock(&clock).start(&config(&app, &policy)).await;
        let send = async |path: &str| gateway.request(Method::GET, path).by(http).send().await;
        let first = send("/a").await.expect(200);
        assert!(!first.headers.has("x-cost"), "{http:?}");
        send("/b").await.expect(200);
        send("/c").await.expect(429);
        assert_eq!(app.requests().len(), 2, "{http:?}");
    }
}

#[tokio::test]
async fn stored_answers_count_towards_a_limit() {
    let (app, clock) = (upstream().reply("*", "x").start().await, manual_clock());
    app.set("*", Script::reply("x").header("Cache-Control", "max-age=60"));
    let policy = "cache: {}, ratelimit: { limits: [{ rate: 2/h, algorithm: fixed_window, per: route }] }";
    let gateway = tidegate().clock(&clock).start(&config(&app, policy)).await;
    for status in [200, 200, 429] {
        ask(&gateway, Http::One, &[]).await.expect(status);
    }
    assert_eq!(app.requests().len(), 1);
}

/// Nobody waits for a renewal, and it is in nobody's way.
#[tokio::test]
async fn a_renewal_takes_no_place_among_what_a_client_may_have_in_flight() {
    let (app, clock, gate) = (upstream().reply("*", "x").start().await, manual_clock(), gate());
    let says = "max-age=60, stale-while-revalidate=60";
    let old = Script::reply("old").header("Cache-Control", says);
    app.set("*", old.then(Script::reply("new").header("Cache-Control", says).wait(&gate)));
    let policy = "cache: {}, ratelimit: { limits: [{ algorithm: concurrency, limit: 1, per: route }] }";
    let gateway = tidegate().clock(&clock).start(&config(&app, policy)).await;
    ask(&gateway, Http::One, &[]).await.expect(200);
    clock.advance(std::time::Duration::from_secs(70));
    assert_eq!(ask(&gateway, Http::One, &[]).await.expect(200).text(), "old");
    app.wait_for(2).await;
    wait_until_async("the client's own place is free", async || ask(&gateway, Http::One, &[]).await.status == 200)
        .await;
    gate.open();
    wait_until_async("the new one", async || ask(&gateway, Http::One, &[]).await.text() == "new").await;
}

/// What a renewal costs the upstream is not the client's, who got what was stored.
#[tokio::test]
async fn a_renewal_is_charged_to_nobody() {
    let (app, clock) = (upstream().reply("*", "x").start().await, manual_clock());
    let says = "max-age=60, stale-while-revalidate=60";
    let old = Script::reply("old").header("Cache-Control", says);
    app.set("*", old.then(Script::reply("new").header("Cache-Control", says).header("X-Cost", "50")));
    let limit = "{ rate: 10/h, algorithm: fixed_window, per: route, cost: { response_header: X-Cost, at_most: 100 } }";
    let policy = format!("cache: {{}}, ratelimit: {{ limits: [{limit}] }}");
    let gateway = tidegate().clock(&clock).start(&config(&app, &policy)).await;
    ask(&gateway, Http::One, &[]).await.expect(200);
    clock.advance(std::time::Duration::from_secs(70));
    assert_eq!(ask(&gateway, Http::One, &[]).await.expect(200).text(), "old");
    app.wait_for(2).await;
    for _ in 0..3 {
        ask(&gateway, Http::One, &[]).await.expect(200);
    }
}
