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
