//! A request that fails on one server is tried on another, and never twice where that could do harm.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use tidegate_core::{
    BuildCx, Bytes, ConfigErrors, Cx, Flow, Handler, NoConfig, Plugin, RequestHeader, ResponseHeader, Result, Route,
};
use tidegate_routing::Routing;
use tidegate_testkit::{Http, Recorded, Script, TestGateway, Upstream, gateway, refusing, upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::tidegate;

/// One pool of these targets, in turn.
pub(crate) fn pool(targets: &[String], more: &str) -> String {
    let targets = targets.iter().map(|target| format!("\"{target}\"")).collect::<Vec<_>>().join(", ");
    format!(
        "upstreams:\n  app:\n    targets: [{targets}]\n    {more}\nrouting: {{ routes: [{{ name: all, upstream: app }}] }}\n"
    )
}

async fn last_line(gateway: &TestGateway, count: usize) -> serde_json::Value {
    let line = gateway.access_log(count).await.pop().expect("a line");
    serde_json::from_str(&line).expect("JSON")
}

fn bodies(app: &Upstream) -> Vec<String> {
    app.requests().iter().map(Recorded::text).collect()
}

#[tokio::test]
async fn a_server_that_refuses_connections_costs_no_request_whatever_its_method() {
    let app = upstream().route("*", Script::echo()).start().await;
    let refusing = refusing();
    for http in Http::BOTH {
        let gateway = tidegate().start(&pool(&[refusing.addr().to_string(), app.target()], "")).await;
        for n in 0..4 {
            let answer = gateway.post("/").by(http).body(format!("body {n}")).send().await.expect(200);
            assert_eq!(answer.text(), format!("body {n}"), "{http:?}");
        }
        let first: serde_json::Value = serde_json::from_str(&gateway.access_log(4).await[0]).expect("JSON");
        assert_eq!((first["tries"].as_u64(), first["retry_reason"].as_str()), (Some(2), Some("connect")), "{first}");
        assert_eq!(first["target"].as_str(), Some(&*app.target()), "{first}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_answer_is_tried_again_if_that_does_no_harm() {
    for h2 in [false, true] {
        let protocol = if h2 { "protocol: h2" } else { "" };
        let start = |script: Script| async move {
            let app = upstream().route("*", script);
            if h2 { app.h2().start().await } else { app.start().await }
        };
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let (bad, good) = (start(Script::reset()).await, start(Script::reply("good")).await);
            let gateway = tidegate().start(&pool(&[bad.target(), good.target()], protocol)).await;
            let answer = gateway.request(method.clone(), "/").send().await.expect(200);
            assert_eq!((answer.text().as_str(), bad.requests().len()), ("good", 1), "{method} h2: {h2}");
        }
        let (bad, good) = (start(Script::reset()).await, start(Script::reply("good")).await);
        let gateway = tidegate().start(&pool(&[bad.target(), good.target()], protocol)).await;
        gateway.post("/").body("pay once").send().await.expect(502);
        assert!(good.requests().is_empty(), "a POST may have been worked on");
        let line = last_line(&gateway, 1).await;
        assert_eq!(line["retry_refused"], "not_idempotent", "{line}");

        let careless = format!("{}retry: {{ idempotent_only: false }}", if h2 { "protocol: h2\n    " } else { "" });
        let gateway = tidegate().start(&pool(&[bad.target(), good.target()], &careless)).await;
        gateway.post("/").body("pay once").send().await.expect(200);
        assert_eq!(bodies(&good), ["pay once"]);
    }
}

#[tokio::test]
async fn a_status_is_tried_again_where_the_pool_says_so_and_the_last_answer_is_the_client_s() {
    let busy = || Script::reply("busy").with_status(503).header("X-Why", "busy");
    for http in Http::BOTH {
        let app = upstream().route("/once", busy().then(Script::reply("done"))).route("/always", busy()).start().await;
        let gateway = tidegate().start(&pool(&[app.target()], "retry: { attempts: 2, on: [503] }")).await;
        let get = |path| gateway.request(Method::GET, path).by(http).send();

        assert_eq!(get("/once").await.expect(200).text(), "done");
        let line = last_line(&gateway, 1).await;
        assert_eq!((line["tries"].as_u64(), line["retry_reason"].as_str()), (Some(2), Some("status")), "{line}");

        let answer = get("/always").await.expect(503);
        assert_eq!((answer.text().as_str(), answer.header("x-why")), ("busy", Some("busy")));
        assert_eq!(app.requests().iter().filter(|request| request.path() == "/always").count(), 3);
        let line = last_line(&gateway, 2).await;
        assert_eq!((line["tries"].as_u64(), line["retry_refused"].as_str()), (Some(3), Some("exhausted")), "{line}");

        app.forget();
        let answer = gateway.post("/always").by(http).body("x").send().await.expect(503);
        assert_eq!((answer.text().as_str(), app.requests().len()), ("busy", 1), "a POST was worked on");
    }
}

#[tokio::test]
async fn a_grpc_status_without_a_message_is_tried_again() {
    let unavailable = Script::status(200).header("content-type", "application/grpc").header("grpc-status", "14");
    let app = upstream().route("*", unavailable.then(Script::reply("message"))).h2().start().await;
    let more = "protocol: h2\n    retry: { on: [grpc.unavailable], idempotent_only: false }";
    let gateway = tidegate().start(&pool(&[app.target()], more)).await;
    let answer =
        gateway.post("/pkg.Service/Call").h2().header("content-type", "application/grpc").body("x").send().await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "message"));
    assert_eq!(bodies(&app), ["x", "x"]);
    assert_eq!(last_line(&gateway, 1).await["retry_reason"], "grpc");
}

