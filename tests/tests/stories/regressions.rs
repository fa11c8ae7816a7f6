//! Vulnerabilities that Pingora has had, as seen from outside this gateway.

use http::Method;
use tidegate_testkit::{Script, call, upstream};

use crate::{all_to, tidegate};

/// Two hosts, of which one is refused to everybody, and a fixed reply.
fn guarded(app: &tidegate_testkit::Upstream) -> String {
    format!(
        "upstreams: {{ app: {{ targets: [\"{}\"] }} }}\n\
         routing:\n  routes:\n\
         \x20   - {{ name: app, match: {{ host: app.test }}, upstream: app }}\n\
         \x20   - {{ name: secret, match: {{ host: app.test, path: \"/admin/**\" }}, reply: {{ status: 403 }} }}\n\
         \x20   - {{ name: fixed, match: {{ host: app.test, path: /fixed }}, reply: {{ body: fixed }} }}\n",
        app.target()
    )
}

const SMUGGLED: &str = "GET /admin HTTP/1.1\r\nHost: app.test\r\nX-Smuggled: yes\r\n\r\n";

/// CVE-2025-4366: an answer that did not come from the upstream (there: a cache hit) left the request's body on the
/// connection, to be read as the next request.
#[tokio::test]
async fn cve_2025_4366_a_body_that_nobody_read_is_not_the_next_request() {
    let app = upstream().reply("*", "ok").start().await;
    let gateway = tidegate().start(&guarded(&app)).await;
    for (path, status) in [("/fixed", 200), ("/admin", 403), ("/nothing-here", 404)] {
        let host = if status == 404 { "other.test" } else { "app.test" };
        for fields in [
            format!("Content-Length: {}\r\n\r\n{SMUGGLED}", SMUGGLED.len()),
            format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len()),
        ] {
            let next = "GET /fixed HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n";
            let answer = gateway.raw(format!("POST {path} HTTP/1.1\r\nHost: {host}\r\n{fields}{next}")).await;
            let statuses = answer.statuses();
            assert!(answer.closed, "{answer:?}");
            assert!(statuses == [status] || statuses == [status, 200], "{path}: {statuses:?}\n{}", answer.text());
        }
    }
    assert_eq!(app.connections(), 0);
}

/// CVE-2026-2833: bytes behind an `Upgrade` request went to the upstream unread, before it had agreed to upgrade, and
/// were a second request to it that no rule had seen.
#[tokio::test]
async fn cve_2026_2833_what_follows_an_upgrade_request_is_not_passed_on_before_the_upstream_agrees() {
    let app = upstream().reply("*", "no websockets here").start().await;
    let gateway = tidegate().start(&guarded(&app)).await;
    for upgrade in ["websocket", "h2c", "anything"] {
        app.forget();
        let request = format!(
            "GET /chat HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n{SMUGGLED}"
        );
        let answer = gateway.raw(request).await;
        let wire = String::from_utf8_lossy(&app.wire()).into_owned();
        assert!(!wire.contains("/admin") && !wire.contains("X-Smuggled"), "{upgrade}: the upstream got\n{wire}");
        assert_eq!(app.requests().len(), 1, "{upgrade}: {:#?}", app.requests());
        assert!(!answer.statuses()[1..].contains(&200), "{upgrade}: {}", answer.text());
    }
}

/// The same once the upstream agrees: then all that follows belongs to the new protocol.
#[tokio::test]
async fn what_follows_an_upgrade_request_reaches_the_upstream_once_it_agrees() {
    let app = upstream().route("/chat", Script::upgrade()).start().await;
    let gateway = tidegate().start(&guarded(&app)).await;
    let mut client = gateway.connect().await;
    client
        .write(
            "GET /chat HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\nearly",
        )
        .await;
    assert_eq!(client.head().await.status, 101);
    client.write(" late").await;
    assert_eq!(client.bytes("early late".len()).await, "early late");
}

