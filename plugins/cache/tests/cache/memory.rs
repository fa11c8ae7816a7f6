//! A zone's memory: what is read while it is written, what is too long, and what a reload does.

use std::time::Duration;

use http::Method;
use tidegate_cache::Cache;
use tidegate_testkit::{
    Client, Script, TestGateway, Upstream, call, gate, gateway, manual_clock, pattern, upstream, wait_until_async,
    within,
};
use tokio::task::JoinSet;

const ZONE: &[(&str, &str)] = &[("zone", "main")];

/// A gateway whose one zone has these settings, and its upstream, which does at `/a` as `script` says.
struct Story {
    gateway: TestGateway,
    app: Upstream,
}

impl Story {
    async fn new(zone: &str, script: Script) -> Self {
        let script = script.header("Cache-Control", "max-age=60");
        let app = upstream().route("/a", script).reply("/b", "b").start().await;
        let gateway = gateway().plugin::<Cache>().clock(&manual_clock()).start(&config(&app, zone)).await;
        Self { gateway, app }
    }

    async fn reload(&self, zone: &str) {
        self.gateway.reload(&config(&self.app, zone)).await.expect("a good configuration");
    }

    async fn client(&self) -> Client {
        Client::connect(self.gateway.addr()).await
    }

    fn asked(&self) -> usize {
        self.app.requests().len()
    }

    async fn metric(&self, name: &str) -> f64 {
        self.gateway.metric(name, ZONE).await
    }

    /// Until no answer is being written any more, and nothing is read.
    async fn until_empty(&self) {
        wait_until_async("nothing of it to be left", async || self.stats().await["bytes"] == 0).await;
    }

    async fn stats(&self) -> serde_json::Value {
        self.gateway.admin("/cache/zones").await.expect(200).json()["zones"]["main"].clone()
    }
}

fn config(app: &Upstream, zone: &str) -> String {
    format!(
        "cache: {{ zones: {zone} }}\n\
         upstreams: {{ app: {{ targets: [\"{}\"] }} }}\n\
         routing: {{ routes: [{{ name: app, match: {{ path: \"/**\" }}, upstream: app, plugins: {{ cache: {{}} }} }}] }}\n",
        app.target()
    )
}

const SMALL: &str = "{ main: { memory: 8MiB, max_object: 1MiB } }";

#[tokio::test]
async fn clients_that_come_while_an_answer_is_written_read_it_from_its_beginning_as_it_comes() {
    const LENGTH: usize = 300_000;
    for script in [Script::generated(LENGTH as u64), Script::generated(LENGTH as u64).chunked()] {
        let gate = gate();
        let script = script.wait_after(200_000, &gate);
        let story = Story::new(SMALL, script).await;
        let mut all = JoinSet::new();
        for _ in 0..100 {
            let mut client = story.client().await;
            all.spawn(async move {
                client.begin(&call(Method::GET, "/a")).await;
                assert_eq!(client.head().await.status, 200);
                let (mut body, mut early) = (Vec::new(), 0);
                while let Some(piece) = client.piece().await {
                    body.extend_from_slice(&piece);
                    if body.len() >= 190_000 && early == 0 {
                        early = body.len();
                    }
                }
                (body, early)
            });
        }
        // All have what there is before the rest comes.
        let written = async || story.gateway.metric("tidegate_requests_in_flight", &[]).await >= 100.0;
        wait_until_async("all to be reading", written).await;
        gate.open();
        while let Some(read) = all.join_next().await {
            let (body, early) = read.expect("no panic");
            assert!(body == pattern(LENGTH) && early > 0);
        }
        assert_eq!(story.asked(), 1);
    }
}

#[tokio::test]
async fn an_upstream_that_stops_midway_is_an_error_for_all_readers_and_nothing_is_stored() {
    let whole = Script::generated(300_000).header("Cache-Control", "max-age=60");
    for torn in [Script::generated(300_000), Script::generated(300_000).chunked()] {
        let gate = gate();
        let story = Story::new(SMALL, torn.wait_after(200_000, &gate)).await;
        let mut first = story.client().await;
        let mut second = story.client().await;
        for client in [&mut first, &mut second] {
            client.begin(&call(Method::GET, "/a")).await;
            client.head().await;
            client.piece().await.expect("a part");
        }
        story.app.set("/a", whole.clone());
        // The upstream goes before the rest is there.
        let Story { gateway, app } = story;
        app.stop().await;
        for client in [&mut first, &mut second] {
            let rest = async {
                while client.try_piece().await?.is_some() {}
                Ok::<(), std::io::Error>(())
            };
            assert!(within("the end", rest).await.is_err(), "a part must not look like the whole");
        }
        // Clients may hear of the end before it is counted.
        let broken = async || gateway.metric("tidegate_cache_writes_abandoned_total", &[("why", "broken")]).await;
        wait_until_async("it to be given up", async || broken().await > 0.0).await;
        let stats = gateway.admin("/cache/zones").await.json()["zones"]["main"].clone();
        assert_eq!((stats["objects"].as_u64(), stats["writing"].as_u64()), (Some(0), Some(0)));
        assert_eq!(broken().await, 1.0);
    }
}

