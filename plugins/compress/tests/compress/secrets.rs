//! Answers that may hold a secret beside somebody else's input.

use tidegate_core::Method;
use tidegate_testkit::TestGateway;

use crate::kit::{answering, before, json};

async fn coding(gateway: &TestGateway, fields: &[(&str, &str)]) -> Option<String> {
    let request = gateway.request(Method::GET, "/").host("shop.test").header("Accept-Encoding", "gzip");
    let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let answer = request.send().await.expect(200);
    assert_eq!(answer.header("vary"), Some("Accept-Encoding"), "another client gets another coding");
    answer.header("content-encoding").map(str::to_owned)
}

#[tokio::test]
async fn what_another_site_has_a_browser_ask_with_its_cookies_is_not_compressed() {
    let app = answering(json()).await;
    let gateway = before(&app, "{}").await;
    let cookie = ("Cookie", "session=1");
    for fields in [
        &[cookie, ("Sec-Fetch-Site", "cross-site")][..],
        &[("Authorization", "Basic YTpi"), ("Sec-Fetch-Site", "cross-site")],
        &[cookie, ("Origin", "https://evil.test")],
        &[cookie, ("Referer", "https://evil.test/page")],
    ] {
        assert_eq!(coding(&gateway, fields).await, None, "{fields:?}");
    }
    for fields in [
        &[cookie][..],
        &[cookie, ("Sec-Fetch-Site", "same-origin"), ("Referer", "https://shop.test/")],
        &[cookie, ("Sec-Fetch-Site", "none")],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Authorization", "Bearer abc"), ("Sec-Fetch-Site", "cross-site")],
    ] {
        assert_eq!(coding(&gateway, fields).await.as_deref(), Some("gzip"), "{fields:?}");
    }
}

#[tokio::test]
async fn a_route_says_what_else_it_leaves_alone() {
    let app = answering(json().header("Set-Cookie", "session=1").then(json())).await;
    let policy = "{ skip_when: [set_cookie, authorized, { request_header: X-Preview }] }";
    let gateway = before(&app, policy).await;
    assert_eq!(coding(&gateway, &[]).await, None, "sets a cookie");
    assert_eq!(coding(&gateway, &[]).await.as_deref(), Some("gzip"));
    assert_eq!(coding(&gateway, &[("Authorization", "Bearer abc")]).await, None);
    assert_eq!(coding(&gateway, &[("X-Preview", "1")]).await, None);
    let cross = [("Cookie", "session=1"), ("Sec-Fetch-Site", "cross-site")];
    assert_eq!(coding(&gateway, &cross).await.as_deref(), Some("gzip"), "the list takes the place of the default");
}
