//! Bodies of every framing, on both versions of HTTP, to upstreams of both.

use tidegate_core::{Bytes, Method};
use tidegate_testkit::{Http, Script, call, pattern};

use crate::kit::{answering, answering_h2, before, before_h2, decoded, decoder, get, json, out_of, text};

const CODINGS: [&str; 3] = ["zstd", "br", "gzip"];

#[tokio::test]
async fn bodies_of_every_framing_come_back_whole() {
    let body = [text(30_000), pattern(70_000)].concat();
    let chunks: Vec<Bytes> = body.chunks(777).map(Bytes::copy_from_slice).collect();
    let html = |script: Script| script.header("Content-Type", "text/html");
    for (what, script) in [
        ("by length", html(Script::reply(body.clone()))),
        ("chunked", html(Script::chunks(chunks.clone()))),
        ("until the end", html(Script::reply(body.clone()).until_close())),
    ] {
        let app = answering(script).await;
        for policy in ["{}", "{ flush: never }", "{ flush: always }"] {
            let gateway = before(&app, policy).await;
            for http in Http::BOTH {
                for coding in CODINGS {
                    let answer = get(&gateway, http, coding).await.expect(200);
                    assert_eq!(answer.header("content-encoding"), Some(coding));
                    assert!(decoded(&answer) == body, "{what} {policy} {http:?} {coding}");
                }
            }
        }
    }
}

#[tokio::test]
async fn pieces_that_the_encoder_holds_back_do_not_end_the_body() {
    // One byte at a time, none of which comes out before the end.
    let body = text(3_000);
    let chunks: Vec<Bytes> = body.chunks(1).map(Bytes::copy_from_slice).collect();
    let app = answering(Script::chunks(chunks).header("Content-Type", "text/plain")).await;
    let gateway = before(&app, "{ flush: never }").await;
    let (mut client, mut h2) = (gateway.connect().await, gateway.connect_h2().await);
    for coding in CODINGS {
        let ask = || call(Method::GET, "/").header("Accept-Encoding", coding);
        for answer in [client.send(ask()).await, client.send(ask()).await, h2.send(ask()).await] {
            assert_eq!(decoded(&answer.expect(200)), body, "{coding}");
        }
    }
}

#[tokio::test]
async fn upstreams_that_speak_http_2_are_compressed_alike() {
    let chunks: Vec<Bytes> = text(50_000).chunks(5_000).map(Bytes::copy_from_slice).collect();
    let app = answering_h2(Script::chunks(chunks).header("Content-Type", "text/html")).await;
    let gateway = before_h2(&app, "{}").await;
    for http in Http::BOTH {
        for coding in CODINGS {
            let answer = get(&gateway, http, coding).await.expect(200);
            assert_eq!(answer.header("content-encoding"), Some(coding));
            assert_eq!(decoded(&answer), text(50_000), "{coding} {http:?}");
        }
    }
}

#[tokio::test]
async fn trailers_that_are_announced_leave_the_answer_alone() {
    let script = Script::chunks([text(5_000)]).header("Content-Type", "text/html").header("Trailer", "X-Sum");
    let app = answering_h2(script.trailer("X-Sum", "1")).await;
    let gateway = before_h2(&app, "{}").await;
    let answer = get(&gateway, Http::Two, "gzip").await.expect(200);
    assert_eq!((answer.header("content-encoding"), answer.trailers.get("x-sum")), (None, Some("1")));
    assert_eq!(answer.body, text(5_000));
}

#[tokio::test]
async fn trailers_that_nobody_announced_cut_a_compressed_body_that_can_not_be_ended() {
    let script = Script::chunks([text(5_000)]).header("Content-Type", "text/html");
    let app = answering_h2(script.trailer("X-Sum", "1")).await;
    let gateway = before_h2(&app, "{}").await;
    for http in Http::BOTH {
        let request = gateway.request(Method::GET, "/").by(http).header("Accept-Encoding", "gzip");
        let answer = request.try_send().await;
        assert!(answer.as_ref().map_or(true, |answer| answer.status >= 500), "{http:?}: {answer:?}");
        let plain = get(&gateway, http, "identity").await.expect(200);
        assert_eq!(plain.body, text(5_000));
    }
}

#[tokio::test]
async fn clients_of_http_1_0_get_the_body_without_chunks() {
    for script in [json(), Script::chunks([text(4_000), text(6_000)]).header("Content-Type", "text/html")] {
        let app = answering(script).await;
        let gateway = before(&app, "{}").await;
        let answer = gateway.raw("GET / HTTP/1.0\r\nHost: a.test\r\nAccept-Encoding: gzip\r\n\r\n").await;
        assert!(answer.closed, "only the end of the connection ends the body");
        let at = answer.bytes.windows(4).position(|part| part == b"\r\n\r\n").expect("a head") + 4;
        let (head, body) = answer.bytes.split_at(at);
        let head = String::from_utf8_lossy(head).to_lowercase();
        assert!(head.contains("content-encoding: gzip") && !head.contains("transfer-encoding"), "{head}");
        assert_eq!(out_of("gzip", body).len(), 10_000);
    }
}

#[tokio::test]
async fn a_body_that_the_upstream_cuts_off_is_cut_off() {
    for script in [
        Script::chunks([text(5_000), text(5_000)]).close_after(6_000),
        json().claiming(20_000),
        Script::chunks([text(5_000), text(5_000)]).reset_after(6_000),
    ] {
        let app = answering(script.header("Content-Type", "text/html")).await;
        let gateway = before(&app, "{}").await;
        for http in Http::BOTH {
            for coding in CODINGS {
                let request = gateway.request(Method::GET, "/").by(http).header("Accept-Encoding", coding);
                let answer = request.try_send().await;
                // One that failed before its head went out may be told so.
                assert!(answer.as_ref().map_or(true, |answer| answer.status >= 500), "{http:?} {coding}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn long_bodies_are_streamed_and_not_kept() {
    let app = answering(Script::generated(64 << 20).header("Content-Type", "text/plain")).await;
    let gateway = before(&app, "{ levels: { zstd: 1 } }").await;
    let mut client = gateway.connect().await;
    client.begin(&call(Method::GET, "/").header("Accept-Encoding", "zstd")).await;
    assert_eq!(client.head().await.header("content-encoding"), Some("zstd"));
    let (mut decoder, mut total) = (decoder("zstd"), 0);
    while let Some(piece) = client.piece().await {
        total += decoder.piece(&piece).expect("readable").len();
    }
    decoder.end().expect("whole");
    assert_eq!(total, 64 << 20);
}