#[tokio::test]
async fn a_body_that_is_known_to_be_too_long_goes_through_and_is_not_stored() {
    let story = Story::new(SMALL, Script::generated(3_000_000)).await;
    for _ in 0..2 {
        let download = story.client().await.download(call(Method::GET, "/a")).await;
        assert_eq!(
            (download.answer.status, download.check.length(), download.check.is_intact()),
            (200, 3_000_000, true)
        );
    }
    assert_eq!(story.asked(), 2);
    let refused = story.gateway.metric("tidegate_cache_refused_total", &[("why", "too_long")]).await;
    assert!(refused >= 1.0, "{refused}");
    story.until_empty().await;
}

#[tokio::test]
async fn a_body_that_turns_out_too_long_reaches_fast_and_slow_clients_whole_in_bounded_memory() {
    const LENGTH: u64 = 24 << 20;
    let story = Story::new("{ main: { memory: 32MiB, max_object: 1MiB } }", Script::generated(LENGTH).chunked()).await;
    let download = story.client().await.download(call(Method::GET, "/a")).await;
    assert_eq!((download.check.length(), download.check.is_intact()), (LENGTH, true));
    story.until_empty().await;

    // One that takes its time: what the upstream could send meanwhile is not in memory.
    let mut slow = story.client().await;
    slow.begin(&call(Method::GET, "/a")).await;
    slow.head().await;
    let (mut read, mut most, mut next) = (0, 0, 0);
    while let Some(piece) = slow.piece().await {
        read += piece.len() as u64;
        if read >= next {
            most = most.max(story.stats().await["bytes"].as_u64().expect("a number"));
            tokio::time::sleep(Duration::from_millis(20)).await;
            next = read + (512 << 10);
        }
    }
    assert_eq!(read, LENGTH);
    assert!(most < LENGTH / 2, "{most} bytes were held");
    assert_eq!(story.asked(), 2);
    assert!(story.metric("tidegate_cache_writes_abandoned_total").await >= 2.0);
    story.until_empty().await;
}

/// What Pingora writes to the client it writes while it waits for the upstream: one who reads slowly has nobody wait.
#[tokio::test]
async fn a_client_that_reads_nothing_does_not_hold_up_those_who_ask_for_the_same() {
    const LENGTH: usize = 24 << 20;
    let zone = "{ main: { memory: 128MiB, max_object: 32MiB } }";
    let story = Story::new(zone, Script::generated(LENGTH as u64).chunked()).await;
    let mut lazy = story.client().await;
    lazy.begin(&call(Method::GET, "/a")).await;
    assert_eq!(lazy.head().await.status, 200);
    let download = story.client().await.download(call(Method::GET, "/a")).await;
    assert_eq!((download.check.length(), download.check.is_intact()), (LENGTH as u64, true));
    assert_eq!(story.asked(), 1);
    drop(lazy);
}

#[tokio::test]
async fn a_client_that_leaves_does_not_keep_an_answer_from_being_stored() {
    let gate = gate();
    let story = Story::new(SMALL, Script::generated(300_000).wait_after(100_000, &gate)).await;
    let mut client = story.client().await;
    client.begin(&call(Method::GET, "/a")).await;
    client.head().await;
    drop(client);
    gate.open();
    wait_until_async("it to be stored", async || story.stats().await["objects"] == 1).await;
    assert_eq!(story.gateway.get("/a").await.expect(200).body, pattern(300_000));
    assert_eq!(story.asked(), 1);
}

#[tokio::test]
async fn a_reload_keeps_what_is_stored_and_a_smaller_zone_keeps_less() {
    let story = Story::new("{ main: { memory: 16MiB } }", Script::generated(1_000_000)).await;
    for nth in 0..10 {
        story.gateway.get(&format!("/a?{nth}")).await.expect(200);
    }
    let asked = story.asked();
    story.reload("{ main: { memory: 16MiB, max_object: 2MiB } }").await;
    assert_eq!(story.stats().await["objects"], 10);
    story.gateway.get("/a?1").await.expect(200);
    assert_eq!(story.asked(), asked);
    story.reload("{ main: { memory: 4MiB, max_object: 2MiB } }").await;
    let smaller = async || story.stats().await["bytes"].as_u64().is_some_and(|bytes| bytes <= 4 << 20);
    wait_until_async("the zone to be smaller", smaller).await;
    let objects = story.stats().await["objects"].as_u64().expect("a number");
    assert!((3..=4).contains(&objects), "{objects}");
    assert_eq!(story.metric("tidegate_cache_memory_objects").await, objects as f64);
}

#[tokio::test]
async fn a_zone_that_nobody_uses_any_more_gives_its_memory_back() {
    let story = Story::new(SMALL, Script::generated(1_000)).await;
    story.gateway.get("/a").await.expect(200);
    assert_eq!(story.metric("tidegate_cache_memory_objects").await, 1.0);
    let other = config(&story.app, "{ other: { memory: 1MiB } }").replace("cache: {} }", "cache: { zone: other } }");
    story.gateway.reload(&other).await.expect("a good configuration");
    let gone = async || story.metric("tidegate_cache_memory_objects").await == 0.0;
    wait_until_async("the zone to be empty", gone).await;
    assert_eq!(story.metric("tidegate_cache_memory_bytes").await, 0.0);
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let app = upstream().start().await;
    for (zone, why) in [
        ("{ main: { memory: 1KiB } }", "at least 1MiB"),
        ("{ main: { memory: 2MiB, max_object: 1500KiB } }", "at most half"),
        ("{ main: { size: 1MiB } }", "size"),
    ] {
        let refused = gateway().plugin::<Cache>().check(&config(&app, zone)).expect_err("refused");
        assert!(refused.contains(why), "{refused}");
    }
}
