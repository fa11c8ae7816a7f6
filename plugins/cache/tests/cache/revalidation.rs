//! Asking the upstream whether a stored answer is still good, and answering clients that ask the same (RFC 9111
//! section 4.3).

use http::Method;
use tidegate_testkit::{Http, Script};

use crate::{is_hit, minute, stage, told};

#[tokio::test]
async fn a_stale_answer_is_confirmed_and_fresh_again() {
    let stage = stage(
        "{}",
        minute("x").header("ETag", "\"a\"").header("Last-Modified", "Wed, 31 Dec 2025 00:00:00 GMT").header("X-A", "1"),
    )
    .await;
    stage.get("/a").await.expect(200);
    stage.pass(61);
    stage.now(
        Script::status(304)
            .header("ETag", "\"a\"")
            .header("Cache-Control", "max-age=100")
            .header("X-A", "2")
            .header("Content-Length", "77"),
    );
    let confirmed = stage.get("/a").await.expect(200);
    assert_eq!(
        (confirmed.text().as_str(), confirmed.header("x-a"), confirmed.header("content-length")),
        ("x", Some("2"), Some("1"))
    );
    assert_eq!(
        (told(&confirmed), confirmed.header("age")),
        ("tidegate; fwd=stale; fwd-status=304; stored; ttl=100".into(), None)
    );
    let asked = stage.app.requests().pop().expect("a question");
    assert_eq!(
        (asked.header("if-none-match"), asked.header("if-modified-since")),
        (Some("\"a\""), Some("Wed, 31 Dec 2025 00:00:00 GMT"))
    );
    stage.pass(99);
    let hit = stage.get("/a").await.expect(200);
    assert_eq!(
        (told(&hit), hit.header("age"), hit.header("x-a")),
        ("tidegate; hit; ttl=1".into(), Some("99"), Some("2"))
    );
}

#[tokio::test]
async fn a_new_answer_takes_the_place_of_a_stale_one() {
    let stage = stage("{}", minute("old").header("ETag", "\"a\"").then(minute("new"))).await;
    stage.get("/a").await.expect(200);
    stage.pass(61);
    let new = stage.get("/a").await.expect(200);
    assert_eq!(
        (new.text().as_str(), told(&new)),
        ("new", "tidegate; fwd=stale; fwd-status=200; stored; ttl=60".into())
    );
    let hit = stage.get("/a").await.expect(200);
    assert_eq!((hit.text().as_str(), is_hit(&hit)), ("new", true));
}

#[tokio::test]
async fn what_says_no_cache_is_confirmed_each_time() {
    let stage = stage("{}", Script::reply("x").header("Cache-Control", "no-cache").header("ETag", "\"a\"")).await;
    stage.get("/a").await.expect(200);
    stage.now(Script::status(304).header("Cache-Control", "no-cache"));
    for _ in 0..3 {
        let answer = stage.get("/a").await.expect(200);
        assert_eq!((answer.text().as_str(), is_hit(&answer)), ("x", false));
    }
    assert_eq!(stage.asked(), 4);
}

#[tokio::test]
async fn a_304_about_another_answer_changes_nothing_and_is_not_believed_twice() {
    let stage = stage("{}", minute("x").header("ETag", "\"a\"")).await;
    stage.get("/a").await.expect(200);
    stage.pass(61);
    stage.now(Script::status(304).header("ETag", "\"b\""));
    let answer = stage.get("/a").await.expect(200);
    assert_eq!((answer.text().as_str(), answer.header("etag")), ("x", Some("\"a\"")));
    stage.now(minute("new").header("ETag", "\"b\""));
    assert_eq!(stage.get("/a").await.text(), "new");
    assert!(stage.app.requests().pop().is_some_and(|asked| asked.header("if-none-match").is_none()));
}

#[tokio::test]
async fn clients_that_have_it_already_get_304() {
    for http in Http::BOTH {
        let since = "Wed, 31 Dec 2025 00:00:00 GMT";
        let stage = stage("{}", minute("x").header("ETag", "\"a\"").header("Last-Modified", since)).await;
        let ask = async |method: Method, name: &str, value: &str| {
            stage.gateway.request(method, "/a").by(http).header(name, value).send().await
        };
        // Also the first one: the cache fetches all of it.
        let first = ask(Method::GET, "if-none-match", "W/\"a\"").await.expect(304);
        assert_eq!((first.text(), first.header("etag")), (String::new(), Some("\"a\"")));
        assert!(stage.app.request().header("if-none-match").is_none());
        for (name, value, status) in [
            ("if-none-match", "\"a\"", 304),
            ("if-none-match", "\"x\", \"a\"", 304),
            ("if-none-match", "*", 304),
            ("if-none-match", "\"b\"", 200),
            ("if-modified-since", since, 304),
            ("if-modified-since", "Thu, 01 Jan 2026 00:00:00 GMT", 304),
            ("if-modified-since", "Tue, 30 Dec 2025 00:00:00 GMT", 200),
            ("if-modified-since", "soon", 200),
        ] {
            for method in [Method::GET, Method::HEAD] {
                let answer = ask(method.clone(), name, value).await;
                assert_eq!((answer.status, is_hit(&answer)), (status, true), "{method} {name}: {value}");
                assert_eq!(answer.body.len(), usize::from(status == 200 && method == Method::GET));
                assert!(answer.header("age").is_some());
            }
        }
        assert_eq!(stage.asked(), 1);
    }
}

#[tokio::test]
async fn a_condition_on_what_is_not_stored_is_answered_without_a_body() {
    for http in Http::BOTH {
        let stage =
            stage("{}", Script::reply("secret").header("Cache-Control", "no-store").header("ETag", "\"a\"")).await;
        for _ in 0..3 {
            let request = stage.gateway.request(Method::GET, "/a").by(http).header("if-none-match", "\"a\"");
            let answer = request.send().await;
            assert!(
                answer.status == 200 && answer.text() == "secret" || answer.status == 304 && answer.body.is_empty(),
                "{answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_client_that_wants_it_confirmed_gets_it_confirmed() {
    let stage = stage("{}", minute("x").header("ETag", "\"a\"")).await;
    stage.get("/a").await.expect(200);
    stage.now(Script::status(304).header("ETag", "\"a\"").header("Age", "7"));
    let answer = stage.ask("/a", &[("cache-control", "no-cache")]).await.expect(200);
    assert_eq!((answer.text().as_str(), answer.header("age")), ("x", Some("7")));
    assert_eq!(told(&answer), "tidegate; fwd=request; fwd-status=304; stored; ttl=53");
}
