//! Parts of stored answers (RFC 9110 section 14; row I9).

use http::Method;
use tidegate_testkit::{Http, Script};

use crate::{Stage, is_hit, minute, stage};

const CHANGED: &str = "Wed, 31 Dec 2025 00:00:00 GMT";

async fn digits() -> Stage {
    let script = minute("0123456789").header("ETag", "\"a\"").header("Last-Modified", CHANGED);
    stage("{}", script.header("Content-Type", "text/plain")).await
}

#[tokio::test]
async fn parts_come_from_the_whole_which_is_fetched_once() {
    for http in Http::BOTH {
        let stage = digits().await;
        for (range, status, body, content_range) in [
            ("bytes=0-3", 206, "0123", Some("bytes 0-3/10")),
            ("bytes=5-", 206, "56789", Some("bytes 5-9/10")),
            ("bytes=-2", 206, "89", Some("bytes 8-9/10")),
            ("bytes=8-99", 206, "89", Some("bytes 8-9/10")),
            ("bytes=0-0", 206, "0", Some("bytes 0-0/10")),
            ("bytes=10-", 416, "", Some("bytes */10")),
            ("bytes=x", 200, "0123456789", None),
            ("pages=1-2", 200, "0123456789", None),
        ] {
            let answer = stage.gateway.request(Method::GET, "/a").by(http).header("range", range).send().await;
            assert_eq!((answer.status, answer.text().as_str()), (status, body), "{range}");
            assert_eq!(answer.header("content-range"), content_range, "{range}");
        }
        assert_eq!(stage.asked(), 1);
        assert!(stage.app.request().header("range").is_none());
    }
}

#[tokio::test]
async fn several_parts_come_in_one_answer() {
    for http in Http::BOTH {
        let stage = digits().await;
        for _ in 0..2 {
            let answer = stage
                .gateway
                .request(Method::GET, "/a")
                .by(http)
                .header("range", "bytes=0-1,4-5")
                .send()
                .await
                .expect(206);
            assert!(
                answer.header("content-type").is_some_and(|kind| kind.starts_with("multipart/byteranges; boundary="))
            );
            let text = answer.text();
            for part in [
                "Content-Range: bytes 0-1/10\r\n\r\n01\r\n",
                "Content-Range: bytes 4-5/10\r\n\r\n45\r\n",
                "Content-Type: text/plain",
            ] {
                assert!(text.contains(part), "{text}");
            }
            assert_eq!(answer.header("content-length"), Some(text.len().to_string().as_str()));
        }
        assert_eq!(stage.asked(), 1);
    }
}

#[tokio::test]
async fn head_and_other_answers_have_no_parts() {
    let stage = digits().await;
    stage.get("/a").await.expect(200);
    let head = stage.send(Method::HEAD, "/a", &[("range", "bytes=0-1")]).await.expect(200);
    assert_eq!(head.header("content-length"), Some("10"));
}

#[tokio::test]
async fn a_part_is_sent_only_of_the_answer_that_the_client_knows() {
    let stage = digits().await;
    stage.get("/a").await.expect(200);
    for (condition, status) in [
        ("\"a\"", 206),
        ("W/\"a\"", 200),
        ("\"b\"", 200),
        (CHANGED, 206),
        ("Thu, 01 Jan 2026 00:00:00 GMT", 200),
        ("a", 200),
    ] {
        let answer = stage.ask("/a", &[("range", "bytes=0-1"), ("if-range", condition)]).await;
        assert_eq!((answer.status, is_hit(&answer)), (status, true), "{condition}");
    }
    // Preconditions come first (RFC 9110 section 13.2.2).
    stage.ask("/a", &[("range", "bytes=0-1"), ("if-none-match", "\"a\"")]).await.expect(304);
}

#[tokio::test]
async fn a_part_that_the_upstream_sends_by_itself_is_not_stored() {
    let part = Script::reply("01")
        .with_status(206)
        .header("Content-Range", "bytes 0-1/10")
        .header("Cache-Control", "max-age=60");
    let stage = stage("{}", part).await;
    for _ in 0..2 {
        assert!(!is_hit(&stage.get("/a").await.expect(206)));
    }
}

#[tokio::test]
async fn a_part_of_what_is_not_stored_is_that_part_or_the_whole() {
    for http in Http::BOTH {
        let stage = stage("{}", Script::reply("0123456789").header("Cache-Control", "no-store")).await;
        for _ in 0..3 {
            let request = stage.gateway.request(Method::GET, "/a").by(http).header("range", "bytes=2-3");
            let answer = request.send().await;
            assert!(matches!((answer.status, &*answer.text()), (206, "23") | (200, "0123456789")), "{answer:?}");
        }
    }
}

/// The upstream doesn't say how long it is; once all of it has come, the cache does (RFC 9110 section 8.6).
#[tokio::test]
async fn an_answer_that_came_without_its_length_has_parts_once_it_is_stored() {
    for http in Http::BOTH {
        let stage = stage("{}", minute("0123456789").chunked().header("ETag", "\"a\"")).await;
        let ask = |method: Method, range: &str| stage.gateway.request(method, "/a").by(http).header("range", range);
        let first = stage.gateway.request(Method::GET, "/a").by(http).send().await.expect(200);
        assert_eq!((first.text().as_str(), first.header("content-length")), ("0123456789", None));
        let part = ask(Method::GET, "bytes=2-3").send().await.expect(206);
        assert_eq!((part.text().as_str(), part.header("content-range")), ("23", Some("bytes 2-3/10")));
        ask(Method::GET, "bytes=10-").send().await.expect(416);
        let head = ask(Method::HEAD, "bytes=2-3").send().await.expect(200);
        assert_eq!(head.header("content-length"), Some("10"));
        // Also when it has been confirmed.
        stage.pass(61);
        stage.now(Script::status(304).header("ETag", "\"a\"").header("Cache-Control", "max-age=60"));
        let part = ask(Method::GET, "bytes=2-3").send().await.expect(206);
        assert_eq!((part.text().as_str(), stage.asked()), ("23", 2));
        assert_eq!(ask(Method::GET, "bytes=-1").send().await.expect(206).text(), "9");
        assert_eq!(stage.asked(), 2);
    }
}

#[tokio::test]
async fn what_has_no_body_gets_no_length() {
    let stage = stage("{}", Script::status(204).header("Cache-Control", "max-age=60")).await;
    for _ in 0..3 {
        assert_eq!(stage.get("/a").await.expect(204).header("content-length"), None);
    }
    assert_eq!(stage.asked(), 1);
}

/// HTTP/1.0 knows no chunks: with a length the connection may stay.
#[tokio::test]
async fn clients_of_http_1_0_get_the_length_of_what_came_without_one() {
    let stage = stage("{}", minute("0123456789").chunked()).await;
    let answer = |more: &'static str| stage.gateway.raw(format!("GET /a HTTP/1.0\r\nHost: a.test\r\n{more}\r\n"));
    answer("").await;
    for (more, length, end) in [("", "10", "0123456789"), ("Range: bytes=1-2\r\n", "2", "12")] {
        let text = answer(more).await.text().to_lowercase();
        assert!(text.contains(&format!("content-length: {length}\r\n")), "{text}");
        assert!(text.ends_with(&format!("\r\n\r\n{end}")), "{text}");
    }
}
