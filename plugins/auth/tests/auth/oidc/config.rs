//! What can't work is refused at load, all of it at once.

use tidegate_testkit::upstream;

use crate::issuing::site::{file_store, yaml};
use crate::support::with_auth;

async fn check(more: &str) -> Result<(), String> {
    let (dir, upstream) = (tempfile::tempdir().expect("a directory"), upstream().start().await);
    with_auth().check(&yaml(&upstream, &file_store(dir.path()), more, ""))
}

#[tokio::test]
async fn github_is_refused_with_what_to_do() {
    let told = check("login_with: { hub: { issuer: github, client_id: x } }").await.expect_err("no OpenID");
    assert!(told.contains("login_with.hub.issuer") && told.contains("Dex"), "{told}");
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_once() {
    let bad =
        "login_with: { a: { issuer: google, client_id: \"\", return_to: \"//x\" }, B: { issuer: x, client_id: y } }";
    let told = check(bad).await.expect_err("wrong");
    for place in ["login_with.a.client_id", "login_with.a.return_to", "service.login_with.B:", "login_with.B.issuer"] {
        assert_eq!(told.matches(place).count(), 1, "{place}: {told}");
    }
}

#[tokio::test]
async fn an_issuer_is_a_url_and_secrets_sign_nothing() {
    for (more, place) in [
        ("issuer: id.test", "login_with.a.issuer"),
        ("issuer: \"https://id.test?x\"", "login_with.a.issuer"),
        ("issuer: google, algorithms: [HS256]", "login_with.a.algorithms[0]"),
        ("issuer: google, fetch: { timeout: 0s }", "login_with.a.fetch.timeout"),
        ("issuer: google, fetch: { timeout: 2m }", "login_with.a.fetch.timeout"),
        ("issuer: google, fetch: { ca: nowhere.pem }", "login_with.a.fetch.ca"),
    ] {
        let told = check(&format!("login_with: {{ a: {{ client_id: x, {more} }} }}")).await.expect_err(more);
        assert_eq!(told.matches(place).count(), 1, "{told}");
    }
}

#[tokio::test]
async fn secrets_are_not_told() {
    let secret = "a-secret-that-is-nobody-s-business";
    let bad = format!("login_with: {{ a: {{ issuer: google, client_id: x, client_secret: {secret}, scopes: [] }} }}");
    let told = check(&bad).await.expect_err("no scope");
    assert!(!told.contains(secret), "{told}");
}

#[tokio::test]
async fn a_cookie_of_the_service_is_not_that_of_a_login() {
    let bad = "login_with: { a: { issuer: google, client_id: x } }, delivery: { cookie: { access: __Host-login-a } }";
    let told = check(bad).await.expect_err("two of one name");
    assert!(told.contains("delivery.cookie.access"), "{told}");
    check("login_with: { a: { issuer: google, client_id: x } }, session: { cookie: login-b }").await.expect("another");
}
