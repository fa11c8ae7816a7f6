//! Answers whose time is over, and that are used all the same (RFC 5861, RFC 9111 section 4.2.4).

use tidegate_testkit::{Client, Script, gate};

use crate::{is_hit, minute, stage, told};

#[tokio::test]
async fn a_stale_answer_is_sent_while_a_new_one_is_fetched_once() {
    let gate = gate();
    let says = "max-age=60, stale-while-revalidate=30";
    let old = Script::reply("old").header("Cache-Control", says);
    let stage = stage("{}", old.then(Script::reply("new").header("Cache-Control", says).wait(&gate))).await;
    stage.get("/a").await.expect(200);
    stage.pass(70);
    for _ in 0..5 {
        let answer = stage.get("/a").await.expect(200);
        assert_eq!(
            (answer.text().as_str(), told(&answer), answer.header("age")),
            ("old", "tidegate; hit; ttl=-10".into(), Some("70"))
        );
    }
    stage.app.wait_for(2).await;
    gate.open();
    tidegate_testkit::wait_until_async("the new one", async || stage.get("/a").await.text() == "new").await;
    assert_eq!(stage.asked(), 2);
    stage.pass(91);
    // Its time and that after it are over: nothing is sent without asking.
    stage.get("/a").await.expect(200);
    assert_eq!(stage.asked(), 3);
}

#[tokio::test]
async fn what_an_http_2_client_finds_stale_is_renewed_too() {
    let stage = stage("stale_while_revalidate: 30s", minute("old").then(minute("new"))).await;
    let ask = async || stage.gateway.request(http::Method::GET, "/a").h2().send().await.expect(200);
    ask().await;
    stage.pass(61);
    assert_eq!(ask().await.text(), "old");
    tidegate_testkit::wait_until_async("the new one", async || ask().await.text() == "new").await;
    let [first, second] = [0, 1].map(|nth| stage.app.requests()[nth].authority.clone());
    assert_eq!((stage.asked(), first), (2, second));
}

#[tokio::test]
async fn a_renewal_asks_whether_the_old_one_is_still_good() {
    let stage = stage("stale_while_revalidate: 30s", minute("x").header("ETag", "\"a\"")).await;
    stage.get("/a").await.expect(200);
    stage.now(Script::status(304).header("ETag", "\"a\"").header("Cache-Control", "max-age=60"));
    stage.pass(61);
    assert_eq!(told(&stage.get("/a").await), "tidegate; hit; ttl=-1");
    stage.app.wait_for(2).await;
    tidegate_testkit::wait_until_async("confirmed", async || told(&stage.get("/a").await) == "tidegate; hit; ttl=60")
        .await;
    let asked = stage.app.requests().pop().expect("a question");
    assert_eq!(asked.header("if-none-match"), Some("\"a\""));
    // Nobody counts it as a client's.
    assert_eq!(stage.gateway.metric("tidegate_cache_requests_total", &[("result", "miss")]).await, 1.0);
}

#[tokio::test]
async fn a_stale_answer_is_better_than_an_error() {
    for (error, status) in [
        (Script::status(500), Some(500)),
        (Script::status(503), Some(503)),
        (Script::status(504), Some(504)),
        (Script::reset(), None),
        (Script::close(), None),
    ] {
        let stage = stage("stale_if_error: 100s", minute("x")).await;
        stage.get("/a").await.expect(200);
        stage.now(error);
        stage.pass(70);
        let answer = stage.get("/a").await.expect(200);
        assert_eq!((answer.text().as_str(), answer.header("age"), answer.header("warning")), ("x", Some("70"), None));
        let fwd = status.map_or(String::new(), |status| format!("; fwd-status={status}"));
        assert_eq!(told(&answer), format!("tidegate; fwd=stale{fwd}; ttl=-10; detail=stale_if_error"));
        stage.pass(100);
        assert!(stage.get("/a").await.status >= 500);
    }
}

#[tokio::test]
async fn an_upstream_that_is_gone_is_hidden_as_long_as_allowed() {
    let stage = stage("stale_if_error: 100s", minute("x")).await;
    stage.get("/a").await.expect(200);
    let crate::Stage { gateway, app, clock } = stage;
    app.stop().await;
    clock.advance(std::time::Duration::from_secs(70));
    let answer = gateway.get("/a").await.expect(200);
    assert_eq!((answer.text().as_str(), answer.header("age")), ("x", Some("70")));
}

