//! The fallback of applications that route by themselves.

use tidegate_core::Method;
use tidegate_testkit::{Answer, TestGateway};

use crate::Tree;

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

async fn ask(gateway: &TestGateway, path: &str, accept: &str) -> Answer {
    gateway.request(Method::GET, path).header("Accept", accept).send().await
}

#[tokio::test]
async fn a_deep_link_is_the_index_for_those_who_want_a_page_and_a_404_for_all_others() {
    let tree = Tree::new(&[
        ("index.html", "<p>app"),
        ("app.js", "let a"),
        ("about/index.html", "<p>about"),
        (".git/config", "x"),
    ]);
    let gateway = tree.serve(", spa_fallback: /index.html, hide: [private]").await;
    for path in ["/users/7", "/users/7/", "/users/john.doe", "/a/b/c?x=y", "/app.js/x", "/old.html"] {
        let answer = ask(&gateway, path, BROWSER).await.expect(200);
        assert_eq!((answer.text().as_str(), answer.header("vary")), ("<p>app", Some("Accept")), "{path}");
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
        let tag = answer.header("etag").expect("a tag").to_owned();
        let again = gateway.request(Method::GET, path).header("Accept", BROWSER).header("If-None-Match", tag);
        again.send().await.expect(304);
        let head = gateway.request(Method::HEAD, path).header("Accept", BROWSER).send().await.expect(200);
        assert_eq!(head.header("content-length"), Some("6"));
    }
    // Never for what a page loads.
    for path in
        ["/app.4711.js", "/styles.css", "/images/logo.png", "/manifest.json", "/app.js.map", "/favicon.ico", "/x.JS"]
    {
        ask(&gateway, path, BROWSER).await.expect(404);
    }
    for accept in ["*/*", "application/json", "image/avif,image/webp,*/*;q=0.8", "application/json, text/html;q=0.5"] {
        ask(&gateway, "/users/7", accept).await.expect(404);
    }
    gateway.get("/users/7").await.expect(404);
    gateway.request(Method::POST, "/users/7").header("Accept", BROWSER).send().await.expect(405);
    // What is hidden stays so, and what is there comes first.
    for path in ["/.git/config", "/.env", "/private", "/private/x"] {
        ask(&gateway, path, BROWSER).await.expect(404);
    }
    assert_eq!(ask(&gateway, "/about/", BROWSER).await.expect(200).text(), "<p>about");
    ask(&gateway, "/about", BROWSER).await.expect(307);
    assert_eq!(ask(&gateway, "/%2e%2e/x", BROWSER).await.status, 400);
}

#[tokio::test]
async fn with_a_fallback_the_page_for_404_is_for_those_who_want_no_page() {
    let tree = Tree::new(&[("index.html", "<p>app"), ("404.html", "<p>lost")]);
    let gateway = tree.serve(", spa_fallback: /index.html, not_found: /404.html").await;
    assert_eq!(ask(&gateway, "/users", BROWSER).await.expect(200).text(), "<p>app");
    let lost = ask(&gateway, "/users", "*/*").await.expect(404);
    assert_eq!((lost.text().as_str(), lost.header("vary")), ("<p>lost", Some("Accept")));
    std::fs::remove_file(tree.path("index.html")).expect("removed");
    ask(&gateway, "/users", BROWSER).await.expect(404);
}
