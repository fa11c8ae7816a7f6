//! A request that waits long is sent to a second server, and the first answer counts.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use tidegate_core::{BuildCx, Bytes, ConfigErrors, Cx, Flow, Handler, NoConfig, Plugin, Reply, Result, Route};
use tidegate_routing::Routing;
use tidegate_testkit::{Http, Script, Upstream, call, gate, refusing, upstream, wait_until, wait_until_async};

use crate::retries::pool;
use crate::tidegate;

const SOON: &str = "hedge: { min_delay: 20ms, max_delay: 20ms, max_share: 100% }";

#[tokio::test]
async fn the_second_server_answers_for_the_one_that_is_slow() {
    for h2 in [false, true] {
        let start = |script: Script| async move {
            let app = upstream().route("*", script);
            if h2 { app.h2().start().await } else { app.start().await }
        };
        let slow = start(Script::stall()).await;
        let fast = start(Script::reply("fast").header("X-From", "fast").header("Connection-Less", "kept")).await;
        let more = format!("{SOON}\n    protocol: {}", if h2 { "h2" } else { "http1" });
        for http in Http::BOTH {
            let gateway = tidegate().start(&pool(&[slow.target(), fast.target()], &more)).await;
            // The round begins with the slow one; the next request's does not.
            let answer = gateway.request(Method::GET, "/a?b").by(http).host("asked.test").send().await.expect(200);
            assert_eq!((answer.text().as_str(), answer.header("x-from")), ("fast", Some("fast")), "h2: {h2} {http:?}");
            let seen = fast.requests().pop().expect("a request");
            assert_eq!((seen.target.as_str(), seen.authority.as_str()), ("/a?b", "asked.test"));
            assert_eq!(seen.header("x-forwarded-host"), Some("asked.test"));
            let line: serde_json::Value = serde_json::from_str(&gateway.access_log(1).await[0]).expect("JSON");
            assert_eq!((line["tries"].as_u64(), line["answered_by"].as_str()), (Some(2), Some("upstream")), "{line}");
            assert_eq!(line["target"].as_str(), Some(&*fast.target()), "{line}");
            let labels = [("upstream", "app"), ("winner", "second")];
            assert_eq!(gateway.metric("tidegate_upstream_hedges_total", &labels).await, 1.0);
            assert_eq!(gateway.metric("tidegate_requests_in_flight", &[]).await, 0.0);
        }
        if !h2 {
            wait_until("the slow server's connections to be closed", || slow.open_connections() == 0).await;
        }
    }
}

#[tokio::test]
async fn an_answer_in_time_is_passed_on_as_ever_and_sent_for_once() {
    let app = upstream()
        .route("/length", Script::reply("hello"))
        .route("/chunks", Script::chunks(["he", "llo"]))
        .route("/close", Script::reply("hello").until_close())
        .route("/interim", Script::reply("hello").interim(103, &[("Link", "</a>")]))
        .route("/empty", Script::status(204))
        .route("/not-modified", Script::status(304).header("ETag", "\"a\""))
        .route("/large", Script::generated(300_000))
        .route("/hop", Script::reply("hello").header("Keep-Alive", "timeout=5").header("X-End", "kept"))
        .start()
        .await;
    let other = upstream().reply("*", "other").start().await;
    let hedged = pool(&[app.target(), other.target()], "hedge: { min_delay: 30s, max_delay: 30s }\n    lb: random")
        .replace(&format!(", \"{}\"", other.target()), "");
    let plain = pool(&[app.target()], "");
    let (hedged, plain) = (tidegate().start(&hedged).await, tidegate().start(&plain).await);
    let paths = ["/length", "/chunks", "/close", "/interim", "/empty", "/not-modified", "/large", "/hop"];
    for path in paths {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            for http in Http::BOTH {
                let ask = |gateway| {
                    let gateway: &tidegate_testkit::TestGateway = gateway;
                    gateway.request(method.clone(), path).by(http).send()
                };
                let (ours, usual) = (ask(&hedged).await, ask(&plain).await);
                let about = format!("{method} {path} {http:?}");
                assert_eq!((ours.status, &ours.body), (usual.status, &usual.body), "{about}");
                for field in ["content-length", "etag", "x-end", "keep-alive"] {
                    assert_eq!(ours.header(field), usual.header(field), "{about}: {field}");
                }
                assert!(ours.header("x-request-id").is_some(), "{about}");
            }
        }
    }
    // HTTP/1.0 knows no chunks.
    let answer = hedged.raw("GET /chunks HTTP/1.0\r\nHost: a\r\n\r\n").await.text();
    assert!(answer.ends_with("\r\n\r\nhello") && !answer.contains("chunked"), "{answer}");
    assert!(other.requests().is_empty());
    // The connections are kept as well.
    assert!(app.connections() < 30, "{} connections", app.connections());
}

