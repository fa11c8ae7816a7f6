//! What goes in comes out, byte for byte.

use http::Method;
use tidegate_testkit::{Client, H2Client, Http, Script, call, certs, pattern, upstream};

use crate::{all_to, all_to_with, tidegate};

const MIB: u64 = 1024 * 1024;

#[tokio::test]
async fn an_upstream_sees_the_client_s_request_and_what_the_gateway_says_of_it() {
    let app = upstream().reply("*", "ok").start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    let mut client = gateway.connect().await;
    client
        .write(
            "POST /a/b?q=%20x+y&&z HTTP/1.1\r\nHost: app.test\r\nX-Odd-CASE:   value with  spaces\t\r\nCookie: a=1\r\n\
             Cookie: b=2\r\nAccept: */*\r\nContent-Length: 3\r\n\r\na\0b",
        )
        .await;
    let answer = client.answer().await.expect(200);
    let seen = app.request();
    let id = answer.header("x-request-id").expect("an id").to_owned();
    let head = String::from_utf8_lossy(&seen.raw_head);
    let mut lines: Vec<_> = head.trim_end().split("\r\n").collect();
    assert_eq!(lines.remove(0), "POST /a/b?q=%20x+y&&z HTTP/1.1");
    lines.sort_unstable();
    let id = format!("x-request-id: {id}");
    assert_eq!(
        lines,
        [
            "Content-Length: 3",
            "Host: app.test",
            "accept: */*",
            "cookie: a=1",
            "cookie: b=2",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-host: app.test",
            "x-forwarded-proto: http",
            "x-odd-case: value with  spaces",
            &id,
        ]
    );
    assert_eq!(seen.body, &b"a\0b"[..]);
}

#[tokio::test]
async fn every_method_goes_through_with_its_body() {
    let app = upstream().route("*", Script::echo().header("X-App", "yes")).start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    for http in Http::BOTH {
        for name in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "PROPFIND"] {
            app.forget();
            let method = Method::from_bytes(name.as_bytes()).expect("a method");
            let request = || gateway.request(method.clone(), "/thing?x=1").by(http).header("x-mine", "1");
            let bare = request().send().await.expect(200);
            assert_eq!((bare.header("x-app"), bare.body.len()), (Some("yes"), 0), "{name} by {http:?}");
            let seen = app.request();
            assert_eq!((seen.method.as_str(), seen.target.as_str()), (name, "/thing?x=1"));
            assert_eq!(seen.header("x-mine"), Some("1"));
            if name != "HEAD" {
                let full = request().body("the body").send().await.expect(200);
                assert_eq!(full.text(), "the body", "{name} by {http:?}");
                let chunks = request().chunks(["one ", "two"]).send().await.expect(200);
                assert_eq!(chunks.text(), "one two", "{name} by {http:?}");
            }
        }
    }
}

