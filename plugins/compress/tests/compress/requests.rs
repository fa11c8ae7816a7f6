//! Requests whose bodies are decoded for the upstream.

use tidegate_core::{Bytes, Method};
use tidegate_testkit::{Http, Script};

use crate::kit::{answering, answering_h2, before, before_h2, builder, into_coding, route_to_pool, text};

const DECODE: &str = "{ request: { max_size: 1MiB } }";

#[tokio::test]
async fn the_upstream_gets_the_body_in_no_coding() {
    let app = answering(Script::reply("ok")).await;
    let gateway = before(&app, DECODE).await;
    let body = text(100_000);
    for http in Http::BOTH {
        for coding in ["zstd", "br", "gzip", "X-GZIP", "identity, gzip"] {
            let coded = into_coding(coding.rsplit(' ').next().expect("a coding"), &body);
            for chunked in [false, true] {
                app.forget();
                let request = gateway.post("/").by(http).header("Content-Encoding", coding);
                let request =
                    request.header("Content-Digest", "sha-256=:eA==:").header("Content-Type", "application/json");
                let request = match chunked {
                    false => request.body(coded.clone()),
                    true => request.chunks(coded.chunks(100).map(Bytes::copy_from_slice)),
                };
                request.send().await.expect(200);
                let seen = app.wait_for(1).await.remove(0);
                assert_eq!(seen.body, body, "{http:?} {coding} {chunked}");
                for gone in ["content-encoding", "content-digest", "content-length"] {
                    assert!(!seen.headers.has(gone), "{gone} {seen:?}");
                }
                assert_eq!(seen.header("content-type"), Some("application/json"));
            }
        }
    }
}

#[tokio::test]
async fn an_upstream_of_http_2_gets_it_too() {
    let app = answering_h2(Script::reply("ok")).await;
    let gateway = before_h2(&app, DECODE).await;
    for http in Http::BOTH {
        app.forget();
        let request = gateway.post("/").by(http).header("Content-Encoding", "br");
        request.body(into_coding("br", &text(50_000))).send().await.expect(200);
        assert_eq!(app.wait_for(1).await.remove(0).body, text(50_000), "{http:?}");
    }
}

#[tokio::test]
async fn codings_that_are_not_taken_are_415_with_those_that_are() {
    let app = answering(Script::reply("ok")).await;
    let gateway = before(&app, "{ request: { decode: [gzip, br] } }").await;
    for coding in ["deflate", "zstd", "compress", "gzip, br", "gzip, gzip", "g zip"] {
        let answer = gateway.post("/").header("Content-Encoding", coding).body("something").send().await.expect(415);
        assert_eq!(answer.header("accept-encoding"), Some("gzip, br"), "{coding}");
        assert_eq!(answer.json()["code"], "content_encoding_unsupported");
    }
    assert!(app.requests().is_empty());
}

#[tokio::test]
async fn broken_bodies_are_400_and_the_upstream_never_has_them_whole() {
    let app = answering(Script::reply("ok")).await;
    let gateway = before(&app, DECODE).await;
    for coding in ["zstd", "br", "gzip"] {
        let coded = into_coding(coding, &text(20_000));
        let (cut, longer) = (coded.slice(..coded.len() - 3), [&coded[..], b"and more"].concat());
        for body in [Bytes::from_static(b"not coded at all"), cut, longer.into()] {
            for http in Http::BOTH {
                let request = gateway.post("/").by(http).header("Content-Encoding", coding).body(body.clone());
                let answer = request.send().await.expect(400);
                assert_eq!(answer.json()["code"], "body_not_decodable", "{coding} {http:?}");
            }
        }
    }
    assert!(app.requests().iter().all(|request| !request.complete));
}

#[tokio::test]
async fn a_bomb_is_413_by_its_size_and_by_its_ratio() {
    let app = answering(Script::reply("ok")).await;
    let by_size = before(&app, "{ request: { max_size: 1MiB, max_ratio: 1000000 } }").await;
    let by_ratio = before(&app, "{ request: { max_size: 1GiB, max_ratio: 20 } }").await;
    for coding in ["zstd", "br", "gzip"] {
        let bomb = into_coding(coding, &vec![0; 20 << 20]);
        for gateway in [&by_size, &by_ratio] {
            for http in Http::BOTH {
                let request = gateway.post("/").by(http).header("Content-Encoding", coding).body(bomb.clone());
                let answer = request.send().await.expect(413);
                assert_eq!(answer.json()["code"], "decoded_body_too_large", "{coding} {http:?}");
            }
        }
    }
    assert!(app.requests().iter().all(|request| !request.complete && request.body.len() <= 1 << 20));
}

#[tokio::test]
async fn requests_without_a_body_or_a_coding_pass() {
    let app = answering(Script::reply("ok")).await;
    let gateway = before(&app, DECODE).await;
    for http in Http::BOTH {
        app.forget();
        gateway.request(Method::GET, "/").by(http).header("Content-Encoding", "gzip").send().await.expect(200);
        gateway.post("/").by(http).header("Content-Encoding", "gzip").body("").send().await.expect(200);
        gateway.post("/").by(http).header("Content-Encoding", "gzip").chunks([""; 0]).send().await.expect(200);
        gateway.post("/").by(http).header("Content-Encoding", "identity").body("plain").send().await.expect(200);
        gateway.post("/").by(http).body("plain").send().await.expect(200);
        let bodies: Vec<_> = app.wait_for(5).await.iter().map(|request| request.body.clone()).collect();
        assert_eq!(bodies, ["", "", "", "plain", "plain"], "{http:?}");
        assert!(app.requests().iter().take(3).all(|request| !request.headers.has("content-encoding")));
    }
}

#[tokio::test]
async fn a_route_that_does_not_decode_passes_bodies_on_as_they_are() {
    let app = answering(Script::reply("ok")).await;
    let gateway = before(&app, "{}").await;
    let coded = into_coding("gzip", &text(5_000));
    gateway.post("/").header("Content-Encoding", "gzip").body(coded.clone()).send().await.expect(200);
    let seen = app.request();
    assert_eq!((seen.header("content-encoding"), &seen.body), (Some("gzip"), &coded));
}

#[tokio::test]
async fn a_try_after_the_first_gets_the_same_body() {
    let app = answering(Script::close().then(Script::reply("ok"))).await;
    let pool = format!("targets: [\"{}\"], retry: {{ attempts: 1, on: [reset] }}", app.target());
    let gateway = builder().start(&route_to_pool(&pool, DECODE)).await;
    let request = gateway.request(Method::PUT, "/").header("Content-Encoding", "gzip");
    request.body(into_coding("gzip", &text(20_000))).send().await.expect(200);
    let seen = app.wait_for(2).await;
    assert!(seen.iter().all(|request| request.body == text(20_000)), "{seen:?}");
}