#[tokio::test]
async fn requests_that_do_something_are_never_sent_twice() {
    let hold = gate();
    let held = || Script::reply("done").wait(&hold);
    let (one, two) = (upstream().route("*", held()).start().await, upstream().route("*", held()).start().await);
    let gateway = tidegate().start(&pool(&[one.target(), two.target()], SOON)).await;
    let post = gateway.post("/post").body("x").send();
    let get = async {
        one.wait_for_heads(1).await;
        // It waits for its second target as long as the POST would have, had it one.
        let after = async {
            one.wait_for_heads(2).await;
            hold.open();
        };
        tokio::join!(gateway.request(Method::GET, "/get").send(), after).0
    };
    let (post, get) = tokio::join!(post, get);
    assert_eq!((post.expect(200).text(), get.expect(200).text()), ("done".into(), "done".into()));
    assert_eq!(two.requests().iter().map(|request| request.path()).collect::<Vec<_>>(), ["/get"]);
    assert_eq!(one.requests().iter().filter(|request| request.path() == "/post").count(), 1);
}

#[tokio::test]
async fn a_failure_before_the_second_is_sent_is_tried_again_like_any_other() {
    let good = upstream().reply("*", "good").start().await;
    let refusing = refusing();
    let late = "hedge: { min_delay: 30s, max_delay: 30s }";
    let gateway = tidegate().start(&pool(&[refusing.addr().to_string(), good.target()], late)).await;
    assert_eq!(gateway.get("/").await.expect(200).text(), "good");
    let line: serde_json::Value = serde_json::from_str(&gateway.access_log(1).await[0]).expect("JSON");
    assert_eq!((line["tries"].as_u64(), line["retry_reason"].as_str()), (Some(2), Some("connect")), "{line}");

    let gateway = tidegate().start(&pool(&[refusing.addr().to_string()], late)).await;
    let answer = gateway.get("/").await.expect(502);
    assert_eq!(answer.json()["code"], "upstream_refused");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_never_passed_off_as_whole() {
    let app = upstream().route("*", Script::reply("0123456789").close_after(5)).start().await;
    let gateway = tidegate().start(&pool(&[app.target()], SOON)).await;
    for http in Http::BOTH {
        let cut = gateway.request(Method::GET, "/").by(http).try_send().await;
        assert!(cut.is_err(), "{http:?}: {cut:?}");
    }
    assert!(gateway.access_log(2).await.iter().all(|line| line.contains("\"error\":")));
}

#[tokio::test]
async fn a_client_that_leaves_ends_both() {
    let (one, two) =
        (upstream().route("*", Script::stall()).start().await, upstream().route("*", Script::stall()).start().await);
    let gateway = tidegate().start(&pool(&[one.target(), two.target()], SOON)).await;
    let mut client = gateway.connect().await;
    client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    one.wait_for_heads(1).await;
    two.wait_for_heads(1).await;
    drop(client);
    wait_until("both connections to be closed", || one.open_connections() + two.open_connections() == 0).await;

    let mut client = gateway.connect_h2().await;
    let leaving = tokio::spawn(async move { client.try_send(call(Method::GET, "/")).await.is_ok() });
    one.wait_for_heads(2).await;
    two.wait_for_heads(2).await;
    leaving.abort();
    wait_until("both connections to be closed", || one.open_connections() + two.open_connections() == 0).await;
    wait_until_async("nothing in flight", async || gateway.metric("tidegate_requests_in_flight", &[]).await == 0.0)
        .await;
}

#[tokio::test]
async fn where_there_is_no_room_for_a_second_the_first_still_answers() {
    // With room on the slow one for a second, and without.
    for room in [3, 2] {
        let hold = gate();
        let slow = upstream().route("*", Script::reply("slow").wait(&hold)).start().await;
        let full = upstream().route("*", Script::reply("full").wait(&hold)).start().await;
        let target = |app: &Upstream, room: u32| format!("{{ address: \"{}\", max_in_flight: {room} }}", app.target());
        let yaml = pool(&[slow.target(), full.target()], SOON)
            .replace(&format!("\"{}\"", slow.target()), &target(&slow, room))
            .replace(&format!("\"{}\"", full.target()), &target(&full, 1));
        let gateway = tidegate().start(&yaml).await;
        let mut posts = Vec::new();
        for app in [&slow, &full] {
            let mut client = gateway.connect().await;
            client.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
            app.wait_for_heads(1).await;
            posts.push(client);
        }
        let open = async {
            slow.wait_for_heads(2).await;
            // Longer than the delay of the hedge.
            tokio::time::sleep(Duration::from_millis(200)).await;
            hold.open();
        };
        let (answer, ()) = tokio::join!(gateway.get("/"), open);
        assert_eq!(answer.expect(200).text(), "slow", "room for {room}");
        assert_eq!(slow.requests().len(), 2, "a second one is for another server");
    }
}

#[tokio::test]
async fn both_have_no_more_time_than_the_request() {
    let stalling = upstream().route("*", Script::stall()).start().await;
    let yaml =
        pool(&[stalling.target()], SOON).replace("upstream: app }", "upstream: app, timeouts: { request: 2s } }");
    let gateway = tidegate().start(&yaml).await;
    let begin = Instant::now();
    gateway.get("/").await.expect(504);
    // A server may be silent for 60 s.
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn plugins_hear_of_the_end_of_a_body_that_there_isn_t() {
    let app = upstream().route("*", Script::status(503).then(Script::reply("ok"))).start().await;
    for more in ["retry: { on: [503] }".to_owned(), format!("retry: {{ on: [503] }}\n    {SOON}")] {
        app.set("*", Script::status(503).then(Script::reply("ok")));
        let yaml = pool(&[app.target()], &more).replace("upstream: app }", "upstream: app, plugins: { ending: {} } }");
        let gateway = tidegate_testkit::gateway().router::<Routing>().plugin::<Ending>().start(&yaml).await;
        ENDS.store(0, Ordering::Relaxed);
        gateway.get("/").await.expect(200);
        assert_eq!(ENDS.load(Ordering::Relaxed), 1, "{more}");
        gateway.get("/refused").await.expect(403);
    }
}

static ENDS: AtomicUsize = AtomicUsize::new(0);

/// Counts the ends of bodies, and refuses some of them.
struct Ending;

impl Plugin for Ending {
    const NAME: &'static str = "ending";
    type Config = NoConfig;
    type Policy = NoConfig;
    type Handler = Ending;

    fn build(_: NoConfig, _: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }
    fn handler(&self, _: NoConfig, _: &Route) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }
}

impl Handler for Ending {
    async fn request_body(&self, cx: &mut Cx<'_>, _: &mut Bytes, end: bool) -> Result<Flow> {
        ENDS.fetch_add(usize::from(end), Ordering::Relaxed);
        Ok(match cx.head().path {
            "/refused" => Flow::Respond(Reply::problem(http::StatusCode::FORBIDDEN, "refused", "no")),
            _ => Flow::Continue,
        })
    }
}