#[tokio::test]
async fn bodies_of_every_length_and_framing_come_back_whole() {
    let app = upstream().route("/echo", Script::echo()).start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    for http in Http::BOTH {
        for length in [0, 1, 64 * 1024] {
            let whole = gateway.post("/echo").body(pattern(length as usize)).by(http).send().await.expect(200);
            assert_eq!(whole.body, pattern(length as usize), "{length} by {http:?}");
            let chunked = gateway.post("/echo").generated_chunked(length).by(http).send().await.expect(200);
            assert_eq!(chunked.body, pattern(length as usize), "{length} in chunks by {http:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_mebibytes_go_up_and_down_whole() {
    let app = upstream()
        .route("/up", Script::reply("thanks"))
        .route("/down", Script::generated(100 * MIB))
        .route("/down/chunked", Script::generated(100 * MIB).chunked())
        .start()
        .await;
    let gateway = tidegate().start(&all_to_with(&app, "limits: { body: 100MiB }")).await;
    for http in Http::BOTH {
        app.forget();
        gateway.post("/up").generated(100 * MIB).by(http).send().await.expect(200);
        gateway.post("/up").generated_chunked(100 * MIB).by(http).send().await.expect(200);
        for request in app.wait_for(2).await {
            assert_eq!((request.check.length(), request.check.is_intact()), (100 * MIB, true), "{http:?}");
        }
        for path in ["/down", "/down/chunked"] {
            let down = gateway.request(Method::GET, path).by(http).download().await;
            assert_eq!((down.check.length(), down.check.is_intact()), (100 * MIB, true), "{path} by {http:?}");
        }
    }
}

#[tokio::test]
async fn answers_keep_their_status_their_fields_and_their_doubles() {
    let script = Script::reply("teapot")
        .with_status(418)
        .header("Set-Cookie", "a=1")
        .header("Set-Cookie", "b=2")
        .header("ETag", "\"x\"")
        .header("X-Odd-CASE", "kept  as is");
    let app = upstream().route("/tea", script).route("/none", Script::status(204)).start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    for http in Http::BOTH {
        let tea = gateway.request(Method::GET, "/tea").by(http).send().await.expect(418);
        assert_eq!(tea.headers.all("set-cookie").collect::<Vec<_>>(), ["a=1", "b=2"]);
        assert_eq!((tea.header("etag"), tea.header("x-odd-case")), (Some("\"x\""), Some("kept  as is")));
        assert_eq!((tea.text().as_str(), tea.headers.count("date")), ("teapot", 1));
        let none = gateway.request(Method::GET, "/none").by(http).send().await.expect(204);
        assert_eq!((none.body.len(), none.header("content-length")), (0, None));
    }
    let raw = gateway.get("/tea").await;
    assert!(String::from_utf8_lossy(&raw.raw_head).contains("\r\nx-odd-case: kept  as is\r\n"), "{raw:?}");
}

#[tokio::test]
async fn tls_listeners_speak_both_versions_and_say_so_to_the_upstream() {
    let certs = certs();
    let leaf = certs.leaf(&["a.test", "b.test"]);
    let other = certs.leaf(&["*.wild.test"]);
    let app = upstream().route("*", Script::echo()).start().await;
    let yaml = format!(
        "{}listeners: [{{ name: tls, bind: \"127.0.0.1:0\", tls: {{ certificates: [{}, {}] }} }}]\n",
        all_to(&app),
        leaf.yaml(),
        other.yaml()
    );
    let gateway = tidegate().start(&yaml).await;
    for (name, http) in
        [("a.test", Http::One), ("a.test", Http::Two), ("x.wild.test", Http::One), ("b.test", Http::Two)]
    {
        app.forget();
        let answer = gateway.post("/").tls(&certs, name).by(http).generated(200_000).send().await.expect(200);
        assert_eq!(answer.body, pattern(200_000));
        let seen = app.request();
        assert_eq!((seen.header("x-forwarded-proto"), seen.header("x-forwarded-host")), (Some("https"), Some(name)));
        assert_eq!(seen.authority, name);
    }
}

#[tokio::test]
async fn connections_are_kept_on_both_sides() {
    let app = upstream().route("*", Script::echo()).start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    let mut h1 = Client::connect(gateway.addr()).await;
    let mut h2 = H2Client::connect(gateway.addr()).await;
    for _ in 0..100 {
        h1.send(call(Method::POST, "/").body("x")).await.expect(200);
        h2.send(call(Method::POST, "/").body("x")).await.expect(200);
    }
    assert_eq!(app.requests().len(), 200);
    assert!(app.connections() <= 2, "{} connections for 200 requests", app.connections());
}

#[tokio::test]
async fn a_body_ends_once_whatever_its_last_frame_holds() {
    for h2_upstream in [false, true] {
        let app = upstream().route("*", Script::echo());
        let app = if h2_upstream { app.h2() } else { app }.start().await;
        let yaml = all_to(&app);
        let yaml = if h2_upstream { yaml.replace("    targets:", "    protocol: h2\n    targets:") } else { yaml };
        let gateway = tidegate().start(&yaml).await;
        let (mut h1, mut h2) = (gateway.connect().await, gateway.connect_h2().await);
        for turn in 0..3 {
            // HTTP/2 says the end in an empty frame, and HTTP/1 in a chunk that must not come twice.
            let chunks = || call(Method::POST, "/").chunks(["one ", "two"]);
            assert_eq!(h2.send(chunks()).await.expect(200).text(), "one two");
            assert_eq!(h1.send(chunks()).await.expect(200).text(), "one two");
            assert_eq!(h1.get("/").await.expect(200).text(), "");
            let seen: Vec<_> = app.requests().into_iter().map(|request| request.method).collect();
            assert_eq!(seen.len(), 3 * (turn + 1), "upstream by HTTP/2: {h2_upstream}, {seen:?}");
        }
    }
}

#[tokio::test]
async fn an_empty_frame_in_the_middle_ends_nothing() {
    let app = upstream().route("*", Script::echo()).start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    let mut client = gateway.connect_h2().await;
    let mut stream = client.begin(&call(Method::POST, "/")).await;
    for piece in ["one", "", "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", "", "two"] {
        stream.send_frame(piece);
    }
    stream.finish();
    let answer = stream.head().await;
    assert_eq!(answer.status, 200);
    let seen = app.wait_for(1).await.remove(0);
    assert_eq!(seen.text(), "oneGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\ntwo");
    client.get("/").await.expect(200);
    assert_eq!(app.requests().len(), 2, "{:#?}", app.requests());
}
