//! Revalidation: the tag that a client has is the tag that it is told.

use tidegate_core::Method;
use tidegate_testkit::{Answer, Script, TestGateway};

use crate::kit::{answering, before, json};

async fn ask(gateway: &TestGateway, accept: &str, field: &str, value: &str) -> Answer {
    gateway.request(Method::GET, "/").header("Accept-Encoding", accept).header(field, value).send().await
}

#[tokio::test]
async fn a_304_has_the_tag_in_the_form_that_the_answer_had() {
    let fresh = Script::status(304).header("ETag", "\"v1\"");
    let app = answering(json().header("ETag", "\"v1\"").then(fresh)).await;
    let gateway = before(&app, "{}").await;
    let first = ask(&gateway, "br", "X-None", "none").await.expect(200);
    let tag = first.header("etag").expect("a tag").to_owned();
    assert_eq!(tag, "W/\"v1\"");

    let weak = ask(&gateway, "br", "If-None-Match", &tag).await.expect(304);
    assert_eq!((weak.header("etag"), weak.header("vary")), (Some("W/\"v1\""), Some("Accept-Encoding")));
    assert_eq!((weak.header("content-encoding"), weak.body.len()), (None, 0));

    // Who has the strong form has the content as it was: it may stay strong, and good for ranges.
    let strong = ask(&gateway, "br", "If-None-Match", "\"v0\", \"v1\"").await.expect(304);
    assert_eq!((strong.header("etag"), strong.header("vary")), (Some("\"v1\""), Some("Accept-Encoding")));
    let plain = ask(&gateway, "identity", "If-None-Match", "W/\"v1\"").await.expect(304);
    assert_eq!(plain.header("etag"), Some("\"v1\""));
    // By date: nobody knows which form they have, and the weak one is never wrong.
    let by_date = ask(&gateway, "br", "If-Modified-Since", "Sat, 21 Nov 2026 12:00:00 GMT").await.expect(304);
    assert_eq!(by_date.header("etag"), Some("W/\"v1\""));
}

/// Whoever gets it, a cache or a client, takes its fields for those of what they have (RFC 9111 section 3.2).
#[tokio::test]
async fn a_304_about_what_may_be_coded_says_nothing_of_the_bytes_as_they_were() {
    const OF_THE_BYTES: [&str; 5] = ["repr-digest", "content-digest", "digest", "content-md5", "accept-ranges"];
    let fresh = |script| OF_THE_BYTES.iter().fold(script, |script: Script, name| script.header(*name, "x"));
    let said = |answer: &Answer| OF_THE_BYTES.iter().filter(|name| answer.header(name).is_some()).count();
    for tagged in [true, false] {
        let script = fresh(Script::status(304));
        let app = answering(if tagged { script.header("ETag", "\"v1\"") } else { script }).await;
        let gateway = before(&app, "{}").await;
        let date = ("If-Modified-Since", "Sat, 21 Nov 2026 12:00:00 GMT");
        for (field, value) in [("If-None-Match", "W/\"v1\""), date] {
            assert_eq!(said(&ask(&gateway, "br", field, value).await.expect(304)), 0, "{field} {tagged}");
            assert_eq!(said(&ask(&gateway, "identity", field, value).await.expect(304)), 5, "{field} {tagged}");
        }
        if tagged {
            let strong = ask(&gateway, "br", "If-None-Match", "\"v1\"").await.expect(304);
            assert_eq!(said(&strong), 5, "it has the bytes as they were");
        }
    }
}

#[tokio::test]
async fn a_304_that_says_it_is_about_a_picture_is_left_alone() {
    let fresh = Script::status(304).header("ETag", "\"v1\"").header("Content-Type", "image/png");
    let app = answering(fresh).await;
    let gateway = before(&app, "{}").await;
    let answer = ask(&gateway, "br", "If-None-Match", "W/\"v1\"").await.expect(304);
    assert_eq!((answer.header("etag"), answer.header("vary")), (Some("\"v1\""), None));
}

#[tokio::test]
async fn the_upstream_is_asked_with_what_the_client_has() {
    let app = answering(Script::status(304)).await;
    let gateway = before(&app, "{}").await;
    ask(&gateway, "br", "If-None-Match", "W/\"v1\"").await.expect(304);
    assert_eq!(app.request().header("if-none-match"), Some("W/\"v1\""));
}