/// CVE-2026-2835: HTTP/1.0 with `Transfer-Encoding`, and bodies of requests that end with the connection, were framed
/// differently here and at the upstream.
#[tokio::test]
async fn cve_2026_2835_an_http10_request_has_a_length_or_no_body() {
    let app = upstream().reply("*", "ok").start().await;
    let gateway = tidegate().start(&guarded(&app)).await;
    for fields in [
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Transfer-Encoding: identity\r\n",
        "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n",
    ] {
        let answer = gateway.raw(format!("POST / HTTP/1.0\r\nHost: app.test\r\n{fields}\r\n0\r\n\r\n{SMUGGLED}")).await;
        assert_eq!((answer.statuses(), answer.closed), (vec![400], true), "{fields:?}: {}", answer.text());
    }
    assert_eq!(app.connections(), 0);
    let answer = gateway.raw(format!("POST / HTTP/1.0\r\nHost: app.test\r\n\r\n{SMUGGLED}")).await;
    assert_eq!(answer.statuses().first(), Some(&200), "{}", answer.text());
    assert!(!answer.statuses()[1..].contains(&200), "{}", answer.text());
    let seen = app.request();
    assert_eq!((seen.body.len(), seen.headers.has("x-smuggled")), (0, false), "{seen:#?}");
}

/// CVE-2026-2836: a default cache key of the path alone gave one host's answer to another.
#[tokio::test]
async fn cve_2026_2836_one_host_s_answer_is_never_given_for_another() {
    let (one, two) = (
        upstream().route("*", Script::reply("one").header("Cache-Control", "public, max-age=3600")).start().await,
        upstream().route("*", Script::reply("two").header("Cache-Control", "public, max-age=3600")).start().await,
    );
    let yaml = format!(
        "upstreams: {{ one: {{ targets: [\"{}\"] }}, two: {{ targets: [\"{}\"] }} }}\n\
         routing: {{ routes: [{{ name: one, match: {{ host: one.test }}, upstream: one }}, {{ name: two, match: {{ host: two.test }}, upstream: two }}] }}\n",
        one.target(),
        two.target()
    );
    let gateway = tidegate().start(&yaml).await;
    let mut client = gateway.connect().await;
    for _ in 0..3 {
        for name in ["one", "two"] {
            let answer = client.send(call(Method::GET, "/same").host(format!("{name}.test"))).await.expect(200);
            assert_eq!(answer.text(), name);
        }
    }
    // An absolute target wins over `Host` (RFC 9112 section 3.2.2), for the route and for the upstream alike.
    let answer = gateway.raw("GET http://two.test/same HTTP/1.1\r\nHost: one.test\r\nConnection: close\r\n\r\n").await;
    match answer.status() {
        Some(200) => {
            assert!(answer.text().ends_with("two"), "{}", answer.text());
            assert_eq!(two.requests().last().map(|request| request.authority.clone()).as_deref(), Some("two.test"));
        }
        other => assert_eq!(other, Some(400), "{}", answer.text()),
    }
}

/// CVE-2025-8671 (MadeYouReset) and CVE-2023-44487 (rapid reset): streams that end at once must not pile up work.
#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_reset_at_once_do_not_keep_others_out() {
    let app = upstream().reply("*", "ok").route("/stall", Script::stall()).start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    let mut attacker = gateway.connect_h2().await;
    let mut sent = 0;
    // The server may end the attacker's connection at any time.
    let attack = async {
        for _ in 0..2000 {
            let Ok(mut stream) = attacker.try_begin(&call(Method::GET, "/stall")).await else { break };
            stream.cancel();
            sent += 1;
        }
    };
    let attack = tokio::time::timeout(std::time::Duration::from_secs(60), attack).await;
    gateway.get("/").await.expect(200);
    gateway.request(Method::GET, "/").h2().send().await.expect(200);
    tidegate_testkit::wait_until_async("the work to end", async || {
        gateway.metric("tidegate_requests_in_flight", &[]).await == 0.0
    })
    .await;
    assert!(attack.is_ok(), "the attack hung after {sent} streams");
}
