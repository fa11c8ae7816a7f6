//! Which answers are compressed, and what their heads say then.

use tidegate_core::Method;
use tidegate_testkit::{Http, Script, call};

use crate::kit::{answering, before, decoded, get, into_coding, json, text};

#[tokio::test]
async fn what_was_said_of_the_bytes_goes_and_the_tag_is_weakened() {
    let script = json().header("ETag", "\"v1\"").header("Accept-Ranges", "bytes").header("Content-MD5", "eA==");
    let script = script.header("Digest", "sha-256=eA==").header("Content-Digest", "sha-256=:eA==:");
    let script =
        script.header("Repr-Digest", "sha-256=:eA==:").header("Last-Modified", "Sat, 21 Nov 2026 12:00:00 GMT");
    let app = answering(script.header("Vary", "Origin")).await;
    let gateway = before(&app, "{}").await;
    for http in Http::BOTH {
        let answer = get(&gateway, http, "br").await.expect(200);
        assert_eq!((answer.header("content-encoding"), answer.header("etag")), (Some("br"), Some("W/\"v1\"")));
        assert_eq!(answer.headers.all("vary").collect::<Vec<_>>(), ["Origin", "Accept-Encoding"]);
        for gone in ["content-length", "accept-ranges", "content-md5", "digest", "content-digest", "repr-digest"] {
            assert!(!answer.headers.has(gone), "{gone} {http:?}");
        }
        assert!(answer.headers.has("last-modified"));
        assert_eq!(decoded(&answer), text(10_000));
    }
}

#[tokio::test]
async fn what_is_coded_or_a_part_or_not_to_be_touched_stays_byte_for_byte() {
    let coded = into_coding("gzip", &text(10_000));
    let coded = Script::reply(coded).header("Content-Type", "text/html").header("Content-Encoding", "gzip");
    let long = || Script::reply(text(10_000)).header("ETag", "\"v1\"");
    let html = || long().header("Content-Type", "text/html");
    for (what, script) in [
        ("coded", coded.header("ETag", "\"v1\"")),
        ("coded by a name nobody knows", html().header("Content-Encoding", "rot13")),
        ("no-transform", html().header("Cache-Control", "public, no-transform")),
        ("a part", html().with_status(206).header("Content-Range", "bytes 0-9999/20000")),
        ("a part by its field", html().header("Content-Range", "bytes 0-9999/10000")),
        ("not found", html().with_status(404)),
        ("broken", html().with_status(500)),
        ("a picture", long().header("Content-Type", "image/png")),
        ("no type", long()),
        ("gRPC", long().header("Content-Type", "application/grpc")),
        ("small", Script::reply(text(1_023)).header("Content-Type", "text/html").header("ETag", "\"v1\"")),
    ] {
        let app = answering(script).await;
        // All types but gRPC's, and what has none.
        let policy = if ["gRPC", "no type"].contains(&what) { "{ types: [\"*/*\"] }" } else { "{}" };
        let gateway = before(&app, policy).await;
        let direct = tidegate_testkit::Client::connect(app.addr()).await.get("/").await;
        let answer = get(&gateway, Http::One, "zstd, br").await;
        assert_eq!((answer.status, &answer.body), (direct.status, &direct.body), "{what}");
        for name in ["content-encoding", "etag", "content-length", "vary"] {
            assert_eq!(answer.header(name), direct.header(name), "{what}: {name}");
        }
    }
}

#[tokio::test]
async fn a_client_can_ask_that_nothing_be_transformed() {
    let app = answering(json()).await;
    let gateway = before(&app, "{}").await;
    let request = gateway.request(Method::GET, "/").header("Accept-Encoding", "gzip");
    let answer = request.header("Cache-Control", "no-cache, no-transform").send().await.expect(200);
    assert_eq!((answer.header("content-encoding"), answer.header("vary")), (None, Some("Accept-Encoding")));
}

#[tokio::test]
async fn answers_without_content_stay_without() {
    for status in [204, 205, 304] {
        let app = answering(Script::status(status).header("Content-Type", "text/html")).await;
        let gateway = before(&app, "{}").await;
        for http in Http::BOTH {
            let answer = get(&gateway, http, "gzip").await.expect(status);
            assert_eq!((answer.header("content-encoding"), answer.body.len()), (None, 0), "{status} {http:?}");
        }
    }
    let app = answering(Script::reply("").header("Content-Type", "text/html")).await;
    let gateway = before(&app, "{}").await;
    let answer = get(&gateway, Http::One, "gzip, identity;q=0").await.expect(200);
    assert_eq!((answer.header("content-encoding"), answer.header("content-length")), (None, Some("0")));
}

#[tokio::test]
async fn head_gets_the_fields_of_get_and_the_connection_goes_on() {
    let app = answering(json().header("ETag", "\"v1\"")).await;
    let gateway = before(&app, "{}").await;
    let mut client = gateway.connect().await;
    for _ in 0..2 {
        let get = client.send(call(Method::GET, "/").header("Accept-Encoding", "br")).await.expect(200);
        let head = client.send(call(Method::HEAD, "/").header("Accept-Encoding", "br")).await.expect(200);
        assert!(head.body.is_empty() && !head.headers.has("content-length"), "{head:?}");
        for name in ["content-encoding", "etag", "vary", "content-type"] {
            assert_eq!(head.header(name), get.header(name), "{name}");
        }
    }
    let head = gateway.request(Method::HEAD, "/").h2().header("Accept-Encoding", "br").send().await.expect(200);
    assert_eq!((head.header("content-encoding"), head.body.len()), (Some("br"), 0));
}

#[tokio::test]
async fn types_and_sizes_are_the_route_s_to_say() {
    let app = answering(Script::reply(text(100)).header("Content-Type", "Application/X-Own; a=b")).await;
    let gateway = before(&app, "{ types: [application/x-own], min_size: 100B }").await;
    assert_eq!(get(&gateway, Http::One, "gzip").await.header("content-encoding"), Some("gzip"));
    let gateway = before(&app, "{ types: [application/x-own], min_size: 101B }").await;
    assert_eq!(get(&gateway, Http::One, "gzip").await.header("content-encoding"), None);
    let gateway = before(&app, "{ min_size: 1B }").await;
    assert_eq!(get(&gateway, Http::One, "gzip").await.header("content-encoding"), None);
}

#[tokio::test]
async fn an_upgrade_is_left_alone() {
    let app = answering(Script::upgrade()).await;
    let gateway = before(&app, "{ types: [\"*/*\"] }").await;
    let mut client = gateway.connect().await;
    let upgrade = call(Method::GET, "/").header("Connection", "Upgrade").header("Upgrade", "websocket");
    let upgrade = upgrade.header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==").header("Sec-WebSocket-Version", "13");
    client.begin(&upgrade.header("Accept-Encoding", "gzip")).await;
    let head = client.head().await;
    assert_eq!((head.status, head.header("content-encoding")), (101, None));
    client.write("ping").await;
    assert_eq!(client.bytes(4).await, "ping");
}
