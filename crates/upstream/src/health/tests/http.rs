use super::by_hand::{ByHand, Does, kept_port};
use super::{subject, until};

/// The reason why a check that expects `expect` of this answer fails; empty: it doesn't.
async fn verdict(answer: Does, health: &str) -> String {
    let server = ByHand::start(answer).await;
    let result = subject(server.address, &format!("health: {{ {health} }}")).check().await;
    until("the connection is closed", || server.open() == 0).await;
    result.err().unwrap_or_default()
}

const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"status\":\"ok\"}";

#[tokio::test]
async fn the_request_says_who_asks_whom() {
    let server = ByHand::start(Does::text(GOOD)).await;
    subject(server.address, "health: {}").check().await.unwrap();
    let own = format!("host: {}\r\n", server.address);
    for part in ["get /health http/1.1\r\n", "user-agent: tidegate-health\r\n", "connection: close\r\n", &own] {
        assert!(server.asked()[0].contains(part), "{part}\n{}", server.asked()[0]);
    }
}

#[tokio::test]
async fn path_method_and_host_are_as_configured() {
    let server = ByHand::start(Does::text("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")).await;
    subject(server.address, "health: { path: /up?deep=1, method: HEAD, host: app.test }").check().await.unwrap();
    subject(server.address, "host_header: !literal b.test, health: { method: HEAD }").check().await.unwrap();
    let asked = server.asked();
    assert!(asked[0].starts_with("head /up?deep=1 http/1.1\r\n") && asked[0].contains("host: app.test\r\n"));
    assert!(asked[1].contains("host: b.test\r\n"), "what requests send");
}

#[tokio::test]
async fn the_port_of_the_checks_may_be_another() {
    let server = ByHand::start(Does::text(GOOD)).await;
    let port = server.address.port();
    subject("127.0.0.1:1", &format!("health: {{ port: {port} }}")).check().await.unwrap();
    assert!(server.asked()[0].contains(&format!("host: 127.0.0.1:{port}\r\n")));
}

#[tokio::test]
async fn a_unix_socket_is_checked_like_an_address() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let server = ByHand::start_unix(&path, Does::text(GOOD));
    subject(format!("unix:{}", path.display()), "health: {}").check().await.unwrap();
    assert!(server.asked()[0].contains("host: localhost\r\n"));
    let gone = subject(format!("unix:{}/gone.sock", folder.path().display()), "health: {}").check().await;
    assert!(gone.unwrap_err().starts_with("no connection: "));
}

#[tokio::test]
async fn each_check_has_a_connection_of_its_own() {
    let server = ByHand::start(Does::body("fine")).await;
    let subject = subject(server.address, "health: {}");
    for checks in 1..=3 {
        subject.check().await.unwrap();
        assert_eq!(server.count(), checks);
        until("the connection is closed", || server.open() == 0).await;
    }
    assert_eq!(server.most_open(), 1);
}

#[tokio::test]
async fn the_status_decides() {
    assert_eq!(verdict(Does::status(204), "").await, "");
    assert_eq!(verdict(Does::status(301), "").await, "status 301");
    assert_eq!(verdict(Does::status(503), "").await, "status 503");
    assert_eq!(verdict(Does::status(429), "expect: { status: [200, 429] }").await, "");
    assert_eq!(verdict(Does::status(204), "expect: { status: [200, 429] }").await, "status 204");
}