#[tokio::test]
async fn a_silent_server_has_only_the_time_of_one_try() {
    let (silent, good) =
        (upstream().route("*", Script::stall()).start().await, upstream().reply("*", "good").start().await);
    // One more try only: where the good one is late as well, a third would be the silent one's, with a minute's time.
    let more = "retry: { attempts: 1, on: [timeout], per_try_timeout: 50ms }\n    timeouts: { read: 60s }";
    let gateway = tidegate().start(&pool(&[silent.target(), good.target()], more)).await;
    assert_eq!(gateway.get("/").await.expect(200).text(), "good");
    assert_eq!(last_line(&gateway, 1).await["retry_reason"], "timeout");

    // The last try has the upstream's own time.
    let slow = upstream().route("*", Script::reply("slow").delay(Duration::from_secs(3))).start().await;
    let gateway = tidegate().start(&pool(&[slow.target()], more)).await;
    assert_eq!(gateway.get("/").await.expect(200).text(), "slow");
    assert_eq!(slow.requests().len(), 2);
}

#[tokio::test]
async fn a_kept_connection_that_was_dead_is_forgiven_once_and_never_for_a_post() {
    let script = || Script::reply("one").then(Script::close()).then(Script::reply("three"));
    // `reset` is no reason here: the connection was dead before.
    let more = "retry: { on: [connect] }";
    let app = upstream().route("*", script()).start().await;
    let gateway = tidegate().start(&pool(&[app.target()], more)).await;
    assert_eq!(gateway.get("/").await.expect(200).text(), "one");
    assert_eq!(gateway.get("/").await.expect(200).text(), "three");
    assert_eq!(app.connections(), 2);

    let app = upstream().route("*", script()).start().await;
    let gateway = tidegate().start(&pool(&[app.target()], more)).await;
    assert_eq!(gateway.get("/").await.expect(200).text(), "one");
    gateway.post("/").body("x").send().await.expect(502);
    assert_eq!(app.requests().len(), 2);

    // A connection of its own that breaks is a failure.
    let app = upstream().route("*", Script::close().then(Script::reply("two"))).start().await;
    let gateway = tidegate().start(&pool(&[app.target()], more)).await;
    gateway.get("/").await.expect(502);
}

#[tokio::test]
async fn a_wait_before_the_next_try_is_no_longer_than_the_request_may_take() {
    let refusing = refusing();
    let more = "retry: { backoff: { base: 1h, max: 1h } }";
    let yaml = pool(&[refusing.addr().to_string()], more)
        .replace("upstream: app }", "upstream: app, timeouts: { request: 4s } }");
    let gateway = tidegate().start(&yaml).await;
    let begin = Instant::now();
    let answer = gateway.get("/").await.expect(504);
    assert_eq!(answer.json()["code"], "request_timeout");
    assert!(begin.elapsed() < Duration::from_secs(30), "waited {:?}", begin.elapsed());
}

#[tokio::test]
async fn a_body_is_sent_again_as_long_as_it_is_still_there() {
    for http in Http::BOTH {
        let app = upstream().route("*", Script::reply("busy").with_status(503).then(Script::echo())).start().await;
        let gateway = tidegate().start(&pool(&[app.target()], "retry: { on: [503] }")).await;
        let put = |path: &str, length| gateway.request(Method::PUT, path).by(http).generated(length).send();
        let answer = put("/", 60_000).await.expect(200);
        assert_eq!(answer.body.len(), 60_000, "{http:?}");
        assert!(app.requests().iter().all(|request| request.check.is_intact() && request.body.len() == 60_000));

        app.set("*", Script::reply("busy").with_status(503).then(Script::echo()));
        app.forget();
        put("/", 70_000).await.expect(503);
        assert_eq!(
            (app.requests().len(), last_line(&gateway, 2).await["retry_refused"].as_str()),
            (1, Some("body_gone"))
        );
    }
}

/// Adds a mark to each piece of a body and counts what it sees.
struct Marking(Arc<Seen>);

#[derive(Default)]
struct Seen {
    bytes: AtomicUsize,
    ends: AtomicUsize,
    upstream_heads: AtomicUsize,
    answers: AtomicUsize,
}