/// Pingora closes it; a client that sends its next request over it must not run into that.
#[tokio::test]
async fn a_connection_that_ends_with_a_stale_answer_says_so() {
    for (error, ends) in [(Script::close(), true), (Script::reset(), true), (Script::status(503), false)] {
        let stage = stage("stale_if_error: 100s", minute("x")).await;
        let mut client = Client::connect(stage.gateway.addr()).await;
        client.get("/a").await.expect(200);
        stage.now(error);
        stage.pass(70);
        let stale = client.get("/a").await.expect(200);
        assert_eq!((stale.text().as_str(), stale.header("connection") == Some("close")), ("x", ends));
        if !ends {
            assert_eq!(client.get("/a").await.expect(200).text(), "x");
        }
    }
}

#[tokio::test]
async fn other_errors_are_told() {
    let stage = stage("stale_if_error: 100s", minute("x")).await;
    stage.get("/a").await.expect(200);
    stage.pass(70);
    for status in [400, 404, 501] {
        stage.now(Script::status(status).header("Cache-Control", "no-store"));
        stage.get("/a").await.expect(status);
    }
}

#[tokio::test]
async fn what_must_be_confirmed_is_never_sent_stale() {
    for says in [
        "max-age=60, must-revalidate",
        "max-age=60, proxy-revalidate",
        "s-maxage=60",
        "max-age=60, must-revalidate, stale-if-error=100, stale-while-revalidate=100",
    ] {
        let stage = stage(
            "stale_if_error: 100s\nstale_while_revalidate: 100s",
            Script::reply("x").header("Cache-Control", says),
        )
        .await;
        stage.get("/a").await.expect(200);
        stage.now(Script::status(503));
        stage.pass(61);
        let answer = stage.get("/a").await.expect(503);
        assert!(!is_hit(&answer), "{says}");
    }
}

#[tokio::test]
async fn a_client_can_ask_for_it() {
    let stage = stage("{}", minute("x")).await;
    stage.get("/a").await.expect(200);
    stage.now(Script::status(503));
    stage.pass(70);
    stage.get("/a").await.expect(503);
    stage.ask("/a", &[("cache-control", "stale-if-error=10")]).await.expect(200);
    stage.ask("/a", &[("cache-control", "stale-if-error=10, no-cache")]).await.expect(503);
}

/// A page that the gateway replaces is no failure of the upstream's: what is gone is gone.
#[tokio::test]
async fn what_is_gone_is_not_hidden_by_a_stale_answer_where_error_pages_are_replaced() {
    for (status, stale) in [(404, false), (410, false), (403, false), (503, true)] {
        let clock = tidegate_testkit::manual_clock();
        let app = tidegate_testkit::upstream().route("/*", minute("x")).start().await;
        let config = crate::config(&app.target(), "stale_if_error: 100s");
        let config = format!("errors: {{ intercept_upstream: [403, 404, 410, 503] }}\n{config}");
        let gateway = crate::builder(&clock).start(&config).await;
        gateway.get("/a").await.expect(200);
        app.set("/*", Script::status(status));
        clock.advance(std::time::Duration::from_secs(70));
        assert_eq!(gateway.get("/a").await.status, if stale { 200 } else { status }, "{status}");
    }
}

#[tokio::test]
async fn whoever_wants_nothing_stored_does_not_keep_others_from_having_it_renewed() {
    let stage = stage("stale_while_revalidate: 30s", minute("old").then(minute("new"))).await;
    stage.get("/a").await.expect(200);
    stage.pass(61);
    assert_eq!(stage.ask("/a", &[("cache-control", "no-store")]).await.text(), "old");
    assert_eq!(stage.get("/a").await.text(), "old");
    tidegate_testkit::wait_until_async("the new one", async || stage.get("/a").await.text() == "new").await;
}

/// For HEAD and for a part the whole is fetched.
#[tokio::test]
async fn a_renewal_brings_the_whole_answer_whatever_its_client_asked_for() {
    for (method, fields) in [
        (http::Method::HEAD, &[][..]),
        (http::Method::GET, &[("range", "bytes=0-0")]),
        (http::Method::GET, &[("if-none-match", "\"b\"")]),
    ] {
        let old = minute("old").header("ETag", "\"a\"");
        let stage = stage("stale_while_revalidate: 30s", old.then(minute("new").header("ETag", "\"b\""))).await;
        stage.get("/a").await.expect(200);
        stage.pass(61);
        stage.send(method.clone(), "/a", fields).await;
        stage.app.wait_for(2).await;
        tidegate_testkit::wait_until_async("the new one", async || stage.get("/a").await.text() == "new").await;
        assert_eq!(stage.asked(), 2, "{method} {fields:?}");
    }
}