#[tokio::test]
async fn fields_decide_where_they_are_expected() {
    let with = |fields: &str| Does::text(&format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{fields}\r\n"));
    let expect = "expect: { headers: { X-Ready: \"yes\" } }";
    assert_eq!(verdict(with("x-ready: yes\r\n"), expect).await, "");
    assert_eq!(verdict(with("X-READY: no\r\nX-Ready: yes\r\n"), expect).await, "");
    assert_eq!(verdict(with("X-Ready: nope\r\n"), expect).await, "field X-Ready is \"nope\", not \"yes\"");
    assert_eq!(verdict(with(""), expect).await, "no field X-Ready");
}

#[tokio::test]
async fn values_in_json_decide_where_they_are_expected() {
    let expect = "expect: { json: { /status: ok, /db/up: true } }";
    for (body, reason) in [
        (r#"{"status":"ok","db":{"up":true},"timestamp":1}"#, ""),
        (r#"{"status":"degraded","db":{"up":true}}"#, "/status is \"degraded\", not \"ok\""),
        (r#"{"status":"ok","db":{"up":1}}"#, "/db/up is 1, not true"),
        (r#"{"status":"ok"}"#, "no /db/up in the body"),
        ("ok", "body is no JSON"),
        ("", "body is no JSON"),
        (&"[".repeat(5_000), "body is no JSON"),
        (&format!("{{{}}}", " ".repeat(64 * 1024)), "body larger than 64 KiB"),
    ] {
        assert_eq!(verdict(Does::body(body), expect).await, reason, "{}", &body[..body.len().min(60)]);
    }
}

#[tokio::test]
async fn a_text_in_the_first_64_kib_decides_where_it_is_expected() {
    let expect = "expect: { body: all is well }";
    assert_eq!(verdict(Does::body("so far all is well here"), expect).await, "");
    assert_eq!(verdict(Does::body("all is lost"), expect).await, "\"all is well\" is not in the body");
    let late = |before: usize| Does::body(&format!("{}all is well{}", " ".repeat(before), " ".repeat(1000)));
    assert_eq!(verdict(late(64 * 1024 - 11), expect).await, "");
    assert_eq!(verdict(late(64 * 1024 - 10), expect).await, "\"all is well\" is not in the body");
}

#[tokio::test]
async fn a_chunked_answer_is_as_good() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nall is w\r\n3\r\nell\r\n0\r\n\r\n";
    assert_eq!(verdict(Does::text(chunked), "expect: { body: all is well }").await, "");
}

#[tokio::test]
async fn an_answer_that_breaks_off_at_any_byte_is_a_failure() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    for good in [GOOD, chunked] {
        let server = ByHand::start(Does::text(good)).await;
        let subject = subject(server.address, "health: {}");
        subject.check().await.unwrap();
        for length in 0..good.len() {
            server.now_does(Does::text(&good[..length]));
            let reason = subject.check().await.expect_err(&good[..length]);
            assert!(!reason.is_empty() && reason.len() < 200, "{reason}");
        }
        until("all connections are closed", || server.open() == 0).await;
    }
}

#[tokio::test]
async fn what_is_no_http_is_a_failure() {
    let no_http = "no HTTP, or a head that is invalid or too large";
    for garbage in
        ["\0\x01\x02\x03", "SSH-2.0-OpenSSH_9.6\r\n", "HTTP/1.1 999999 x\r\n\r\n", "HTTP/1.1 200 OK\r\na b\r\n\r\n"]
    {
        assert_eq!(verdict(Does::text(garbage), "").await, no_http, "{garbage:?}");
    }
    let two = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok";
    assert_eq!(verdict(Does::text(two), "").await, no_http);
    let upgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
    assert_eq!(verdict(Does::text(upgrade), "").await, "switches protocols unasked");
}

#[tokio::test]
async fn interim_answers_are_passed_over_but_not_without_end() {
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    assert_eq!(verdict(Does::text(&format!("{}{GOOD}", interim.repeat(3))), "").await, "");
    let endless = Does::Endless(Vec::new(), interim.into());
    assert_eq!(verdict(endless, "").await, "no answer, but interim answers (1xx) without end");
}

/// What the system may hold for a client that reads no more.
const BUFFERS: usize = 16 << 20;

#[tokio::test]
async fn a_head_without_end_is_cut_off() {
    let server = ByHand::start(Does::Endless(b"HTTP/1.1 200 OK\r\n".into(), b"x-more: ".repeat(1000))).await;
    let reason = subject(server.address, "health: {}").check().await.unwrap_err();
    assert_eq!(reason, "no HTTP, or a head that is invalid or too large");
    until("the connection is closed", || server.open() == 0).await;
    assert!(server.written() < BUFFERS, "{}", server.written());
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n"] {
        let server = ByHand::start(Does::Endless(head.into(), vec![b'x'; 8192])).await;
        let reason = subject(server.address, "health: {}").check().await.unwrap_err();
        assert_eq!(reason, "body larger than 1 MiB");
        until("the connection is closed", || server.open() == 0).await;
        assert!(server.written() < BUFFERS, "{}", server.written());
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_a_failure() {
    // Long enough for all that does come, on a busy machine; so all at once.
    let verdict = |part: &str| verdict(Does::Holds(part.into()), "timeout: 3s");
    let (silent, half, whole) = tokio::join!(
        verdict(""),
        verdict("HTTP/1.1 200 OK\r\nConte"),
        verdict("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok"),
    );
    assert_eq!([silent, half], ["no answer within 3s"; 2]);
    assert_eq!(whole, "answer not over within 3s");
}

#[tokio::test]
async fn a_closed_port_is_a_failure() {
    let (address, _kept) = kept_port();
    let server = ByHand::start_at(&address.to_string(), Does::text(GOOD)).await;
    let subject = subject(address, "health: {}");
    subject.check().await.unwrap();
    drop(server);
    let refused = || std::net::TcpStream::connect(address).is_err();
    until("the port is closed", refused).await;
    assert_eq!(subject.check().await.unwrap_err(), "connection refused");
}
