//! The kit's upstreams and clients, against one another.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::Method;
use tidegate_testkit::{
    Client, H2Client, Script, call, certs, events, free_port, gate, pattern, refusing, upstream, wait_until,
};

#[tokio::test]
async fn requests_are_recorded_byte_for_byte() {
    let users = upstream().reply("/users", "hello").start().await;
    let mut client = Client::connect(users.addr()).await;
    client.write("POST /users?a=1 HTTP/1.1\r\nhOsT: x\r\nX-B:  2\r\nContent-Length: 3\r\n\r\nabc").await;
    let answer = client.answer().await.expect(200);
    assert_eq!(answer.raw_head, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(answer.text(), "hello");
    client.get("/other").await.expect(404);

    let seen = users.wait_for(2).await;
    assert_eq!(seen[0].raw_head, "POST /users?a=1 HTTP/1.1\r\nhOsT: x\r\nX-B:  2\r\nContent-Length: 3\r\n\r\n");
    assert_eq!((seen[0].method.as_str(), seen[0].target.as_str(), seen[0].path()), ("POST", "/users?a=1", "/users"));
    assert_eq!(seen[0].headers.iter().nth(1), Some(("X-B", "2")));
    assert_eq!(seen[0].text(), "abc");
    assert_eq!((seen[0].connection, seen[1].connection, users.connections()), (0, 0, 1));
    assert!(users.wire().starts_with(&seen[0].raw_head));
}

#[tokio::test]
async fn bodies_of_every_framing_arrive() {
    let users = upstream()
        .route("/echo", Script::echo())
        .route("/chunks", Script::chunks(["a", "bc"]).trailer("X-Sum", "3"))
        .route("/close", Script::reply("to the end").until_close())
        .route("/big", Script::generated(300_000))
        .start()
        .await;
    let mut client = Client::connect(users.addr()).await;
    let chunked = client.send(call(Method::PUT, "/echo").chunks(["one", "two"])).await;
    assert_eq!((chunked.header("transfer-encoding"), chunked.text().as_str()), (Some("chunked"), "onetwo"));
    let counted = client.send(call(Method::PUT, "/echo").generated(200_000)).await;
    assert_eq!(counted.header("content-length"), Some("200000"));
    assert_eq!(counted.body, pattern(200_000));
    let chunks = client.get("/chunks").await;
    assert_eq!((chunks.text().as_str(), chunks.trailers.get("x-sum")), ("abc", Some("3")));
    let big = client.download(call(Method::GET, "/big")).await;
    assert_eq!((big.check.length(), big.check.is_intact()), (300_000, true));
    let head = client.send(call(Method::HEAD, "/big")).await;
    assert_eq!((head.header("content-length"), head.body.len()), (Some("300000"), 0));
    assert_eq!(client.get("/close").await.text(), "to the end");
    assert_eq!(client.until_closed().await, "");
    assert!(users.requests()[1].check.is_intact());
}

#[tokio::test]
async fn answers_go_wrong_as_told() {
    let held = gate();
    let users = upstream()
        .route("/reset", Script::reset())
        .route("/close", Script::close())
        .route("/cut", Script::reply("0123456789").close_after(4))
        .route("/rst", Script::reply("0123456789").reset_after(4))
        .route("/lie", Script::reply("abc").claiming(10))
        .route("/raw", Script::raw("garbage\r\n"))
        .route("/half", Script::raw_then_silence("HTTP/1.1 200 OK\r\nContent-"))
        .route("/hints-for-ever", Script::raw_without_end("", "HTTP/1.1 103 Early Hints\r\n\r\n"))
        .route("/held", Script::reply("0123456789").wait_after(4, &held))
        .route("/stall", Script::stall())
        .route("/early", Script::status(413).early())
        .route("/hints", Script::reply("x").interim(103, &[("Link", "</a>")]))
        .start()
        .await;
    let connect = async || Client::connect(users.addr()).await;
    let failed = async |path: &str| connect().await.try_send(call(Method::GET, path)).await.unwrap_err().kind();
    assert_eq!(failed("/reset").await, std::io::ErrorKind::ConnectionReset);
    assert_eq!(failed("/close").await, std::io::ErrorKind::UnexpectedEof);
    assert_eq!(failed("/cut").await, std::io::ErrorKind::UnexpectedEof);
    assert_eq!(failed("/rst").await, std::io::ErrorKind::ConnectionReset);
    assert_eq!(failed("/lie").await, std::io::ErrorKind::UnexpectedEof);

    let mut raw = connect().await;
    raw.begin(&call(Method::GET, "/raw")).await;
    assert_eq!(raw.until_closed().await, "garbage\r\n");

    let mut half = connect().await;
    half.begin(&call(Method::GET, "/half")).await;
    assert_eq!(half.bytes(24).await, &b"HTTP/1.1 200 OK\r\nContent"[..]);
    let mut hints = connect().await;
    hints.begin(&call(Method::GET, "/hints-for-ever")).await;
    assert!(hints.bytes(28 * 40_000).await.ends_with(b"\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"));
    drop((half, hints));

    let mut slow = connect().await;
    slow.begin(&call(Method::GET, "/held")).await;
    assert_eq!(slow.head().await.status, 200);
    assert_eq!(slow.piece().await.expect("the first half"), "0123");
    held.open();
    assert_eq!(slow.piece().await.expect("the second half"), "456789");
    assert_eq!(slow.piece().await, None);

    let mut stalled = connect().await;
    stalled.begin(&call(Method::GET, "/stall")).await;
    users.wait_for(10).await;
    drop(stalled);

    connect().await.send(call(Method::PUT, "/early").generated(50_000_000)).await.expect(413);
    let hints = connect().await.get("/hints").await;
    assert_eq!((hints.interim[0].status, hints.interim[0].headers.get("link")), (103, Some("</a>")));
}

#[tokio::test]
async fn events_come_one_by_one_and_upgrades_echo() {
    let (stream, events) = events();
    let users = upstream().route("/sse", stream).route("/ws", Script::upgrade()).start().await;
    let mut client = Client::connect(users.addr()).await;
    client.begin(&call(Method::GET, "/sse")).await;
    assert_eq!(client.head().await.header("content-type"), Some("text/event-stream"));
    for event in ["a", "b"] {
        events.send(event);
        assert_eq!(client.piece().await.expect("an event"), format!("data: {event}\n\n"));
    }
    drop(events);
    assert_eq!(client.piece().await, None);

    let upgrade = call(Method::GET, "/ws").header("Connection", "Upgrade").header("Upgrade", "websocket");
    client.begin(&upgrade).await;
    assert_eq!(client.head().await.status, 101);
    client.write(b"\x81\x02hi").await;
    assert_eq!(client.bytes(4).await, &b"\x81\x02hi"[..]);
}

#[tokio::test]
async fn http2_and_tls_are_spoken() {
    let certs = certs();
    let leaf = certs.leaf(&["users.test", "127.0.0.1"]);
    let grpc = || Script::echo().header("content-type", "application/grpc").trailer("grpc-status", "0");
    let plain = upstream().route("*", grpc()).h2().start().await;
    let secure = upstream().route("*", grpc()).h2().tls(&leaf).start().await;
    let clients = [H2Client::connect(plain.addr()).await, H2Client::tls(secure.addr(), "users.test", &certs).await];
    for mut client in clients {
        let answer = client.send(call(Method::POST, "/p.S/M").generated(400_000)).await;
        assert_eq!((answer.status, answer.trailers.get("grpc-status")), (200, Some("0")));
        assert_eq!(answer.body, pattern(400_000));
        let mut stream = client.begin(&call(Method::POST, "/p.S/Stream")).await;
        let mut answer = stream.head().await;
        for message in ["one", "two"] {
            stream.send(message).await;
            assert_eq!(answer.piece().await.expect("a message"), message);
        }
        stream.finish();
        assert_eq!(answer.piece().await, None);
        assert_eq!(answer.trailers().await.get("grpc-status"), Some("0"));
    }
    assert_eq!(secure.wait_for(2).await[0].version, "HTTP/2.0");
    let mut h1 = Client::tls(secure.addr(), "users.test", &certs).await;
    assert_eq!(h1.send(call(Method::POST, "/x").body("abc")).await.text(), "abc");
}

#[tokio::test]
async fn an_upstream_goes_and_comes_back_and_unix_sockets_work() {
    // Not one that the kernel gives to somebody else while it is nobody's.
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let first = upstream().reply("/", "first").at(addr).start().await;
    let mut client = Client::connect(addr).await;
    client.get("/").await.expect(200);
    assert_eq!(first.open_connections(), 1);
    first.stop().await;
    client.until_closed().await;
    let second = upstream().reply("/", "second").at(addr).start().await;
    assert_eq!(Client::connect(addr).await.get("/").await.text(), "second");
    wait_until("the connection to end", || second.open_connections() == 0).await;

    let local = upstream().reply("/", "local").unix().start().await;
    let path = local.target();
    let path = path.strip_prefix("unix:").expect("a unix target");
    assert_eq!(Client::unix(path.as_ref()).await.get("/").await.text(), "local");

    let refusing = refusing();
    let error = tokio::net::TcpStream::connect(refusing.addr()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn scripts_follow_one_another_and_trickle() {
    let pause = Duration::from_millis(1);
    let users = upstream()
        .route("/", Script::status(503).then("ok".into()))
        .route("/slow", Script::reply("abcdef").trickle(2, pause))
        .start()
        .await;
    let mut client = Client::connect(users.addr()).await;
    assert_eq!([client.get("/").await.status, client.get("/").await.status], [503, 200]);
    assert_eq!(client.get("/slow").await.text(), "abcdef");
    users.set("/", Script::status(204));
    assert_eq!(client.get("/").await.status, 204);
}
