//! Servers that answer nonsense: the client is told so, the log says what it was, the connection is not used again, and
//! the next request is served.

use std::time::Duration;

use http::Method;
use tidegate_testkit::{Http, Script, TestGateway, Upstream, gate, refusing, upstream, wait_until_async};

use crate::retries::pool;
use crate::tidegate;

/// No second try: it would hide what becomes of the first.
const ONE_TRY: &str = "retry: { attempts: 0 }";

/// The same, where a server is waited for in vain. Nowhere else: on a busy machine every answer may take as long.
const IN_VAIN: &str = "retry: { attempts: 0 }\n    timeouts: { read: 300ms }";

/// One server with more of the pool. If `/bad` is waited for in vain, it has a route of its own, with little time.
fn with_bad(app: &Upstream, more: &str, in_vain: bool) -> String {
    let own = "routes: [{ name: bad, match: { path: /bad }, upstream: app, timeouts: { read: 300ms } }, ";
    let yaml = pool(&[app.target()], more);
    if in_vain { yaml.replace("routes: [", own) } else { yaml }
}

async fn cause(gateway: &TestGateway, count: usize) -> String {
    let line = gateway.access_log(count).await.pop().expect("a line");
    let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    line["error"].as_str().unwrap_or_else(|| panic!("no cause in {line}")).to_owned()
}

