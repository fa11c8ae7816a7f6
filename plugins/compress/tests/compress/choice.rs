//! Which coding a client gets.

use tidegate_core::Method;
use tidegate_testkit::Http;

use crate::kit::{answering, before, decoded, get, json, text};

#[tokio::test]
async fn the_client_s_weights_decide_and_the_route_s_order_breaks_ties() {
    let app = answering(json()).await;
    let (ours, theirs) = (before(&app, "{}").await, before(&app, "{ algorithms: [gzip, br] }").await);
    for http in Http::BOTH {
        for (accept, first, second) in [
            ("gzip, deflate, br, zstd", Some("zstd"), Some("gzip")),
            ("gzip, br;q=0.9", Some("gzip"), Some("gzip")),
            ("gzip;q=0.8, br;q=0.9", Some("br"), Some("br")),
            ("*", Some("zstd"), Some("gzip")),
            ("*;q=0.1, gzip;q=0", Some("zstd"), Some("br")),
            ("zstd", Some("zstd"), None),
            ("gzip;q=0, br;q=0", None, None),
            ("identity", None, None),
            ("identity, gzip;q=0.9", None, None),
            ("", None, None),
            ("gzip;q=high", None, None),
            ("snappy", None, None),
        ] {
            for (gateway, expected) in [(&ours, first), (&theirs, second)] {
                let answer = get(gateway, http, accept).await.expect(200);
                assert_eq!(answer.header("content-encoding"), expected, "{accept} {http:?}");
                assert_eq!(answer.headers.all("vary").collect::<Vec<_>>(), ["Accept-Encoding"], "{accept} {http:?}");
                assert_eq!(decoded(&answer), text(10_000), "{accept} {http:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_says_nothing_gets_the_content_as_it_is() {
    let app = answering(json().header("ETag", "\"v1\"")).await;
    let gateway = before(&app, "{}").await;
    let answer = gateway.request(Method::GET, "/").send().await.expect(200);
    assert_eq!((answer.header("content-encoding"), answer.header("content-length")), (None, Some("10000")));
    assert_eq!((answer.header("vary"), answer.header("etag")), (Some("Accept-Encoding"), Some("\"v1\"")));
}

#[tokio::test]
async fn a_client_that_refuses_the_content_as_it_is_gets_small_answers_compressed_too() {
    let app = answering(tidegate_testkit::Script::reply("short").header("Content-Type", "text/plain")).await;
    let gateway = before(&app, "{}").await;
    assert_eq!(get(&gateway, Http::One, "gzip").await.header("content-encoding"), None);
    for accept in ["gzip, identity;q=0", "gzip, *;q=0"] {
        let answer = get(&gateway, Http::One, accept).await.expect(200);
        assert_eq!((answer.header("content-encoding"), decoded(&answer)), (Some("gzip"), "short".into()), "{accept}");
    }
    let answer = get(&gateway, Http::One, "*;q=0").await.expect(200);
    assert_eq!((answer.header("content-encoding"), answer.text().as_str()), (None, "short"));
}