static SEEN: std::sync::LazyLock<parking_lot::Mutex<Option<Arc<Seen>>>> = std::sync::LazyLock::new(Default::default);

impl Plugin for Marking {
    const NAME: &'static str = "marking";
    type Config = NoConfig;
    type Policy = NoConfig;
    type Handler = Marking;

    fn build(_: NoConfig, _: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        let seen = Arc::new(Seen::default());
        *SEEN.lock() = Some(seen.clone());
        Ok(Self(seen))
    }
    fn handler(&self, _: NoConfig, _: &Route) -> Result<Self, ConfigErrors> {
        Ok(Self(self.0.clone()))
    }
}

impl Handler for Marking {
    async fn request_body(&self, _: &mut Cx<'_>, body: &mut Bytes, end: bool) -> Result<Flow> {
        self.0.bytes.fetch_add(body.len(), Ordering::Relaxed);
        self.0.ends.fetch_add(usize::from(end), Ordering::Relaxed);
        let mark = if end { &b"!"[..] } else { &b""[..] };
        *body = [body.to_ascii_uppercase().as_slice(), mark].concat().into();
        Ok(Flow::Continue)
    }
    fn upstream_request(&self, _: &mut Cx<'_>, head: &mut RequestHeader) -> Result<()> {
        self.0.upstream_heads.fetch_add(1, Ordering::Relaxed);
        // The length changes.
        head.remove_header("content-length");
        Ok(())
    }
    fn upstream_response(&self, _: &mut Cx<'_>, _: &mut ResponseHeader) -> Result<()> {
        self.0.answers.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::test]
async fn plugins_see_a_body_and_an_answer_once_however_many_tries_there_are() {
    for h2 in [false, true] {
        for http in Http::BOTH {
            let busy = || Script::reply("busy").with_status(503);
            let app = upstream().route("*", busy().then(busy()).then(Script::echo()));
            let app = if h2 { app.h2().start().await } else { app.start().await };
            let more = format!("protocol: {}\n    retry: {{ on: [503] }}", if h2 { "h2" } else { "http1" });
            let yaml =
                pool(&[app.target()], &more).replace("upstream: app }", "upstream: app, plugins: { marking: {} } }");
            let gateway = gateway().router::<Routing>().plugin::<Marking>().start(&yaml).await;
            let seen = SEEN.lock().clone().expect("built");
            let put = gateway.request(Method::PUT, "/").by(http).chunks(["ab", "cd", "ef"]);
            let answer = put.send().await.expect(200);
            assert_eq!(answer.text(), "ABCDEF!", "h2: {h2} {http:?}");
            assert_eq!(bodies(&app), ["ABCDEF!"; 3], "h2: {h2} {http:?}");
            let counts = [&seen.bytes, &seen.ends, &seen.upstream_heads, &seen.answers];
            assert_eq!(counts.map(|count| count.load(Ordering::Relaxed)), [6, 1, 3, 1], "h2: {h2} {http:?}");
        }
    }
}

/// An HTTP/2 server that refuses the first stream that it gets, with these frames in answer to it, and serves the rest.
async fn refusing_a_stream(frames: &'static [u8]) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        let (mut first, _) = listener.accept().await.expect("a connection");
        let mut seen = Vec::new();
        first.write_all(SETTINGS).await.expect("written");
        // The preface, then frames: HEADERS are of type 1.
        while !seen.windows(5).any(|window| window[0] == 0 && window[3] == 1 && window[4] & 4 == 4) {
            assert!(first.read_buf(&mut seen).await.expect("read") > 0, "a request");
        }
        first.write_all(frames).await.expect("written");
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    respond.send_response(http::Response::new(()), true).expect("sent");
                }
            });
        }
    });
    addr
}

const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// The server is about to close, and has begun with no stream (RFC 9113 section 6.8).
const GOAWAY_BEFORE_ALL: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// The same, but it has begun with the request's.
const GOAWAY_AFTER_IT: &[u8] =
    &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 2];

/// RST_STREAM with REFUSED_STREAM (RFC 9113 section 8.7); on another connection, because that one serves nobody.
const REFUSED: &[u8] = &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];

#[tokio::test]
async fn a_stream_that_was_refused_is_tried_again_whatever_its_method() {
    for (frames, refused) in [(GOAWAY_BEFORE_ALL, true), (REFUSED, true), (GOAWAY_AFTER_IT, false)] {
        let addr = refusing_a_stream(frames).await;
        let gateway = tidegate().start(&pool(&[addr.to_string()], "protocol: h2")).await;
        let answer = gateway.post("/").body("pay once").send().await;
        let line = last_line(&gateway, 1).await;
        assert_eq!(answer.status, if refused { 200 } else { 502 }, "{frames:?}: {line}");
        let reason = refused.then_some("refused_stream");
        assert_eq!(
            (line["tries"].as_u64(), line["retry_reason"].as_str()),
            (Some(1 + u64::from(refused)), reason),
            "{line}"
        );
    }
}