/// What a server may answer instead of HTTP, and the status that becomes of it.
fn faults() -> Vec<(&'static str, Script, u16)> {
    let header = |length: usize| format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n", "a".repeat(length));
    let interim = "HTTP/1.1 103 Early Hints\r\nSet-Cookie: canary\r\n\r\n";
    vec![
        ("garbage", Script::raw("canary is not HTTP\r\n\r\n"), 502),
        ("binary garbage", Script::raw(vec![0_u8, 255, 1, 254, 13, 10, 13, 10]), 502),
        ("half a head, then the end", Script::raw("HTTP/1.1 200 OK\r\nContent-Le"), 502),
        ("half a head, then silence", Script::raw_then_silence("HTTP/1.1 200 OK\r\nContent-Le"), 504),
        ("silence", Script::stall(), 504),
        ("nothing", Script::close(), 502),
        ("a reset", Script::reset(), 502),
        ("two lengths", Script::raw("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), 502),
        ("a negative length", Script::raw("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nab"), 502),
        ("no number", Script::raw("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nab"), 502),
        ("no status", Script::raw("HTTP/1.1 \r\n\r\n"), 502),
        ("a status of 99999", Script::raw("HTTP/1.1 99999 OK\r\n\r\n"), 502),
        ("a head of 10 MB", Script::raw(header(10 * 1024 * 1024)), 502),
        ("a head without end", Script::raw_without_end("HTTP/1.1 200 OK\r\n", "X-More: canary\r\n"), 502),
        ("1xx without end", Script::raw_without_end("", interim), 502),
        ("101 that nobody asked for", Script::raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), 502),
    ]
}

#[tokio::test]
async fn an_answer_that_is_none_is_502_or_504_with_its_cause_in_the_log_and_the_next_request_is_served() {
    for (fault, script, status) in faults() {
        for http in Http::BOTH {
            let app = upstream().route("/bad", script.clone()).reply("/good", "good").start().await;
            let gateway = tidegate().start(&with_bad(&app, ONE_TRY, status == 504)).await;
            let answer = gateway.request(Method::GET, "/bad").by(http).send().await;
            assert_eq!(answer.status, status, "{fault} {http:?}: {answer:?}");
            assert!(
                answer.json()["code"].as_str().is_some_and(|code| code.starts_with("upstream_")),
                "{fault}: {answer:?}"
            );
            assert!(!answer.text().contains("canary"), "{fault}: {answer:?}");
            let cause = cause(&gateway, 1).await;
            assert!(!cause.is_empty() && cause.len() < 2048 && !cause.contains("canary"), "{fault}: {cause}");

            assert_eq!(
                gateway.request(Method::GET, "/good").by(http).send().await.expect(200).text(),
                "good",
                "{fault}"
            );
            assert_eq!(app.connections(), 2, "{fault}: the broken connection was used again");
            assert_eq!(gateway.metric("tidegate_requests_in_flight", &[]).await, 0.0, "{fault}");
        }
    }
}

#[tokio::test]
async fn a_body_of_another_length_than_announced_is_never_passed_off_as_whole() {
    for http in Http::BOTH {
        let short = Script::reply("0123456789").claiming(20);
        let app = upstream().route("/short", short).reply("/good", "good").start().await;
        let gateway = tidegate().start(&pool(&[app.target()], ONE_TRY)).await;
        let cut = gateway.request(Method::GET, "/short").by(http).try_send().await;
        assert!(cut.is_err(), "{http:?}: {cut:?}");
        assert!(!cause(&gateway, 1).await.is_empty());
        gateway.request(Method::GET, "/good").by(http).send().await.expect(200);
        assert_eq!(app.connections(), 2);
    }
    // More than announced: the rest belongs to nobody, least of all to the next request.
    for http in Http::BOTH {
        let long = Script::raw_then_silence(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged",
        );
        let app = upstream().route("/long", long).reply("/good", "good").start().await;
        let gateway = tidegate().start(&pool(&[app.target()], ONE_TRY)).await;
        assert_eq!(gateway.request(Method::GET, "/long").by(http).send().await.expect(200).text(), "ok");
        for _ in 0..3 {
            assert_eq!(gateway.request(Method::GET, "/good").by(http).send().await.expect(200).text(), "good");
        }
    }
}

#[tokio::test]
async fn a_server_may_close_at_every_byte_of_an_answer_and_no_client_gets_half_of_one() {
    for whole in [
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    ] {
        let app = upstream().reply("/good", "good").start().await;
        let gateway = tidegate().start(&pool(&[app.target()], ONE_TRY)).await;
        for end in 0..whole.len() {
            app.set("/cut", Script::raw(whole[..end].to_owned()));
            let answer = gateway.request(Method::GET, "/cut").try_send().await;
            match answer {
                Ok(answer) => {
                    assert_eq!(answer.status, 502, "closed after {end} bytes: {answer:?}");
                }
                // The head had gone out: all that is left is to cut the client's connection, too.
                Err(_) => assert!(end >= whole.find("\r\n\r\nh").unwrap_or(whole.len() - 30), "cut after {end} bytes"),
            }
            gateway.get("/good").await.expect(200);
        }
        app.set("/cut", Script::raw(whole.to_owned()));
        assert_eq!(gateway.get("/cut").await.expect(200).text(), "hello");
    }
}

#[tokio::test]
async fn a_failure_after_an_interim_answer_is_still_told() {
    for http in Http::BOTH {
        let app = upstream().route("*", Script::raw("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")).start().await;
        let gateway = tidegate().start(&pool(&[app.target()], ONE_TRY)).await;
        let answer = gateway.request(Method::GET, "/").by(http).send().await;
        assert_eq!(answer.status, 502, "{http:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_faulty_http2_server_is_told_apart_and_the_next_request_is_served() {
    for (fault, script) in
        [("a reset stream", Script::reset()), ("a closed connection", Script::close()), ("silence", Script::stall())]
    {
        let app = upstream().route("/bad", script).reply("/good", "good").h2().start().await;
        let more = format!("protocol: h2\n    {ONE_TRY}");
        let gateway = tidegate().start(&with_bad(&app, &more, fault == "silence")).await;
        for http in Http::BOTH {
            let answer = gateway.request(Method::GET, "/bad").by(http).send().await;
            assert!(matches!(answer.status, 502 | 504), "{fault}: {answer:?}");
            gateway.request(Method::GET, "/good").by(http).send().await.expect(200);
        }
    }
    let app =
        upstream().route("/half", Script::reply("0123456789").reset_after(5)).reply("/good", "good").h2().start().await;
    let gateway = tidegate().start(&pool(&[app.target()], &format!("protocol: h2\n    {ONE_TRY}"))).await;
    for http in Http::BOTH {
        // Cut, unless the head had not gone out yet.
        let cut = gateway.request(Method::GET, "/half").by(http).try_send().await;
        assert!(cut.as_ref().map_or(true, |answer| answer.status == 502), "{http:?}: {cut:?}");
        gateway.request(Method::GET, "/good").by(http).send().await.expect(200);
    }
}

#[tokio::test]
async fn a_server_that_trickles_its_head_has_no_more_than_the_request_s_time() {
    let slow = Script::reply("late").trickle(1, Duration::from_millis(20));
    let app = upstream().route("*", slow.header("Content-Length", "1000000")).start().await;
    let yaml =
        pool(&[app.target()], ONE_TRY).replace("upstream: app }", "upstream: app, timeouts: { request: 300ms } }");
    let gateway = tidegate().start(&yaml).await;
    let cut = gateway.request(Method::GET, "/").try_send().await;
    assert!(cut.is_err() || cut.is_ok_and(|answer| answer.status == 504));
    assert!(cause(&gateway, 1).await.contains("time"), "the time was up");
}

#[tokio::test]
async fn each_try_is_counted_by_what_became_of_it() {
    let refusing = refusing();
    for (outcome, script) in [
        ("answered", Script::reply("fine")),
        ("answered", Script::status(404)),
        ("server_error", Script::status(500)),
        ("reset", Script::close()),
        ("reset", Script::reply("0123456789").claiming(20)),
        ("timeout", Script::stall()),
        ("timeout", Script::reply("0123456789").stall_after(5)),
        ("protocol", Script::raw("canary is not HTTP\r\n\r\n")),
    ] {
        let app = upstream().route("*", script).start().await;
        let more = if outcome == "timeout" { IN_VAIN } else { ONE_TRY };
        let gateway = tidegate().start(&pool(&[app.target()], more)).await;
        // Cut, or answered: that is another story.
        let _ = gateway.request(Method::GET, "/").try_send().await;
        assert_outcome(&gateway, outcome).await;
    }
    let gateway = tidegate().start(&pool(&[refusing.addr().to_string()], ONE_TRY)).await;
    gateway.get("/").await.expect(502);
    assert_outcome(&gateway, "connect").await;

    // A client that leaves says nothing of the server.
    let app = upstream().route("*", Script::stall()).start().await;
    let gateway = tidegate().start(&pool(&[app.target()], "")).await;
    let mut client = gateway.connect().await;
    client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    app.wait_for_heads(1).await;
    drop(client);
    assert_outcome(&gateway, "abandoned").await;
}

async fn assert_outcome(gateway: &TestGateway, outcome: &str) {
    wait_until_async(outcome, async || {
        gateway.metric("tidegate_upstream_requests_total", &[("upstream", "app"), ("outcome", outcome)]).await == 1.0
    })
    .await;
    let metrics = gateway.metrics().await;
    assert_eq!(metrics.sum("tidegate_upstream_requests_total", &[]), 1.0, "{outcome}: and nothing else");
    assert_eq!(metrics.sum("tidegate_upstream_in_flight", &[]), 0.0, "{outcome}");
}

#[tokio::test]
async fn an_open_breaker_answers_for_the_server_at_once() {
    let app = upstream().route("*", Script::status(500)).start().await;
    let more = "breaker: { min_requests: 2, open: 1h }";
    let gateway = tidegate().start(&pool(&[app.target()], more)).await;
    for _ in 0..2 {
        gateway.get("/").await.expect(500);
    }
    let refused = gateway.get("/").await.expect(503);
    assert_eq!(refused.json()["code"], "upstream_breaker_open");
    let retry_after = refused.header("retry-after").and_then(|seconds| seconds.parse().ok());
    assert!(retry_after.is_some_and(|seconds: u64| (3000..=3600).contains(&seconds)), "{refused:?}");
    assert!(cause(&gateway, 3).await.contains("breaker"));
    assert_eq!(app.requests().len(), 2);
}

#[tokio::test]
async fn a_client_that_leaves_the_queue_leaves_its_place() {
    let hold = gate();
    let app = upstream().route("*", Script::reply("done").wait(&hold)).start().await;
    let more = "limits: { in_flight: 1, queue: 1, queue_timeout: 1h }";
    let gateway = tidegate().start(&pool(&[app.target()], more)).await;
    let mut first = gateway.connect().await;
    first.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    app.wait_for_heads(1).await;
    let queued = async |count: f64| {
        wait_until_async("the queue to change", async || {
            gateway.metric("tidegate_upstream_queued", &[]).await == count
        })
        .await;
    };
    let mut second = gateway.connect().await;
    second.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    queued(1.0).await;
    drop(second);
    queued(0.0).await;
    hold.open();
    first.answer().await.expect(200);
    assert_eq!(app.requests().len(), 1);
}

/// How many tries of the pool `app` ended so.
async fn tries(gateway: &TestGateway, outcome: &str) -> f64 {
    let metrics = gateway.metrics_text().await;
    let of = |line: &&str| {
        line.starts_with("tidegate_upstream_requests_total{") && line.contains(&format!("outcome=\"{outcome}\""))
    };
    let count = |line: &str| line.rsplit(' ').next().and_then(|count| count.parse::<f64>().ok());
    metrics.lines().filter(of).filter_map(count).sum()
}

#[tokio::test]
async fn a_client_that_owes_the_rest_of_its_body_is_no_fault_of_the_server() {
    for h2 in [false, true] {
        let app = upstream().route("*", Script::reply("done"));
        let app = if h2 { app.h2().start().await } else { app.start().await };
        let more = format!("{IN_VAIN}\n    protocol: {}", if h2 { "h2" } else { "http1" });
        let gateway = tidegate().start(&pool(&[app.target()], &more)).await;
        let mut client = gateway.connect().await;
        client.write("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf").await;
        assert_eq!(client.answer().await.status, 408, "h2: {h2}");
        assert!(!cause(&gateway, 1).await.is_empty());
        assert_eq!((tries(&gateway, "timeout").await, tries(&gateway, "abandoned").await), (0.0, 1.0), "h2: {h2}");
    }
    // Servers lose patience with such clients as well, and many say nothing when they do.
    let app = upstream().route("*", Script::close().early()).start().await;
    let gateway = tidegate().start(&pool(&[app.target()], ONE_TRY)).await;
    let mut client = gateway.connect().await;
    client.write("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf").await;
    assert_eq!(client.answer().await.status, 502);
    assert_eq!((tries(&gateway, "reset").await, tries(&gateway, "abandoned").await), (0.0, 1.0));
    gateway.get("/").await.expect(502);
    assert_eq!(tries(&gateway, "reset").await, 1.0);
}

#[tokio::test]
async fn a_slow_upload_is_not_a_slow_server() {
    let app = upstream().route("*", Script::reply("done")).start().await;
    let more = "breaker: { slow: 5s, slow_ratio: 1%, min_requests: 1, open: 60s }";
    let gateway = tidegate().start(&pool(&[app.target()], more)).await;
    let mut client = gateway.connect().await;
    client.write("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf").await;
    app.wait_for_heads(1).await;
    tokio::time::sleep(Duration::from_millis(5500)).await;
    client.write("half").await;
    assert_eq!(client.answer().await.text(), "done");
    wait_until_async("the request's end", async || tries(&gateway, "answered").await == 1.0).await;
    gateway.get("/").await.expect(200);
}

#[tokio::test]
async fn a_call_whose_client_gave_it_too_little_time_is_no_fault_of_the_server() {
    let late = Script::status(200).header("content-type", "application/grpc").header("grpc-status", "4");
    let app = upstream().route("*", late).h2().start().await;
    let gateway = tidegate().start(&pool(&[app.target()], "protocol: h2")).await;
    let call = || gateway.post("/pkg.Service/Call").h2().header("content-type", "application/grpc").body("x");
    call().header("grpc-timeout", "1n").send().await.expect(200);
    wait_until_async("the call's end", async || tries(&gateway, "answered").await == 1.0).await;
    call().send().await.expect(200);
    wait_until_async("the call's end", async || tries(&gateway, "server_error").await == 1.0).await;
}

#[tokio::test]
async fn a_server_that_got_only_the_rest_of_a_request_s_time_is_not_judged_by_it() {
    let stalling = upstream().route("*", Script::stall()).start().await;
    // In time for a try, and 3.5 s too late for what the first one leaves: far more than a busy machine mixes up.
    let slower = upstream().route("*", Script::reply("fine").delay(Duration::from_secs(5))).start().await;
    let more = "retry: { on: [timeout], per_try_timeout: 6s, backoff: { base: 1ms, max: 1ms } }";
    let yaml = pool(&[stalling.target(), slower.target()], more)
        .replace("upstream: app }", "upstream: app, timeouts: { request: 7500ms } }");
    let gateway = tidegate().start(&yaml).await;
    gateway.get("/").await.expect(504);
    assert_eq!(tries(&gateway, "timeout").await, 1.0, "only the one that stalls");
}
