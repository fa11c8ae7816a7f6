//! The access log: what a line says, and what it never says (K10, K12).

use http::Method;
use tidegate_testkit::{Http, upstream, wait_until};

use crate::{all_to, tidegate};

#[tokio::test]
async fn a_line_says_who_asked_what_and_what_became_of_it() {
    let app = upstream().reply("/users", "hello").start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    let answer = gateway
        .request(Method::PUT, "/users?page=2")
        .host("api.test")
        .header("User-Agent", "tests/1")
        .header("Referer", "https://from.test/?token=canary-referer")
        .body("12345")
        .send()
        .await
        .expect(200);
    let line = gateway.access_log(1).await.remove(0);
    let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&line).expect("JSON");
    let mut take = |key: &str| fields.shift_remove(key).unwrap_or_else(|| panic!("no {key} in {line}"));
    let time = take("time").as_str().expect("text").to_owned();
    assert!(time.ends_with('Z') && time.contains('T'), "{time}");
    assert!(take("duration_ms").as_f64().expect("a number") > 0.0);
    assert_eq!(take("request_id").as_str(), answer.header("x-request-id"));
    assert!(take("peer").as_str().expect("text").starts_with("127.0.0.1:"));
    assert_eq!(take("target"), app.target());
    assert_eq!(
        serde_json::Value::Object(fields).to_string(),
        "{\"method\":\"PUT\",\"path\":\"/users\",\"query\":\"page=2\",\"host\":\"api.test\",\"scheme\":\"http\",\
         \"protocol\":\"HTTP/1.1\",\"client\":\"127.0.0.1\",\"listener\":\"main\",\"route\":\"all\",\"status\":200,\
         \"bytes_in\":5,\"bytes_out\":5,\"answered_by\":\"upstream\",\"upstream\":\"app\",\"tries\":1,\
         \"user_agent\":\"tests/1\",\"referer\":\"https://from.test/?token=***\"}"
    );
}

#[tokio::test]
async fn secrets_never_show_wherever_a_client_puts_them() {
    let app = upstream().reply("*", "ok").start().await;
    let log =
        "access_log: { to: { file: LOG }, headers: [Authorization, Cookie, X-Api-Key, X-Tenant], redact: [pin] }\n";
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("log");
    let yaml = format!("{}{}", all_to(&app), log.replace("LOG", &format!("{path:?}")));
    let gateway = tidegate().start(&yaml).await;
    for http in Http::BOTH {
        gateway
            .request(Method::GET, "/?access_token=canary1&q=shown&api%5Fkey=canary2&pin=canary3&password=canary4")
            .by(http)
            .header("Authorization", "Bearer canary5")
            .header("Cookie", "session=canary6")
            .header("X-Api-Key", "canary7")
            .header("X-Tenant", "acme")
            .header("Referer", "https://user:canary8@x.test/?token=canary9")
            .send()
            .await
            .expect(200);
    }
    // A line is written a little after its answer.
    let text = || std::fs::read_to_string(&path).unwrap_or_default();
    wait_until("both lines", || text().matches('\n').count() >= 2).await;
    drop(gateway);
    let text = text();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(!text.contains("canary"), "{text}");
    assert!(text.contains("q=shown") && text.contains("acme") && text.contains("***"), "{text}");
}

#[tokio::test]
async fn a_client_can_not_forge_a_line_or_a_field() {
    let app = upstream().reply("*", "ok").start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    let agent = "x\",\"status\":999,\"y\":\"\\\u{e9}";
    gateway.request(Method::GET, "/a%0d%0a%22b?x=%22%0a%22").header("User-Agent", agent).send().await;
    let lines = gateway.access_log(1).await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line: serde_json::Value = serde_json::from_str(&lines[0]).expect("JSON");
    assert_eq!(line["user_agent"], agent, "{line}");
    assert_ne!(line["status"], 999);
}
