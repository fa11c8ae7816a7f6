//! What is stored (RFC 9111 section 3).

use std::time::Duration;

use http::Method;
use tidegate_testkit::{Http, Script};

use crate::{is_hit, minute, stage, told};

#[tokio::test]
async fn an_answer_is_fetched_once_and_then_served_from_the_cache() {
    for http in Http::BOTH {
        let stage = stage("{}", minute("hello").header("X-A", "1")).await;
        let first = stage.gateway.request(Method::GET, "/a").by(http).send().await.expect(200);
        assert_eq!(
            (first.text(), told(&first)),
            ("hello".into(), "tidegate; fwd=uri-miss; fwd-status=200; stored; ttl=60".into())
        );
        stage.pass(5);
        for _ in 0..3 {
            let next = stage.gateway.request(Method::GET, "/a").by(http).send().await.expect(200);
            assert_eq!((next.text(), told(&next)), ("hello".into(), "tidegate; hit; ttl=55".into()));
            assert_eq!(
                (next.header("age"), next.header("x-a"), next.header("content-length")),
                (Some("5"), Some("1"), Some("5"))
            );
        }
        assert_eq!(stage.asked(), 1);
    }
}

#[tokio::test]
async fn what_must_not_be_stored_is_fetched_each_time() {
    for (name, value) in [
        ("Cache-Control", "no-store, max-age=60"),
        ("Cache-Control", "private, max-age=60"),
        ("Cache-Control", "private=\"x\", max-age=60"),
        ("Set-Cookie", "a=b"),
        ("Vary", "*"),
        ("Content-Type", "text/event-stream"),
    ] {
        let stage = stage("{}", Script::reply("x").header(name, value)).await;
        for _ in 0..3 {
            let answer = stage.get("/a").await.expect(200);
            assert!(!is_hit(&answer) && answer.header(name) == Some(value), "{name}: {value}: {answer:?}");
        }
        assert_eq!(stage.asked(), 3, "{name}: {value}");
    }
}

#[tokio::test]
async fn cookies_are_stripped_where_the_route_says_so_also_from_the_first_answer() {
    let stage = stage("set_cookie: strip", minute("x").header("Set-Cookie", "a=b").header("Set-Cookie", "c=d")).await;
    for hit in [false, true] {
        let answer = stage.get("/a").await.expect(200);
        assert_eq!((is_hit(&answer), answer.header("set-cookie")), (hit, None));
    }
}

