//! What somebody waits for goes out at once.

use tidegate_core::Method;
use tidegate_testkit::{Http, Script, call, events, gate};

use crate::kit::{answering, before, decoder, get};

#[tokio::test]
async fn each_event_reaches_the_client_before_the_next_is_made() {
    for coding in ["zstd", "br", "gzip"] {
        let (script, sender) = events();
        let app = answering(script).await;
        let gateway = before(&app, "{ types: [text/event-stream], flush: never }").await;
        let mut client = gateway.connect().await;
        client.begin(&call(Method::GET, "/").header("Accept-Encoding", coding)).await;
        let head = client.head().await.expect(200);
        assert_eq!(head.header("content-encoding"), Some(coding));
        let mut decoder = decoder(coding);
        for number in 0..20 {
            sender.send(&format!("event number {number}"));
            let expected = format!("data: event number {number}\n\n");
            let mut came = Vec::new();
            while came.len() < expected.len() {
                let piece = client.piece().await.expect("more");
                came.extend(decoder.piece(&piece).expect("readable"));
            }
            assert_eq!(String::from_utf8_lossy(&came), expected, "{coding}");
        }
        drop(sender);
        while let Some(piece) = client.piece().await {
            assert!(decoder.piece(&piece).expect("readable").is_empty());
        }
        decoder.end().expect("whole");
    }
}

#[tokio::test]
async fn each_event_reaches_a_client_of_http_2_too() {
    let (script, sender) = events();
    let app = answering(script).await;
    let gateway = before(&app, "{ types: [text/event-stream] }").await;
    let mut client = gateway.connect_h2().await;
    let mut exchange = client.begin(&call(Method::GET, "/").header("Accept-Encoding", "zstd")).await;
    exchange.finish();
    let mut answer = exchange.head().await;
    assert_eq!(answer.headers.get("content-encoding"), Some("zstd"));
    let mut decoder = decoder("zstd");
    for number in 0..20 {
        sender.send(&number.to_string());
        let mut came = Vec::new();
        while !came.ends_with(b"\n\n") {
            came.extend(decoder.piece(&answer.piece().await.expect("more")).expect("readable"));
        }
        assert_eq!(String::from_utf8_lossy(&came), format!("data: {number}\n\n"));
    }
    drop(sender);
    while answer.piece().await.is_some() {}
}

#[tokio::test]
async fn events_go_out_as_they_are_unless_they_are_named() {
    for policy in ["{}", "{ types: [\"text/*\", \"*/*\"] }"] {
        let (script, sender) = events();
        let app = answering(script).await;
        let gateway = before(&app, policy).await;
        sender.send("one");
        drop(sender);
        let answer = get(&gateway, Http::One, "gzip").await.expect(200);
        assert_eq!((answer.header("content-encoding"), answer.text().as_str()), (None, "data: one\n\n"), "{policy}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_say_its_length_is_sent_as_it_is_made() {
    let gate = gate();
    let script =
        Script::chunks(["<head>the beginning</head>", "<body>the rest</body>"]).header("Content-Type", "text/html");
    let app = answering(script.wait_after(26, &gate)).await;
    let gateway = before(&app, "{}").await;
    let mut client = gateway.connect().await;
    client.begin(&call(Method::GET, "/").header("Accept-Encoding", "br")).await;
    client.head().await.expect(200);
    let mut decoder = decoder("br");
    let mut came = Vec::new();
    while came.len() < 26 {
        came.extend(decoder.piece(&client.piece().await.expect("more")).expect("readable"));
    }
    assert_eq!(came, b"<head>the beginning</head>", "while the upstream still waits");
    gate.open();
    while let Some(piece) = client.piece().await {
        came.extend(decoder.piece(&piece).expect("readable"));
    }
    assert_eq!(came, b"<head>the beginning</head><body>the rest</body>");
}
