//! `type: http`.

use super::{LONG, Running, SECOND};
use crate::support::{LittleServer, NameServer, Says, until};
use crate::tls::{ALL, Authority, server as tls_config};

fn yaml(server: &LittleServer) -> String {
    format!("app: {{ discovery: [{{ type: http, url: \"http://127.0.0.1:{}/app?key=x\" }}] }}", server.port)
}

async fn ten_seconds_later(app: &Running) {
    // The source, and the names, of which there are none.
    until("the task waits", || app.clock.sleepers() == 1).await;
    app.clock.advance(10 * SECOND);
}

#[tokio::test]
async fn a_url_is_asked_before_the_first_request_and_every_interval() {
    let server = LittleServer::start().await;
    server.says_body("/app", "", r#"["10.0.0.1:80"]"#);
    let app = Running::start(&yaml(&server)).await;
    app.assert_serves(&["10.0.0.1:80"]);

    server.says_body("/app", "Content-Type: application/yaml\r\n", "targets:\n- 10.0.0.2:80\n- 10.0.0.2:80\n");
    ten_seconds_later(&app).await;

    app.until_it_serves(&["10.0.0.2:80"]).await;
    let asked = server.asked("/app?key=x ");
    assert_eq!(asked.len(), 2);
    assert!(asked[0].to_lowercase().contains(&format!("host: 127.0.0.1:{}\r\n", server.port)), "{}", asked[0]);
}

#[tokio::test]
async fn an_unchanged_list_is_asked_for_by_its_tag() {
    let server = LittleServer::start().await;
    server.says_body("/app", "ETag: \"v1\"\r\n", r#"["10.0.0.1:80"]"#);
    let app = Running::start(&yaml(&server)).await;

    server.says("/app", b"HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\n\r\n");
    ten_seconds_later(&app).await;
    until("the answer is taken", || app.counted("updates", "http") == 2).await;
    app.assert_serves(&["10.0.0.1:80"]);

    server.says_body("/app", "", r#"["10.0.0.2:80"]"#);
    ten_seconds_later(&app).await;
    app.until_it_serves(&["10.0.0.2:80"]).await;
    ten_seconds_later(&app).await;
    until("asked once more", || server.asked("/app").len() == 4).await;

    let tags: Vec<_> = server.asked("/app").iter().map(|head| head.to_lowercase().contains("if-none-match")).collect();
    assert_eq!(tags, [false, true, true, false]);
    assert!(server.asked("/app")[1].contains("\"v1\""));
}

#[tokio::test]
async fn what_is_no_list_keeps_the_last_good_one() {
    let server = LittleServer::start().await;
    server.says_body("/app", "", r#"["10.0.0.1:80"]"#);
    let app = Running::start(&yaml(&server)).await;

    let (large, half) = (format!("[\"{}\"]", "x".repeat(5 << 20)), b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[");
    let head = |length: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    let wrongs: [Vec<u8>; 8] = [
        b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".to_vec(),
        b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n".to_vec(),
        // There is no list that has a tag.
        b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec(),
        b"garbage\r\n\r\n".to_vec(),
        half.to_vec(),
        format!("{}{large}", head(large.len())).into_bytes(),
        // A registry that has just been started.
        format!("{}[]", head(2)).into_bytes(),
        format!("{}[\"10.0.0.9:80\",\"9\"]", head(19)).into_bytes(),
    ];
    for (failures, wrong) in (1..).zip(&wrongs) {
        server.says("/app", wrong);
        until("the task waits", || app.clock.sleepers() == 1).await;
        app.clock.advance(30 * SECOND);
        until("the source fails", || app.counted("failures", "http") == failures).await;
        app.assert_serves(&["10.0.0.1:80"]);
    }

    server.says_body("/app", "", r#"["10.0.0.2:80"]"#);
    until("the task waits", || app.clock.sleepers() == 1).await;
    app.clock.advance(30 * SECOND);
    app.until_it_serves(&["10.0.0.2:80"]).await;
}

#[tokio::test]
async fn a_silent_server_is_given_up_on_in_time() {
    let server = LittleServer::start().await;
    // The head, and never the body.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let yaml = yaml(&server).replace(&server.port.to_string(), &silent.local_addr().unwrap().port().to_string());
    let yaml = yaml.replace("type: http,", "type: http, timeout: 50ms,");

    let app = tokio::time::timeout(LONG, Running::start(&yaml)).await.unwrap();

    assert_eq!(app.counted("failures", "http"), 1);
    app.assert_serves(&[]);
}

#[tokio::test]
async fn the_name_in_a_url_is_resolved_with_the_settings_of_the_pool() {
    let server = LittleServer::start().await;
    server.says_body("/app", "", r#"["10.0.0.1:80"]"#);
    let names = NameServer::start(Says::v4([127, 0, 0, 1], 300)).await;
    let yaml = yaml(&server).replace("127.0.0.1", "registry.test");
    let yaml = yaml.replace("app: {", &format!("app: {{ resolve: {{ nameserver: \"{}\" }},", names.address));
    let app = Running::start(&yaml).await;
    app.assert_serves(&["10.0.0.1:80"]);

    names.now_says(Says::ServerFailure);
    ten_seconds_later(&app).await;
    until("asked again", || app.counted("updates", "http") == 2).await;

    assert_eq!(names.questions(), 1, "the address is good for its TTL");
    assert!(server.asked("/app")[0].contains(&format!("registry.test:{}", server.port)));
}

#[tokio::test]
async fn a_reload_while_the_source_is_down_keeps_its_last_list() {
    let server = LittleServer::start().await;
    server.says_body("/app", "", r#"["10.0.0.1:80"]"#);
    let mut app = Running::start(&yaml(&server)).await;
    let id = crate::support::pick(app.pool()).id();
    server.says("/app", b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");

    app.reload(&yaml(&server).replace("app: {", "app: { timeouts: { read: 1s },")).await;

    app.assert_serves(&["10.0.0.1:80"]);
    assert_eq!(crate::support::pick(app.pool()).id(), id);
    until("the new pool asks", || app.counted("failures", "http") == 1).await;
    app.assert_serves(&["10.0.0.1:80"]);
}

#[tokio::test]
async fn a_list_from_somebody_with_an_unknown_certificate_is_not_taken() {
    let authority = Authority::new();
    let server = LittleServer::over_tls(tls_config(&authority.leaf("127.0.0.1"), ALL, None)).await;
    server.says_body("/app", "", r#"["10.0.0.9:80"]"#);

    let app = Running::start(&yaml(&server).replace("http://", "https://")).await;

    assert_eq!(app.counted("failures", "http"), 1);
    app.assert_serves(&[]);
    assert!(server.asked("/app").is_empty(), "nothing was sent");
}
