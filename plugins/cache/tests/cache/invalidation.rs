//! What unsafe methods make invalid (RFC 9111 section 4.4).

use http::Method;
use tidegate_testkit::Script;

use crate::{is_hit, minute, stage};

#[tokio::test]
async fn a_successful_unsafe_request_makes_its_target_invalid() {
    for (method, status, hit) in [
        (Method::POST, 200, false),
        (Method::PUT, 204, false),
        (Method::DELETE, 202, false),
        (Method::PATCH, 303, false),
        (Method::POST, 400, true),
        (Method::DELETE, 503, true),
        (Method::OPTIONS, 200, true),
    ] {
        let stage = stage("{}", minute("x")).await;
        stage.get("/a?b").await.expect(200);
        stage.get("/other").await.expect(200);
        stage.now(Script::status(status));
        stage.send(method.clone(), "/a?b", &[]).await.expect(status);
        stage.now(minute("new"));
        assert_eq!(is_hit(&stage.get("/a?b").await), hit, "{method} {status}");
        assert!(is_hit(&stage.get("/other").await), "{method} {status}");
        assert!(is_hit(&stage.get("/a?b").await), "what was fetched after it is stored again");
    }
}

#[tokio::test]
async fn locations_of_the_same_origin_are_invalid_too() {
    for (field, value, hit) in [
        ("Location", "/b", false),
        ("Location", "c?#x", true),
        ("Content-Location", "http://a.test/b", false),
        ("Location", "http://other.test/b", true),
        ("Location", "https://a.test/b", true),
    ] {
        let stage = stage("{}", minute("x")).await;
        let get = async |path: &str| stage.gateway.request(Method::GET, path).host("a.test").send().await;
        get("/b").await.expect(200);
        stage.now(Script::status(201).header(field, value));
        stage.gateway.request(Method::POST, "/a").host("a.test").send().await.expect(201);
        stage.now(minute("new"));
        assert_eq!(is_hit(&get("/b").await), hit, "{field}: {value}");
    }
}

#[tokio::test]
async fn all_variants_of_a_target_are_invalid() {
    let stage = stage("{}", minute("x").header("Vary", "X-A")).await;
    for a in ["1", "2"] {
        stage.ask("/a", &[("x-a", a)]).await.expect(200);
    }
    stage.send(Method::POST, "/a", &[]).await.expect(200);
    for a in ["1", "2"] {
        assert!(!is_hit(&stage.ask("/a", &[("x-a", a)]).await), "{a}");
    }
}

/// The answer to a question from before the purge may be the old one.
#[tokio::test]
async fn what_was_asked_for_before_is_not_used_after() {
    let gate = tidegate_testkit::gate();
    let stage = stage("{}", minute("old").wait(&gate)).await;
    let slow = tokio::spawn({
        let addr = stage.gateway.addr();
        async move { tidegate_testkit::Client::connect(addr).await.get("/a").await }
    });
    stage.app.wait_for(1).await;
    stage.now(Script::status(204));
    stage.send(Method::DELETE, "/a", &[]).await.expect(204);
    gate.open();
    assert_eq!(slow.await.expect("an answer").text(), "old");
    stage.now(minute("new"));
    assert_eq!(stage.get("/a").await.text(), "new");
}

#[tokio::test]
async fn who_may_purge_purges_and_nobody_else() {
    let stage = stage("purge: { roles: [admin] }", minute("x")).await;
    stage.get("/a").await.expect(200);
    let purge = async |fields: &[(&str, &str)]| {
        let method = Method::from_bytes(b"PURGE").expect("a method");
        stage.send(method, "/a", fields).await.status
    };
    assert_eq!(purge(&[]).await, 401);
    assert_eq!(purge(&[("x-login", "ann"), ("x-roles", "user")]).await, 403);
    assert!(is_hit(&stage.get("/a").await));
    assert_eq!(purge(&[("x-login", "ann"), ("x-roles", "admin")]).await, 200);
    assert!(!is_hit(&stage.get("/a").await));
}

/// What the upstream has done is done, though a plugin can't read its answer and the client gets an error.
#[tokio::test]
async fn an_answer_that_a_plugin_refuses_makes_its_target_invalid_all_the_same() {
    let stage = stage("{}", minute("old")).await;
    stage.get("/a").await.expect(200);
    stage.now(Script::reply("done").header("X-Broken", "1"));
    stage.send(Method::POST, "/a", &[]).await.expect(503);
    stage.now(minute("new"));
    assert_eq!(stage.get("/a").await.text(), "new");
}

/// As long as the listener takes them.
#[tokio::test]
async fn long_urls_are_made_invalid_too() {
    let stage = stage("purge: { roles: [admin] }", minute("x")).await;
    let long = format!("/{}", "a".repeat(12_000));
    for (method, fields) in [("DELETE", &[][..]), ("PURGE", &[("x-login", "ann"), ("x-roles", "admin")]), ("POST", &[])]
    {
        assert!(!is_hit(&stage.get(&long).await.expect(200)) && is_hit(&stage.get(&long).await), "{method}");
        stage.send(Method::from_bytes(method.as_bytes()).expect("a method"), &long, fields).await.expect(200);
    }
    assert!(!is_hit(&stage.get(&long).await));
}
