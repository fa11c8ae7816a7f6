//! Large objects in slices (row I9).

mod origin;
mod random;
mod upstreams;

use http::Method;
use origin::{Asked, Origin, Reply, bytes, object};
use tidegate_testkit::{Answer, Client, Http, ManualClock, TestGateway, call, manual_clock, wait_until_async};
use tokio::task::JoinSet;

use crate::{builder, config, is_hit, told};

const SLICE: usize = 64 << 10;
/// Three slices, and a short one.
const LENGTH: usize = 200_000;

struct Stage {
    gateway: TestGateway,
    origin: Origin,
    clock: ManualClock,
}

async fn stage_of(policy: &str, script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Stage {
    let clock = manual_clock();
    let origin = Origin::start(script).await;
    let policy = format!("slice: 64KiB\n{policy}");
    let gateway = builder(&clock).start(&config(&origin.target(), &policy)).await;
    Stage { gateway, origin, clock }
}

async fn stage() -> Stage {
    stage_of("", object(bytes(LENGTH, 0), "\"one\"")).await
}

impl Stage {
    async fn ask(&self, http: Http, fields: &[(&str, &str)]) -> Answer {
        let request = self.gateway.request(Method::GET, "/a").by(http);
        fields.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await
    }

    async fn part(&self, range: &str) -> Answer {
        self.ask(Http::One, &[("range", range)]).await
    }

    async fn get(&self) -> Answer {
        self.ask(Http::One, &[]).await
    }

    /// Whether the answer breaks off.
    async fn is_cut(&self, http: Http, fields: &[(&str, &str)]) -> bool {
        let request = self.gateway.request(Method::GET, "/a").by(http);
        fields.iter().fold(request, |request, (name, value)| request.header(*name, *value)).try_send().await.is_err()
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(std::time::Duration::from_secs(seconds));
    }
}

/// The `Range` of a slice of [`LENGTH`].
fn slice(number: usize) -> String {
    format!("bytes={}-{}", number * SLICE, (number + 1) * SLICE - 1)
}

fn slices(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(slice).collect()
}

#[tokio::test]
async fn a_part_in_the_middle_asks_for_its_slices_and_the_next_one_for_what_is_missing() {
    let body = bytes(LENGTH, 0);
    for http in Http::BOTH {
        let stage = stage().await;
        let part = stage.ask(http, &[("range", "bytes=70000-140000")]).await.expect(206);
        assert_eq!(part.header("content-range"), Some("bytes 70000-140000/200000"));
        assert_eq!(part.header("content-length"), Some("70001"));
        assert_eq!(part.body, body.slice(70_000..140_001));
        assert!(told(&part).contains("fwd=uri-miss; fwd-status=206; stored"), "{part:?}");
        assert_eq!(stage.origin.ranges(), slices([1, 2]));
        let overlapping = stage.ask(http, &[("range", "bytes=100000-199999")]).await.expect(206);
        assert_eq!(overlapping.body, body.slice(100_000..));
        assert!(is_hit(&overlapping), "{overlapping:?}");
        assert_eq!(stage.origin.ranges(), slices([3]));
        let whole = stage.ask(http, &[]).await.expect(200);
        assert_eq!(whole.body, body);
        assert_eq!((whole.header("content-length"), whole.header("content-range")), (Some("200000"), None));
        assert_eq!((whole.header("accept-ranges"), whole.header("etag")), (Some("bytes"), Some("\"one\"")));
        assert_eq!(stage.origin.ranges(), slices([0]));
        for _ in 0..2 {
            let again = stage.ask(http, &[]).await.expect(200);
            assert!(is_hit(&again) && again.body == body, "{:?}", again.headers);
        }
        assert_eq!(stage.origin.ranges(), slices([]));
    }
}

#[tokio::test]
async fn every_kind_of_range_is_answered_right() {
    let body = bytes(LENGTH, 0);
    for http in Http::BOTH {
        let stage = stage().await;
        for (range, status, expected, asked) in [
            ("bytes=-1000", 206, 199_000..200_000, slices([0, 3])),
            ("bytes=199000-", 206, 199_000..200_000, slices([])),
            ("bytes=65536-65536", 206, 65_536..65_537, slices([1])),
            ("bytes=65535-65536", 206, 65_535..65_537, slices([])),
            ("bytes=199999-300000", 206, 199_999..200_000, slices([])),
            ("bytes=-300000", 206, 0..200_000, slices([2])),
            ("bytes=x", 200, 0..200_000, slices([])),
            ("pages=1-2", 200, 0..200_000, slices([])),
        ] {
            let answer = stage.ask(http, &[("range", range)]).await.expect(status);
            assert!(answer.body == body.slice(expected.clone()), "{range}: {:?}", answer.headers);
            let last = expected.end - 1;
            let content_range = (status == 206).then(|| format!("bytes {}-{last}/{LENGTH}", expected.start));
            assert_eq!(answer.header("content-range"), content_range.as_deref(), "{range}");
            assert_eq!(stage.origin.ranges(), asked, "{range}");
        }
        for range in ["bytes=200000-", "bytes=200000-200001", "bytes=9999999-"] {
            let answer = stage.ask(http, &[("range", range)]).await.expect(416);
            assert_eq!((answer.header("content-range"), answer.body.len()), (Some("bytes */200000"), 0), "{range}");
        }
    }
}

#[tokio::test]
async fn several_parts_come_in_one_answer() {
    let body = bytes(LENGTH, 0);
    for http in Http::BOTH {
        let stage = stage().await;
        let answer = stage.ask(http, &[("range", "bytes=10-19,70000-70009,199990-")]).await.expect(206);
        let kind = answer.header("content-type").expect("a type");
        let boundary = kind.strip_prefix("multipart/byteranges; boundary=").expect("a boundary");
        let mut expected = Vec::new();
        for (first, last) in [(10, 19), (70_000, 70_009), (199_990, 199_999)] {
            let head = format!(
                "\r\n--{boundary}\r\nContent-Type: video/mp4\r\nContent-Range: bytes {first}-{last}/200000\r\n\r\n"
            );
            expected.extend_from_slice(head.as_bytes());
            expected.extend_from_slice(&body[first..=last]);
        }
        expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        assert_eq!(answer.body, expected);
        assert_eq!(answer.header("content-length"), Some(expected.len().to_string().as_str()));
        assert_eq!(stage.origin.ranges(), slices([0, 1, 3]));
        // Each costs a slice: whoever wants many gets the whole.
        let many: Vec<String> = (0..17).map(|part| format!("{}-{}", part * 10, part * 10 + 1)).collect();
        let answer = stage.ask(http, &[("range", &format!("bytes={}", many.join(",")))]).await.expect(200);
        assert_eq!(answer.body, body);
    }
}

#[tokio::test]
async fn a_part_is_sent_only_of_the_version_that_the_client_knows() {
    let stage = stage().await;
    for (condition, status) in [("\"one\"", 206), ("\"two\"", 200), ("W/\"one\"", 200)] {
        let fields = [("range", "bytes=150000-150001"), ("if-range", condition)];
        let answer = stage.ask(Http::One, &fields).await.expect(status);
        let expected = if status == 206 { bytes(LENGTH, 0).slice(150_000..150_002) } else { bytes(LENGTH, 0) };
        assert!(answer.body == expected, "{condition}");
    }
    // Where the part is beyond the end, the condition still comes first.
    let beyond = [("range", "bytes=900000-"), ("if-range", "\"two\"")];
    stage.ask(Http::One, &beyond).await.expect(200);
    let changed = "Wed, 31 Dec 2025 00:00:00 GMT";
    let one = object(bytes(LENGTH, 0), "\"one\"");
    let stage = stage_of("", move |asked| one(asked).with("ETag", "W/\"x\"").with("Last-Modified", changed)).await;
    for (condition, status) in [(changed, 206), ("Tue, 30 Dec 2025 00:00:00 GMT", 200)] {
        let fields = [("range", "bytes=150000-150001"), ("if-range", condition)];
        stage.ask(Http::One, &fields).await.expect(status);
    }
}

#[tokio::test]
async fn a_client_that_has_it_gets_304_at_the_cost_of_one_slice() {
    for http in Http::BOTH {
        let stage = stage().await;
        for fields in [&[("if-none-match", "\"one\"")][..], &[("if-none-match", "W/\"one\""), ("range", "bytes=5-9")]] {
            let answer = stage.ask(http, fields).await.expect(304);
            assert_eq!((answer.header("etag"), answer.body.len()), (Some("\"one\""), 0));
            assert_eq!(answer.header("content-range"), None);
        }
        assert_eq!(stage.ask(http, &[("if-none-match", "\"two\"")]).await.expect(200).body.len(), LENGTH);
        assert_eq!(stage.origin.ranges(), slices([0, 1, 2, 3]));
    }
}

#[tokio::test]
async fn head_tells_of_the_whole_at_the_cost_of_one_slice() {
    for http in Http::BOTH {
        let stage = stage().await;
        for fields in [&[][..], &[("range", "bytes=150000-")]] {
            let request = stage.gateway.request(Method::HEAD, "/a").by(http);
            let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            let answer = request.send().await.expect(200);
            assert_eq!((answer.header("content-length"), answer.body.len()), (Some("200000"), 0));
        }
        assert_eq!(stage.origin.asked().iter().map(|asked| asked.method.as_str()).collect::<Vec<_>>(), ["GET"]);
        assert_eq!(stage.origin.ranges(), slices([0]));
    }
}

#[tokio::test]
async fn a_hundred_readers_at_once_ask_for_each_slice_once() {
    let stage = stage_of("lock: { timeout: 60s }", object(bytes(LENGTH, 0), "\"one\"")).await;
    let mut all = JoinSet::new();
    for _ in 0..100 {
        let addr = stage.gateway.addr();
        all.spawn(async move { Client::connect(addr).await.get("/a").await.expect(200).body });
    }
    while let Some(read) = all.join_next().await {
        assert!(read.expect("no panic") == bytes(LENGTH, 0));
    }
    assert_eq!(stage.origin.ranges(), slices(0..4));
    assert_eq!(stage.gateway.access_log(100).await.len(), 100, "slices are no requests of clients");
    let requests = stage.gateway.metrics_text().await;
    let counted: f64 = requests
        .lines()
        .filter(|line| line.starts_with("tidegate_cache_requests_total{"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum();
    assert_eq!(counted, 100.0);
    assert_eq!(stage.gateway.metric("tidegate_cache_stored_total", &[("zone", "main")]).await, 4.0);
}

#[tokio::test]
async fn stale_slices_are_confirmed_one_by_one() {
    let stage = stage().await;
    stage.get().await.expect(200);
    stage.origin.ranges();
    stage.pass(61);
    let again = stage.get().await.expect(200);
    assert!(told(&again).contains("fwd=stale; fwd-status=304"), "{again:?}");
    assert!(again.body == bytes(LENGTH, 0));
    assert!(stage.origin.asked().iter().all(|asked| asked.field("if-none-match") == Some("\"one\"")));
    assert_eq!(stage.origin.ranges(), slices(0..4));
    assert!(is_hit(&stage.get().await.expect(200)));
}

#[tokio::test]
async fn a_stale_slice_is_renewed_behind_the_client() {
    for http in Http::BOTH {
        let stage = stage_of("stale_while_revalidate: 1h", object(bytes(LENGTH, 0), "\"one\"")).await;
        let ask = async || stage.ask(http, &[("range", "bytes=70000-70001")]).await.expect(206);
        ask().await;
        stage.origin.ranges();
        stage.pass(61);
        let stale = ask().await;
        assert!(is_hit(&stale) && stale.body == bytes(LENGTH, 0).slice(70_000..70_002), "{stale:?}");
        wait_until_async("a fresh slice", async || told(&ask().await).contains("ttl=60")).await;
        assert_eq!(stage.origin.ranges(), slices([1]));
    }
}

#[tokio::test]
async fn a_client_may_want_only_what_is_stored() {
    let stage = stage().await;
    let only = [("cache-control", "only-if-cached"), ("range", "bytes=70000-70001")];
    stage.ask(Http::One, &only).await.expect(504);
    assert!(stage.origin.ranges().is_empty());
    stage.part("bytes=70000-70001").await.expect(206);
    stage.ask(Http::One, &only).await.expect(206);
}

#[tokio::test]
async fn purges_hit_all_slices() {
    let script = object(bytes(LENGTH, 0), "\"one\"");
    let stage = stage_of("", move |asked| script(asked).with("Cache-Tag", "films")).await;
    let host = stage.gateway.addr().to_string();
    let prefix = format!("prefix=http://{host}/");
    let url = format!("url=http://{host}/a");
    for query in ["tag=films", &prefix, &url, "host=127.0.0.1", "all=true"] {
        stage.get().await.expect(200);
        assert!(is_hit(&stage.part("bytes=150000-").await));
        stage.origin.ranges();
        let mut admin = Client::connect(stage.gateway.admin_addr()).await;
        admin.send(call(Method::POST, format!("/cache/purge?{query}"))).await.expect(200);
        stage.get().await.expect(200);
        assert_eq!(stage.origin.ranges(), slices(0..4), "{query}");
    }
    stage.gateway.post("/a").send().await.expect(200);
    stage.origin.ranges();
    stage.get().await.expect(200);
    assert_eq!(stage.origin.ranges(), slices(0..4), "after a POST");
}

#[tokio::test]
async fn slices_never_cross_identities() {
    let whose = |asked: &Asked| if asked.field("x-login") == Some("bob") { 2 } else { 1 };
    for (mode, says) in [("mode: private_per_identity", "private, max-age=60"), ("", "max-age=60")] {
        let stage = stage_of(mode, move |asked| {
            object(bytes(LENGTH, whose(asked)), "\"one\"")(asked).with("Cache-Control", says)
        })
        .await;
        for _ in 0..2 {
            for (who, seed) in [("ann", 1), ("bob", 2)] {
                for range in ["bytes=0-", "bytes=150000-"] {
                    let answer = stage.ask(Http::One, &[("x-login", who), ("range", range)]).await.expect(206);
                    let first = range.trim_matches(|c: char| !c.is_ascii_digit()).parse::<usize>().expect("a number");
                    assert!(answer.body == bytes(LENGTH, seed).slice(first..), "{mode} {who} {range}");
                }
            }
        }
        let count = if mode.is_empty() { 24 } else { 8 };
        assert_eq!(stage.origin.ranges().len(), count, "{mode}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_not_fetched_ahead_for_and_one_that_leaves_stops_it() {
    const LARGE: usize = 64 << 20;
    let stage = stage_of("", object(bytes(LARGE, 0), "\"one\"")).await;
    let all = LARGE / SLICE;
    let mut client = Client::connect(stage.gateway.addr()).await;
    client.begin(&call(Method::GET, "/large")).await;
    client.head().await.expect(200);
    // What goes by meanwhile: others are served, whole.
    for _ in 0..20 {
        stage.part("bytes=0-1000000").await.expect(206);
    }
    let fetched = || stage.origin.asked().iter().filter(|asked| asked.path == "/large").count();
    assert!(fetched() < all / 2, "{} of {all}: the rest is in nobody's buffers", fetched());
    drop(client);
    let in_flight = async || stage.gateway.metric("tidegate_requests_in_flight", &[]).await;
    wait_until_async("nobody left", async || in_flight().await == 0.0).await;
    let before = fetched();
    for _ in 0..20 {
        stage.part("bytes=0-1000000").await.expect(206);
    }
    assert!(fetched() <= before + 1 && before < all, "{before} of {all}, and then {}", fetched());
}

#[tokio::test]
async fn an_object_larger_than_memory_is_served_within_it() {
    let clock = manual_clock();
    let body = bytes(16 << 20, 0);
    let origin = Origin::start(object(body.clone(), "\"one\"")).await;
    let yaml = format!(
        "cache: {{ zones: {{ main: {{ memory: 2MiB, max_object: 256KiB }} }} }}\n{}",
        config(&origin.target(), "slice: 256KiB")
    );
    let gateway = builder(&clock).start(&yaml).await;
    for _ in 0..2 {
        assert!(gateway.get("/a").await.expect(200).body == body);
        let bytes = gateway.metric("tidegate_cache_memory_bytes", &[("zone", "main")]).await;
        assert!(bytes <= f64::from(2 << 20), "{bytes}");
    }
}

/// The example of the README: a playlist that changes, and segments that don't.
#[tokio::test]
async fn a_playlist_is_asked_for_again_while_segments_stay() {
    let policy = "rules: [{ match: { extensions: [m3u8] }, override_ttl: 2s }]";
    let stage = stage_of(policy, object(bytes(100, 0), "\"one\"")).await;
    for path in ["/live.m3u8", "/1.ts"] {
        stage.gateway.get(path).await.expect(200);
    }
    stage.pass(3);
    stage.origin.ranges();
    assert!(!is_hit(&stage.gateway.get("/live.m3u8").await.expect(200)));
    assert!(is_hit(&stage.gateway.get("/1.ts").await.expect(200)));
    assert_eq!(stage.origin.ranges().len(), 1);
}

#[tokio::test]
async fn a_size_that_makes_no_sense_is_refused_with_what_would() {
    let check = |slice: &str, zone: &str| {
        let yaml = format!("{zone}\n{}", config("127.0.0.1:1", &format!("slice: {slice}")));
        builder(&manual_clock()).check(&yaml).err().unwrap_or_default()
    };
    for slice in ["1KiB", "65535B", "65MiB", "1GiB"] {
        assert!(check(slice, "").contains("from 64KiB to 64MiB"), "{slice}: {}", check(slice, ""));
    }
    let small = "cache: { zones: { main: { memory: 2MiB, max_object: 512KiB } } }";
    assert!(check("1MiB", small).contains("longer than 512KiB"), "{}", check("1MiB", small));
    assert_eq!(check("512KiB", small), "");
    assert_eq!(check("1MiB", ""), "");
}