#[tokio::test]
async fn fields_of_one_connection_are_not_stored() {
    let script = minute("x")
        .header("Connection", "X-Secret")
        .header("X-Secret", "1")
        .header("Proxy-Authenticate", "Basic")
        .header("Keep-Alive", "5");
    let stage = stage("{}", script).await;
    stage.get("/a").await.expect(200);
    let hit = stage.get("/a").await.expect(200);
    assert!(is_hit(&hit));
    for name in ["x-secret", "proxy-authenticate", "keep-alive"] {
        assert_eq!(hit.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn head_is_answered_from_what_get_got_and_get_from_what_head_fetched() {
    for http in Http::BOTH {
        let stage = stage("{}", minute("hello")).await;
        for _ in 0..2 {
            let head = stage.gateway.request(Method::HEAD, "/a").by(http).send().await.expect(200);
            assert_eq!((head.text(), head.header("content-length")), (String::new(), Some("5")));
        }
        let get = stage.gateway.request(Method::GET, "/a").by(http).send().await.expect(200);
        assert!(is_hit(&get));
        assert_eq!(get.text(), "hello");
        assert_eq!(stage.app.request().method, "GET");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_stored() {
    for broken in
        [minute("hello").claiming(10), minute("hello world").close_after(3), minute("hello").chunked().close_after(2)]
    {
        let stage = stage("{}", broken.then(minute("whole"))).await;
        let first = stage.gateway.request(Method::GET, "/a").try_send().await;
        assert!(
            first.as_ref().map_or(true, |answer| answer.status == 502 && !told(answer).contains("stored")),
            "{first:?}"
        );
        let second = stage.get("/a").await.expect(200);
        assert_eq!((second.text(), is_hit(&second)), ("whole".into(), false));
    }
}

#[tokio::test]
async fn bodies_of_unknown_length_are_stored_whole() {
    for http in Http::BOTH {
        let stage = stage("{}", Script::chunks(["one", "two", "three"]).header("Cache-Control", "max-age=60")).await;
        for hit in [false, true, true] {
            let answer = stage.gateway.request(Method::GET, "/a").by(http).send().await.expect(200);
            assert_eq!((answer.text(), is_hit(&answer)), ("onetwothree".into(), hit));
        }
    }
}

#[tokio::test]
async fn interim_answers_are_passed_on_and_not_stored() {
    let stage =
        stage("{}", minute("x").interim(103, &[("link", "</a.css>; rel=preload")]).delay(Duration::from_secs(1))).await;
    assert_eq!(stage.get("/a").await.expect(200).interim.len(), 1);
    let hit = stage.get("/a").await.expect(200);
    assert!(is_hit(&hit) && hit.interim.is_empty());
}

#[tokio::test]
async fn what_a_client_does_not_want_stored_is_not_stored_but_may_come_from_the_cache() {
    let stage = stage("{}", minute("x")).await;
    let no_store = [("cache-control", "no-store")];
    stage.ask("/a", &no_store).await.expect(200);
    stage.ask("/a", &no_store).await.expect(200);
    assert_eq!(stage.asked(), 2);
    stage.get("/b").await.expect(200);
    assert!(is_hit(&stage.ask("/b", &no_store).await.expect(200)));
}

#[tokio::test]
async fn requests_with_a_body_or_for_the_origin_alone_bypass_the_cache() {
    let stage = stage("{}", minute("x").header("ETag", "\"a\"")).await;
    stage.get("/a").await.expect(200);
    let body = stage.gateway.request(Method::GET, "/a").body("x").send().await.expect(200);
    assert_eq!(told(&body), "tidegate; fwd=bypass; fwd-status=200; detail=body");
    let matched = stage.ask("/a", &[("if-match", "\"a\"")]).await.expect(200);
    assert_eq!(told(&matched), "tidegate; fwd=bypass; fwd-status=200; detail=precondition");
    assert_eq!(
        stage.app.requests().last().and_then(|last| last.header("if-match").map(str::to_owned)),
        Some("\"a\"".into())
    );
    let post = stage.send(Method::POST, "/b", &[]).await.expect(200);
    assert_eq!(told(&post), "tidegate; fwd=method; fwd-status=200; detail=method");
}

#[tokio::test]
async fn errors_are_kept_for_as_long_as_the_route_says() {
    let stage = stage("negative: { \"404\": 10s }", Script::status(404)).await;
    stage.get("/a").await.expect(404);
    stage.pass(9);
    assert!(is_hit(&stage.get("/a").await.expect(404)));
    stage.pass(2);
    assert!(!is_hit(&stage.get("/a").await.expect(404)));
    stage.now(Script::status(500));
    for _ in 0..2 {
        assert!(!is_hit(&stage.get("/b").await.expect(500)));
    }
}

#[tokio::test]
async fn requests_that_a_rule_names_bypass_the_cache() {
    let policy = "bypass: { cookies: [\"wp_*\"], headers: { X-Preview: \"*\", X-Mode: raw }, query: [preview], paths: [\"/admin/**\"] }";
    let stage = stage(policy, minute("x")).await;
    stage.get("/a").await.expect(200);
    for (path, fields, bypassed) in [
        ("/a", &[("cookie", "a=b; wp_user=1")][..], true),
        ("/a", &[("cookie", "a=wp_user")], false),
        ("/a", &[("x-preview", "")], true),
        ("/a", &[("x-mode", "raw")], true),
        ("/a", &[("x-mode", "other")], false),
        ("/a?preview", &[], true),
        ("/a?x&%70review=1", &[], true),
        ("/admin/a/b", &[], true),
    ] {
        let answer = stage.ask(path, fields).await.expect(200);
        assert_eq!(told(&answer).contains("fwd=bypass"), bypassed, "{path} {fields:?}: {}", told(&answer));
    }
}

#[tokio::test]
async fn only_types_and_statuses_on_the_list_are_stored() {
    let stage =
        stage("status: [200]\ncontent_types: [\"image/*\"]", minute("x").header("Content-Type", "image/png")).await;
    stage.get("/a").await.expect(200);
    assert!(is_hit(&stage.get("/a").await));
    stage.now(minute("x").header("Content-Type", "text/html"));
    stage.get("/b").await.expect(200);
    assert!(!is_hit(&stage.get("/b").await));
    stage.now(minute("x").header("Content-Type", "image/png").with_status(404));
    stage.get("/c").await.expect(404);
    assert!(!is_hit(&stage.get("/c").await));
}

#[tokio::test]
async fn assets_have_rules_of_their_own() {
    let policy = "rules:\n  - match: { extensions: [css, js] }\n    override_ttl: 1d\n    cache_control: public, max-age=31536000, immutable\n  \
                  - match: { extensions: [html] }\n    cache_control: no-cache";
    let stage = stage(policy, Script::reply("x").header("Cache-Control", "max-age=5").header("Expires", "0")).await;
    for path in ["/app.css", "/lib/app.JS"] {
        for hit in [false, true] {
            let answer = stage.get(path).await.expect(200);
            assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
            assert_eq!((is_hit(&answer), answer.header("expires")), (hit, None));
        }
    }
    assert_eq!(stage.get("/index.html").await.header("cache-control"), Some("no-cache"));
    assert_eq!(stage.get("/other").await.header("cache-control"), Some("max-age=5"));
    stage.pass(3600);
    assert!(is_hit(&stage.get("/app.css").await));
    // What may not be kept is never said to be.
    stage.now(Script::reply("x").header("Cache-Control", "no-store"));
    assert_eq!(stage.get("/secret.css").await.header("cache-control"), Some("no-store"));
    stage.now(Script::status(404));
    assert_eq!(stage.get("/none.css").await.header("cache-control"), None);
}

/// Row I1.
#[tokio::test]
async fn ten_thousand_requests_for_an_asset_are_one_for_its_upstream() {
    let stage = stage("{}", minute("body { }")).await;
    stage.get("/app.css").await.expect(200);
    let load = tidegate_testkit::load(stage.gateway.addr(), "/app.css", 8);
    load.next(9_999).await;
    load.finish().await;
    assert_eq!(stage.asked(), 1);
}

/// A plugin may leave open how long an answer is, and HTTP/1.0 knows no chunks.
#[tokio::test]
async fn a_stored_answer_of_unknown_length_ends_with_the_connection_for_an_old_client() {
    let stage = stage("{}", minute("stored")).await;
    stage.get("/a").await.expect(200);
    for keep in ["", "Connection: keep-alive\r\n"] {
        let host = stage.gateway.addr();
        let answer =
            stage.gateway.raw(format!("GET /a HTTP/1.0\r\nHost: {host}\r\n{keep}X-Unknown-Length: 1\r\n\r\n")).await;
        let text = answer.text();
        assert!(text.contains("; hit"), "{text}");
        assert!(answer.closed && text.ends_with("\r\n\r\nstored"), "{text}");
        assert!(!text.to_ascii_lowercase().contains("transfer-encoding"), "{text}");
    }
    let modern = stage.ask("/a", &[("x-unknown-length", "1")]).await.expect(200);
    assert_eq!(modern.text(), "stored");
}
